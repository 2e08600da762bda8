//! The ITS: where it is, its tables, and the commands that boot gives it.

use crate::{Pa, VpeIndex};

#[derive(Debug)]
pub struct Its {
    /// GITS control frame; the translation frame is 64 KiB further on and belongs to nobody.
    pub base: Pa,
    /// What GITS_TYPER must offer.
    pub device_id_bits: u8,
    pub event_id_bits: u8,
    /// GITS_TYPER.PTA: commands name redistributors by address, not by number.
    pub by_address: bool,
    /// Bytes of one interrupt translation entry that the tables were sized for, at most.
    pub entry_bytes: u8,
    /// Modes move vPEs by VMOVP: GITS_TYPER.VMOVP must be 1.
    pub moves: bool,
    /// ICID bits that the script uses.
    pub collection_id_bits: u8,
    /// vINTID bits of every vPE: GICR_VPROPBASER.IDbits + 1.
    pub vintid_bits: u8,
    /// Its tables, of which boot finds the GITS_BASERn.
    pub tables: &'static [ItsTable],
    /// GITS_CBASER to write.
    pub cbaser: u64,
    /// Command queue: base and bytes.
    pub queue: (Pa, u64),
    /// The boot script: encoded commands in order, each four little-endian doublewords (IHI 0069 5.3).
    pub script: &'static [[u64; 4]],
    /// Physical LPI configuration table: one byte for each LPI from 8192; base and bytes.
    pub lpi_config: (Pa, u64),
    /// Every event the script maps, sorted by (device, event).
    pub events: &'static [EventRoute],
}

/// Memory for a table of the ITS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItsTable {
    /// GITS_BASERn.Type: 1 devices, 2 vPEs, 4 collections.
    pub kind: u8,
    pub base: Pa,
    pub bytes: u64,
    /// Entries that commands name.
    pub entries: u32,
    /// Bytes of one entry, at most.
    pub entry_bytes: u8,
}

/// One (DeviceID, EventID) and the vLPI it becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRoute {
    pub device: u32,
    pub event: u32,
    pub vintid: u32,
    pub vpe: VpeIndex,
    /// Name of the device, or of the channel, that raises it.
    pub source: &'static str,
    /// It rings a channel's end: no guest's device has it.
    pub ring: bool,
}
