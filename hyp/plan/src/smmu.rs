//! SMMUs: where they are, their tables, and what each device behind one reaches.

use crate::{Pa, VmIndex};

#[derive(Debug)]
pub struct Smmu {
    /// Its two register pages, 64 KiB each.
    pub base: Pa,
    /// SPI of its event queue, edge-triggered.
    pub event_intid: u32,
    /// SPI of its global errors, edge-triggered.
    pub error_intid: u32,
    /// The stream table, aligned to its size, and the bits of the StreamIDs it is for.
    pub table: (Pa, u8),
    /// StreamID bits of a leaf; the table then holds descriptors of leaves, ready. None: it is
    /// linear, and zero.
    pub split: Option<u8>,
    /// Its first leaf among the plan's, and how many it has.
    pub leaves: (u16, u16),
    /// The command queue, and how many commands it holds as a power of two.
    pub commands: (Pa, u8),
    /// The event queue, and how many records it holds as a power of two.
    pub events: (Pa, u8),
}

/// Entries of a stream table for the StreamIDs `index << split` and up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    pub index: u32,
    /// It has `1 << bits` entries.
    pub bits: u8,
    /// Zero, and aligned to its size.
    pub base: Pa,
}

/// A device that an SMMU holds: it reaches what its VM has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Master {
    pub name: &'static str,
    pub vm: VmIndex,
    /// Index into the plan's SMMUs.
    pub smmu: u8,
    pub streams: &'static [u32],
    /// VMID 63:48, and the root of the device's stage 2, as VTTBR_EL2 has them.
    pub vttbr: u64,
    /// Its form, as VTCR_EL2 has it.
    pub vtcr: u64,
    pub on_fault: DmaFault,
}

/// What becomes of a device that accesses what its VM does not have, beside that being told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DmaFault {
    /// Nothing, until there are too many.
    Record,
    /// It reaches nothing until its VM starts again.
    StopDevice,
    /// Its VM fails.
    Fail,
}
