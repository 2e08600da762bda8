//! The SMMU: where it is, its tables, and what each device behind it reaches.

use crate::Pa;

#[derive(Debug)]
pub struct Smmu {
    /// Its two register pages, 64 KiB each.
    pub base: Pa,
    /// SPI of its event queue, edge-triggered.
    pub event_intid: u32,
    /// SPI of its global errors, edge-triggered.
    pub error_intid: u32,
    /// The stream table, linear and aligned to its size, and the bits of the StreamIDs it is for.
    pub table: (Pa, u8),
    /// The command queue, and how many commands it holds as a power of two.
    pub commands: (Pa, u8),
    /// The event queue, and how many records it holds as a power of two.
    pub events: (Pa, u8),
    /// By function.
    pub streams: &'static [Stream],
}

/// What a function behind the SMMU reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    pub id: u32,
    /// Index into the plan's functions.
    pub function: u16,
    /// VMID 63:48, and the root of the device's stage 2, as VTTBR_EL2 has them.
    pub vttbr: u64,
    /// Its form, as VTCR_EL2 has it.
    pub vtcr: u64,
}
