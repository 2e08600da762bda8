// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The ITS: where it is, its tables, and the commands that boot gives it.

use crate::{Hex, ItsCommand, List, Pa, Span, Text, VpeIndex};

#[derive(Debug)]
#[cfg_attr(feature = "host", derive(Clone, serde::Serialize, crate::constant::Constant))]
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
    /// It is a GICv4.1, whose commands and residency have other forms.
    #[cfg_attr(feature = "host", serde(skip_serializing_if = "Option::is_none"))]
    pub v41: Option<GicV41>,
    /// Its tables, of which boot finds the GITS_BASERn.
    pub tables: List<ItsTable>,
    /// GITS_CBASER to write.
    pub cbaser: Hex,
    /// Command queue.
    pub queue: Span,
    /// The boot script: encoded commands in order.
    pub script: List<ItsCommand>,
    /// Physical LPI configuration table: one byte for each LPI from 8192.
    pub lpi_config: Span,
    /// What the configuration table starts as, the whole of it.
    #[cfg(feature = "host")]
    #[constant(host)]
    #[serde(skip)]
    pub lpi_config_start: List<u8>,
    /// DeviceIDs that the script maps.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub devices: List<ItsDevice>,
}

/// What the plan relies on of a GICv4.1 (IHI 0069H 5.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct GicV41 {
    /// Bits of a vPEID that are used: GICD_TYPER2.VID.
    pub vpe_id_bits: u8,
    /// As many affinity fields, from Aff3 on, agree among all CPUs that are used, 0 to 3:
    /// GICR_TYPER.CommonLPIAff must not be higher.
    pub common_affinity: u8,
    /// Configuration of vLPIs is invalidated by GICR_INVLPIR.
    pub invalidates: bool,
    /// VMs with several vPEs may have their SGIs from the GIC (GITS_TYPER.VSGI, GICR_TYPER.VSGI).
    pub virtual_sgis: bool,
    /// The vPE table of redistributors. None: it is the ITS's (GITS_TYPER.SVPET).
    pub vpe_table: Option<ItsTable>,
}

/// Memory for a table of the ITS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct ItsTable {
    #[cfg(feature = "host")]
    #[constant(host)]
    pub name: &'static str,
    /// GITS_BASERn.Type: 1 devices, 2 vPEs, 4 collections.
    pub kind: u8,
    pub memory: Span,
    /// Entries that commands name.
    pub entries: u32,
    /// Bytes of one entry, at most.
    pub entry_bytes: u8,
}

/// One (DeviceID, EventID) and the vLPI it becomes, or what rings a channel's end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "host"), derive(Copy))]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct EventRoute {
    pub device: u32,
    pub event: u32,
    pub vintid: u32,
    pub vpe: VpeIndex,
    /// Name of the device, or of the channel, that raises it.
    pub source: Text,
    /// It rings a channel's end: no guest's device has it.
    #[cfg_attr(feature = "host", serde(rename = "channel"))]
    pub ring: bool,
}

/// One DeviceID that the ITS is told of.
#[cfg(feature = "host")]
#[derive(Clone, Debug, serde::Serialize)]
pub struct ItsDevice {
    pub device: u32,
    /// Name on the board; "doorbells" or "channels" for the plan's own.
    pub name: Text,
    /// EventIDs are below 2^bits.
    pub event_bits: u8,
    pub table: Span,
}
