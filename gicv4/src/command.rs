// SPDX-License-Identifier: Apache-2.0 OR MIT
//! ITS commands: typed, encoded, decoded, and readable.
//!
//! A command is four little-endian doublewords (IHI 0069H 5.3). Forms of GICv3, GICv4.0 and GICv4.1
//! are here; VMAPP and VMOVP differ between the two versions of GICv4, so each has two variants. A
//! mapping command with V = 0 is the same variant with `None` where the mapping would be.
//!
//! `encode` is `const` and total: what could be misaligned ([`Itt`], [`Vpt`]) is checked when it is
//! made. Nothing here knows whether a command is sensible for the ITS's present state; the model
//! does.

mod decode;
mod display;
mod fields;
#[cfg(test)]
mod tests;

pub use decode::{DecodeError, Version};

use crate::intid::{CollectionId, DeviceId, EventId, IntId, RdBase, VpeId};

/// An encoded command.
pub type Encoded = [u64; 4];

/// Opcodes, bits 7:0 of the first doubleword (IHI 0069H 5.3), by the commands' names.
#[expect(missing_docs, reason = "each is named as its command")]
pub mod opcode {
    pub const MOVI: u8 = 0x01;
    pub const INT: u8 = 0x03;
    pub const CLEAR: u8 = 0x04;
    pub const SYNC: u8 = 0x05;
    pub const MAPD: u8 = 0x08;
    pub const MAPC: u8 = 0x09;
    pub const MAPTI: u8 = 0x0a;
    pub const MAPI: u8 = 0x0b;
    pub const INV: u8 = 0x0c;
    pub const INVALL: u8 = 0x0d;
    pub const MOVALL: u8 = 0x0e;
    pub const DISCARD: u8 = 0x0f;
    pub const VMOVI: u8 = 0x21;
    pub const VMOVP: u8 = 0x22;
    pub const VSGI: u8 = 0x23;
    pub const VSYNC: u8 = 0x25;
    pub const VMAPP: u8 = 0x29;
    pub const VMAPTI: u8 = 0x2a;
    pub const VMAPI: u8 = 0x2b;
    pub const VINVALL: u8 = 0x2d;
    pub const INVDB: u8 = 0x2e;
}

/// A device's interrupt translation table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Itt {
    address: u64,
    event_bits: u8,
}

impl Itt {
    /// `address` a multiple of 256 within 52 bits, 1 to 32 bits of EventID.
    pub const fn new(address: u64, event_bits: u8) -> Option<Self> {
        if address & !0x000f_ffff_ffff_ff00 == 0 && event_bits >= 1 && event_bits <= 32 {
            Some(Self { address, event_bits })
        } else {
            None
        }
    }
    /// Where it is.
    pub const fn address(self) -> u64 {
        self.address
    }
    /// It has 2^event_bits entries.
    pub const fn event_bits(self) -> u8 {
        self.event_bits
    }
}

/// A vPE's virtual pending table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vpt {
    address: u64,
    intid_bits: u8,
}

impl Vpt {
    /// `address` a multiple of 64 KiB within 52 bits, 1 to 32 bits of vINTID (14 at least are
    /// useful).
    pub const fn new(address: u64, intid_bits: u8) -> Option<Self> {
        if address & !0x000f_ffff_ffff_0000 == 0 && intid_bits >= 1 && intid_bits <= 32 {
            Some(Self { address, intid_bits })
        } else {
            None
        }
    }
    /// Where it is.
    pub const fn address(self) -> u64 {
        self.address
    }
    /// The same as GICR_VPROPBASER.IDbits + 1 of the vPE.
    pub const fn intid_bits(self) -> u8 {
        self.intid_bits
    }
}

/// Where VMAPP of GICv4.0 puts a vPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VpeMapping {
    /// Where it runs.
    pub redistributor: RdBase,
    /// Its pending table.
    pub vpt: Vpt,
}

/// Where VMAPP of GICv4.1 puts a vPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VpeMappingV41 {
    /// Where it runs.
    pub redistributor: RdBase,
    /// Its pending table.
    pub vpt: Vpt,
    /// Its configuration table.
    pub config: ConfigAddress,
    /// PTZ: the pending table is all zero, the GIC need not read it.
    pub zeroed: bool,
    /// [`IntId::NONE`]: no doorbell.
    pub doorbell: IntId,
}

/// Address of a virtual LPI configuration table in VMAPP of GICv4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigAddress(u64);

impl ConfigAddress {
    /// A multiple of 64 KiB within 52 bits.
    pub const fn new(address: u64) -> Option<Self> {
        if address & !0x000f_ffff_ffff_0000 == 0 { Some(Self(address)) } else { None }
    }
    /// Where the table is.
    pub const fn address(self) -> u64 {
        self.0
    }
}

/// What VSGI does to a virtual SGI: it either clears its pending state or sets its configuration,
/// never both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SgiChange {
    /// Takes its pending state away.
    Clear,
    /// Sets its configuration.
    Configure {
        /// It is not masked.
        enabled: bool,
        /// Group 1, or else Group 0.
        group1: bool,
        /// Its top four bits count.
        priority: u8,
    },
}

/// An ITS command.
///
/// `device` and `event` name the interrupt, `vpe` and `collection` where it goes, `redistributor`,
/// `from` and `to` CPUs. `sequence` and `its_list` are VMOVP's for several ITSs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields have types that say what they are")]
pub enum Command {
    /// Device to its interrupt translation table; `None` unmaps it.
    Mapd { device: DeviceId, itt: Option<Itt> },
    /// Collection to its redistributor; `None` unmaps it.
    Mapc { collection: CollectionId, redistributor: Option<RdBase> },
    /// Event to a physical LPI.
    Mapti { device: DeviceId, event: EventId, intid: IntId, collection: CollectionId },
    /// Event to the physical LPI of the same number.
    Mapi { device: DeviceId, event: EventId, collection: CollectionId },
    /// Event's LPI to another collection, with its pending state.
    Movi { device: DeviceId, event: EventId, collection: CollectionId },
    /// All pending LPIs of one redistributor to another.
    Movall { from: RdBase, to: RdBase },
    /// Makes the event pending, as the device would.
    Int { device: DeviceId, event: EventId },
    /// Takes the event's pending state away.
    Clear { device: DeviceId, event: EventId },
    /// Unmaps the event and takes its pending state away.
    Discard { device: DeviceId, event: EventId },
    /// The configuration byte of the event's LPI has changed.
    Inv { device: DeviceId, event: EventId },
    /// Configuration bytes of any LPI of the collection have changed.
    Invall { collection: CollectionId },
    /// Effects of earlier commands on this redistributor are complete.
    Sync { redistributor: RdBase },
    /// GICv4.0: vPE to its pending table and redistributor; `None` unmaps it.
    Vmapp { vpe: VpeId, mapping: Option<VpeMapping> },
    /// GICv4.1 form. `allocate`: this is the first mapping, or the last unmapping, of the vPE on
    /// any ITS.
    VmappV41 { vpe: VpeId, allocate: bool, mapping: Option<VpeMappingV41> },
    /// Event to a virtual LPI, with the doorbell to ring while the vPE is not resident
    /// ([`IntId::NONE`]: none). GICv4.1 wants NONE: its doorbells are vPEs'.
    Vmapti { device: DeviceId, event: EventId, vintid: IntId, vpe: VpeId, doorbell: IntId },
    /// Event to the virtual LPI of the same number.
    Vmapi { device: DeviceId, event: EventId, vpe: VpeId, doorbell: IntId },
    /// Event's vLPI to another vPE, with its pending state. `doorbell`: `None` keeps the present
    /// one.
    Vmovi { device: DeviceId, event: EventId, vpe: VpeId, doorbell: Option<IntId> },
    /// GICv4.0: vPE to another redistributor. With GITS_TYPER.VMOVP = 0 every ITS of `its_list`
    /// gets it with one `sequence`.
    Vmovp { vpe: VpeId, redistributor: RdBase, sequence: u16, its_list: u16 },
    /// GICv4.1 form. `doorbell`: `None` keeps the present default doorbell.
    VmovpV41 {
        vpe: VpeId,
        redistributor: RdBase,
        sequence: u16,
        its_list: u16,
        doorbell: Option<IntId>,
    },
    /// Configuration bytes of any vLPI of the vPE have changed.
    Vinvall { vpe: VpeId },
    /// Effects of earlier commands on this vPE are complete.
    Vsync { vpe: VpeId },
    /// GICv4.1: configures or clears a virtual SGI, 0..16.
    Vsgi { vpe: VpeId, sgi: u8, change: SgiChange },
    /// GICv4.1: the configuration byte of the vPE's default doorbell has changed.
    Invdb { vpe: VpeId },
}

impl Command {
    /// Its opcode, of both versions.
    pub const fn opcode(&self) -> u8 {
        match self {
            Self::Mapd { .. } => opcode::MAPD,
            Self::Mapc { .. } => opcode::MAPC,
            Self::Mapti { .. } => opcode::MAPTI,
            Self::Mapi { .. } => opcode::MAPI,
            Self::Movi { .. } => opcode::MOVI,
            Self::Movall { .. } => opcode::MOVALL,
            Self::Int { .. } => opcode::INT,
            Self::Clear { .. } => opcode::CLEAR,
            Self::Discard { .. } => opcode::DISCARD,
            Self::Inv { .. } => opcode::INV,
            Self::Invall { .. } => opcode::INVALL,
            Self::Sync { .. } => opcode::SYNC,
            Self::Vmapp { .. } | Self::VmappV41 { .. } => opcode::VMAPP,
            Self::Vmapti { .. } => opcode::VMAPTI,
            Self::Vmapi { .. } => opcode::VMAPI,
            Self::Vmovi { .. } => opcode::VMOVI,
            Self::Vmovp { .. } | Self::VmovpV41 { .. } => opcode::VMOVP,
            Self::Vinvall { .. } => opcode::VINVALL,
            Self::Vsync { .. } => opcode::VSYNC,
            Self::Vsgi { .. } => opcode::VSGI,
            Self::Invdb { .. } => opcode::INVDB,
        }
    }

    /// The four doublewords as the ITS reads them. Inlined: who makes a command knows which.
    #[inline(always)]
    pub const fn encode(&self) -> Encoded {
        let mut words = self.operands();
        words[0] |= self.opcode() as u64;
        words
    }

    #[inline(always)]
    const fn operands(&self) -> Encoded {
        use fields::*;
        match *self {
            Self::Mapd { device, itt: None } => [device_id(device), 0, 0, 0],
            Self::Mapd { device, itt: Some(itt) } => {
                [device_id(device), itt.event_bits as u64 - 1, VALID | itt.address, 0]
            }
            Self::Mapc { collection, redistributor: None } => [0, 0, icid(collection), 0],
            Self::Mapc { collection, redistributor: Some(rd) } => {
                [0, 0, VALID | rd.field() | icid(collection), 0]
            }
            Self::Mapti { device, event, intid, collection } => {
                [device_id(device), high(intid.value()) | event_id(event), icid(collection), 0]
            }
            Self::Mapi { device, event, collection } | Self::Movi { device, event, collection } => {
                [device_id(device), event_id(event), icid(collection), 0]
            }
            Self::Movall { from, to } => [0, 0, from.field(), to.field()],
            Self::Int { device, event }
            | Self::Clear { device, event }
            | Self::Discard { device, event }
            | Self::Inv { device, event } => [device_id(device), event_id(event), 0, 0],
            Self::Invall { collection } => [0, 0, icid(collection), 0],
            Self::Sync { redistributor } => [0, 0, redistributor.field(), 0],
            Self::Vmapp { vpe, mapping: None } => [0, vpe_id(vpe), 0, 0],
            Self::Vmapp { vpe, mapping: Some(m) } => {
                [0, vpe_id(vpe), VALID | m.redistributor.field(), vpt(m.vpt)]
            }
            Self::VmappV41 { vpe, allocate, mapping: None } => {
                [flag(allocate, ALLOC), vpe_id(vpe), 0, 0]
            }
            Self::VmappV41 { vpe, allocate, mapping: Some(m) } => [
                m.config.0 | flag(m.zeroed, PTZ) | flag(allocate, ALLOC),
                vpe_id(vpe) | m.doorbell.value() as u64,
                VALID | m.redistributor.field(),
                vpt(m.vpt),
            ],
            Self::Vmapti { device, event, vintid, vpe, doorbell } => [
                device_id(device),
                vpe_id(vpe) | event_id(event),
                high(doorbell.value()) | vintid.value() as u64,
                0,
            ],
            Self::Vmapi { device, event, vpe, doorbell } => {
                [device_id(device), vpe_id(vpe) | event_id(event), high(doorbell.value()), 0]
            }
            Self::Vmovi { device, event, vpe, doorbell: None } => {
                [device_id(device), vpe_id(vpe) | event_id(event), 0, 0]
            }
            Self::Vmovi { device, event, vpe, doorbell: Some(doorbell) } => {
                [device_id(device), vpe_id(vpe) | event_id(event), high(doorbell.value()) | 1, 0]
            }
            Self::Vmovp { vpe, redistributor, sequence, its_list } => {
                [(sequence as u64) << 32, vpe_id(vpe) | its_list as u64, redistributor.field(), 0]
            }
            Self::VmovpV41 { vpe, redistributor, sequence, its_list, doorbell } => {
                let (db, doorbell) = match doorbell {
                    Some(doorbell) => (VALID, doorbell.value() as u64),
                    None => (0, 0),
                };
                [
                    (sequence as u64) << 32,
                    vpe_id(vpe) | its_list as u64,
                    db | redistributor.field(),
                    doorbell,
                ]
            }
            Self::Vinvall { vpe } | Self::Vsync { vpe } | Self::Invdb { vpe } => {
                [0, vpe_id(vpe), 0, 0]
            }
            Self::Vsgi { vpe, sgi, change } => {
                [(((sgi & 0xf) as u64) << 32) | sgi_change(change), vpe_id(vpe), 0, 0]
            }
        }
    }
}
