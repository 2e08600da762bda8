// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Commands from their four doublewords.
//!
//! `decode` is what an ITS does: bits that the command does not define are ignored. `decode_strict`
//! refuses them, to find encoders that put a field in the wrong place.

use super::{
    Command, ConfigAddress, Encoded, Itt, SgiChange, VpeMapping, VpeMappingV41, Vpt, fields, opcode,
};
use crate::intid::{CollectionId, DeviceId, EventId, IntId, RdBase, VpeId};
use core::fmt;

/// Whose form of VMAPP and VMOVP to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// GICv3 and GICv4.0.
    V4_0,
    /// GICv4.1.
    V4_1,
}

/// Why four doublewords are no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// No such command in this version.
    Opcode(u8),
    /// Strict only: RES0 bits are set in this doubleword.
    Reserved {
        /// Whose.
        opcode: u8,
        /// 0 to 3.
        word: u8,
        /// Those that should be 0.
        bits: u64,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opcode(opcode) => write!(f, "no ITS command has opcode {opcode:#04x}"),
            Self::Reserved { opcode, word, bits } => {
                write!(
                    f,
                    "command {opcode:#04x} has reserved bits {bits:#x} set in doubleword {word}"
                )
            }
        }
    }
}

impl core::error::Error for DecodeError {}

const OP: u64 = 0xff;
const HIGH: u64 = 0xffff_ffff_0000_0000;
const LOW: u64 = 0xffff_ffff;
const VPE: u64 = 0xffff_0000_0000;
const ICID: u64 = 0xffff;
const RD: u64 = RdBase::MASK;
const V: u64 = fields::VALID;
/// Size of MAPD and VPT_size of VMAPP.
const SIZE: u64 = 0x1f;

/// Bits that each doubleword of a command defines; None: no such command.
const fn defined(op: u8, version: Version) -> Option<Encoded> {
    let v41 = matches!(version, Version::V4_1);
    Some(match op {
        opcode::MAPD => [HIGH | OP, SIZE, V | 0x000f_ffff_ffff_ff00, 0],
        opcode::MAPC => [OP, 0, V | RD | ICID, 0],
        opcode::MAPTI => [HIGH | OP, HIGH | LOW, ICID, 0],
        opcode::MAPI | opcode::MOVI => [HIGH | OP, LOW, ICID, 0],
        opcode::MOVALL => [OP, 0, RD, RD],
        opcode::INT | opcode::CLEAR | opcode::DISCARD | opcode::INV => [HIGH | OP, LOW, 0, 0],
        opcode::INVALL => [OP, 0, ICID, 0],
        opcode::SYNC => [OP, 0, RD, 0],
        opcode::VMAPP if v41 => {
            [RD | fields::PTZ | fields::ALLOC | OP, VPE | LOW, V | RD, RD | SIZE]
        }
        opcode::VMAPP => [OP, VPE, V | RD, RD | SIZE],
        opcode::VMAPTI => [HIGH | OP, VPE | LOW, HIGH | LOW, 0],
        opcode::VMAPI => [HIGH | OP, VPE | LOW, HIGH, 0],
        opcode::VMOVI => [HIGH | OP, VPE | LOW, HIGH | 1, 0],
        opcode::VMOVP if v41 => [VPE | OP, VPE | 0xffff, V | RD, LOW],
        opcode::VMOVP => [VPE | OP, VPE | 0xffff, RD, 0],
        opcode::VINVALL | opcode::VSYNC => [OP, VPE, 0, 0],
        opcode::INVDB if v41 => [OP, VPE, 0, 0],
        opcode::VSGI if v41 => [0xf_00f0_0700 | OP, VPE, 0, 0],
        _ => return None,
    })
}

impl Command {
    /// The command in its GICv3 or GICv4.0 form.
    pub const fn decode(words: Encoded) -> Result<Self, DecodeError> {
        Self::decode_for(words, Version::V4_0)
    }

    /// The command as an ITS of `version` understands it.
    pub const fn decode_for(words: Encoded, version: Version) -> Result<Self, DecodeError> {
        match defined(words[0] as u8, version) {
            Some(_) => read(words, version),
            None => Err(DecodeError::Opcode(words[0] as u8)),
        }
    }

    /// Like [`Self::decode_for`], and no bit may be set that the command does not define.
    pub fn decode_strict(words: Encoded, version: Version) -> Result<Self, DecodeError> {
        let opcode = words[0] as u8;
        let Some(defined) = defined(opcode, version) else {
            return Err(DecodeError::Opcode(opcode));
        };
        for (word, (bits, defined)) in (0..).zip(words.into_iter().zip(defined)) {
            let bits = bits & !defined;
            if bits != 0 {
                return Err(DecodeError::Reserved { opcode, word, bits });
            }
        }
        read(words, version)
    }
}

const fn read(words: Encoded, version: Version) -> Result<Command, DecodeError> {
    let [w0, w1, w2, w3] = words;
    let v41 = matches!(version, Version::V4_1);
    let device = DeviceId::new((w0 >> 32) as u32);
    let event = EventId::new(w1 as u32);
    let collection = CollectionId::new(w2 as u16);
    let redistributor = RdBase::from_field(w2);
    let vpe = VpeId::new((w1 >> 32) as u16);
    let doorbell = IntId::new((w2 >> 32) as u32);
    let valid = w2 & V != 0;
    Ok(match w0 as u8 {
        // Both fields are masked to what the constructors take, so None means only V = 0.
        opcode::MAPD => Command::Mapd {
            device,
            itt: if valid {
                Itt::new(w2 & 0x000f_ffff_ffff_ff00, (w1 & SIZE) as u8 + 1)
            } else {
                None
            },
        },
        opcode::MAPC => Command::Mapc {
            collection,
            redistributor: if valid { Some(redistributor) } else { None },
        },
        opcode::MAPTI => {
            Command::Mapti { device, event, intid: IntId::new((w1 >> 32) as u32), collection }
        }
        opcode::MAPI => Command::Mapi { device, event, collection },
        opcode::MOVI => Command::Movi { device, event, collection },
        opcode::MOVALL => Command::Movall { from: redistributor, to: RdBase::from_field(w3) },
        opcode::INT => Command::Int { device, event },
        opcode::CLEAR => Command::Clear { device, event },
        opcode::DISCARD => Command::Discard { device, event },
        opcode::INV => Command::Inv { device, event },
        opcode::INVALL => Command::Invall { collection },
        opcode::SYNC => Command::Sync { redistributor },
        opcode::VMAPP if v41 => read_vmapp_v41(words),
        opcode::VMAPP => Command::Vmapp {
            vpe,
            mapping: match Vpt::new(w3 & RD, (w3 & SIZE) as u8 + 1) {
                Some(vpt) if valid => Some(VpeMapping { redistributor, vpt }),
                _ => None,
            },
        },
        opcode::VMAPTI => {
            Command::Vmapti { device, event, vintid: IntId::new(w2 as u32), vpe, doorbell }
        }
        opcode::VMAPI => Command::Vmapi { device, event, vpe, doorbell },
        opcode::VMOVI => Command::Vmovi {
            device,
            event,
            vpe,
            doorbell: if w2 & 1 != 0 { Some(doorbell) } else { None },
        },
        opcode::VMOVP => {
            let (sequence, its_list) = ((w0 >> 32) as u16, w1 as u16);
            if v41 {
                let doorbell = if valid { Some(IntId::new(w3 as u32)) } else { None };
                Command::VmovpV41 { vpe, redistributor, sequence, its_list, doorbell }
            } else {
                Command::Vmovp { vpe, redistributor, sequence, its_list }
            }
        }
        opcode::VINVALL => Command::Vinvall { vpe },
        opcode::VSYNC => Command::Vsync { vpe },
        opcode::VSGI => read_vsgi(w0, vpe),
        opcode::INVDB => Command::Invdb { vpe },
        other => return Err(DecodeError::Opcode(other)),
    })
}

const fn read_vmapp_v41(words: Encoded) -> Command {
    let [w0, w1, w2, w3] = words;
    let mapping = match (Vpt::new(w3 & RD, (w3 & SIZE) as u8 + 1), ConfigAddress::new(w0 & RD)) {
        (Some(vpt), Some(config)) if w2 & V != 0 => Some(VpeMappingV41 {
            redistributor: RdBase::from_field(w2),
            vpt,
            config,
            zeroed: w0 & fields::PTZ != 0,
            doorbell: IntId::new(w1 as u32),
        }),
        _ => None,
    };
    Command::VmappV41 {
        vpe: VpeId::new((w1 >> 32) as u16),
        allocate: w0 & fields::ALLOC != 0,
        mapping,
    }
}

const fn read_vsgi(w0: u64, vpe: VpeId) -> Command {
    let change = if w0 & fields::SGI_CLEAR != 0 {
        SgiChange::Clear
    } else {
        SgiChange::Configure {
            enabled: w0 & fields::SGI_ENABLE != 0,
            group1: w0 & fields::SGI_GROUP1 != 0,
            priority: ((w0 >> 16) & 0xf0) as u8,
        }
    };
    Command::Vsgi { vpe, sgi: ((w0 >> 32) & 0xf) as u8, change }
}
