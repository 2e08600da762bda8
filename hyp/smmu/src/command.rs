// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Commands: typed, encoded, decoded (IHI 0070 4.1 to 4.7).
//!
//! A command is two doublewords. Those here are all that a stage-2 SMMU needs; any other opcode is
//! an error to `decode`, as it is CERROR_ILL to an SMMU that lacks it.

use crate::number::{StreamId, Vmid};
use core::fmt;

/// An encoded command.
pub type Encoded = [u64; 2];
/// Bytes of a command.
pub const COMMAND_BYTES: u64 = 16;

/// Opcodes, bits 7:0 (IHI 0070 4.1.1).
pub mod opcode {
    pub const CFGI_STE: u8 = 0x03;
    /// CMD_CFGI_STE_RANGE; with Range 31 it is CMD_CFGI_ALL.
    pub const CFGI_STE_RANGE: u8 = 0x04;
    pub const TLBI_S12_VMALL: u8 = 0x28;
    pub const TLBI_NSNH_ALL: u8 = 0x30;
    pub const SYNC: u8 = 0x46;
}

/// CMD_CFGI_STE_RANGE.Range of CMD_CFGI_ALL: 2^32 StreamIDs.
const RANGE_ALL: u64 = 31;
/// CMD_CFGI_STE.Leaf: level-1 descriptors have not changed.
const LEAF: u64 = 1;

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// CMD_CFGI_STE: forget this stream's entry; not `leaf`: its level-1 descriptor as well.
    CfgiSte { stream: StreamId, leaf: bool },
    /// CMD_CFGI_ALL: forget every entry and descriptor.
    CfgiAll,
    /// CMD_TLBI_S12_VMALL: forget this VM's translations.
    TlbiS12Vmall { vmid: Vmid },
    /// CMD_TLBI_NSNH_ALL: forget every Non-secure translation that is not EL2's.
    TlbiNsnhAll,
    /// CMD_SYNC, signalled to nobody: consumed when all before it is complete.
    Sync,
}

/// Why two doublewords are no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// No such command here.
    Opcode(u8),
    /// Bits that this command does not have are set in this doubleword.
    Reserved { opcode: u8, word: u8, bits: u64 },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opcode(opcode) => write!(f, "no SMMU command with opcode {opcode:#04x} is used"),
            Self::Reserved { opcode, word, bits } => {
                write!(f, "command {opcode:#04x} has bits {bits:#x} set in doubleword {word}")
            }
        }
    }
}

impl core::error::Error for DecodeError {}

impl Command {
    /// The two doublewords as the SMMU reads them.
    pub const fn encode(&self) -> Encoded {
        match *self {
            Self::CfgiSte { stream, leaf } => {
                [opcode::CFGI_STE as u64 | (stream.value() as u64) << 32, leaf as u64]
            }
            Self::CfgiAll => [opcode::CFGI_STE_RANGE as u64, RANGE_ALL],
            Self::TlbiS12Vmall { vmid } => {
                [opcode::TLBI_S12_VMALL as u64 | (vmid.value() as u64) << 32, 0]
            }
            Self::TlbiNsnhAll => [opcode::TLBI_NSNH_ALL as u64, 0],
            Self::Sync => [opcode::SYNC as u64, 0],
        }
    }

    /// The command; no bit may be set that it does not use.
    pub const fn decode(words: Encoded) -> Result<Self, DecodeError> {
        let opcode = words[0] as u8;
        let command = match opcode {
            opcode::CFGI_STE => {
                let stream = StreamId::new((words[0] >> 32) as u32);
                Self::CfgiSte { stream, leaf: words[1] & LEAF != 0 }
            }
            opcode::CFGI_STE_RANGE => Self::CfgiAll,
            opcode::TLBI_S12_VMALL => {
                Self::TlbiS12Vmall { vmid: Vmid::new((words[0] >> 32) as u16) }
            }
            opcode::TLBI_NSNH_ALL => Self::TlbiNsnhAll,
            opcode::SYNC => Self::Sync,
            other => return Err(DecodeError::Opcode(other)),
        };
        // What encoding again does not give back belongs to no field.
        let again = command.encode();
        match (words[0] ^ again[0], words[1] ^ again[1]) {
            (0, 0) => Ok(command),
            (0, bits) => Err(DecodeError::Reserved { opcode, word: 1, bits }),
            (bits, _) => Err(DecodeError::Reserved { opcode, word: 0, bits }),
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CfgiSte { stream, leaf: true } => write!(f, "CFGI_STE {:#x}", stream.value()),
            Self::CfgiSte { stream, leaf: false } => {
                write!(f, "CFGI_STE {:#x} and its descriptor", stream.value())
            }
            Self::CfgiAll => f.write_str("CFGI_ALL"),
            Self::TlbiS12Vmall { vmid } => write!(f, "TLBI_S12_VMALL {}", vmid.value()),
            Self::TlbiNsnhAll => f.write_str("TLBI_NSNH_ALL"),
            Self::Sync => f.write_str("SYNC"),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::string::ToString;

    const TABLE: [(Command, Encoded, &str); 6] = [
        (
            Command::CfgiSte { stream: StreamId::new(0x1234_5678), leaf: true },
            [0x1234_5678_0000_0003, 1],
            "CFGI_STE 0x12345678",
        ),
        (
            Command::CfgiSte { stream: StreamId::new(0x18), leaf: false },
            [0x0000_0018_0000_0003, 0],
            "CFGI_STE 0x18 and its descriptor",
        ),
        (Command::CfgiAll, [0x04, 0x1f], "CFGI_ALL"),
        (
            Command::TlbiS12Vmall { vmid: Vmid::new(0xabcd) },
            [0x0000_abcd_0000_0028, 0],
            "TLBI_S12_VMALL 43981",
        ),
        (Command::TlbiNsnhAll, [0x30, 0], "TLBI_NSNH_ALL"),
        (Command::Sync, [0x46, 0], "SYNC"),
    ];

    #[test]
    fn commands_as_the_manual_draws_them() {
        for (command, words, text) in TABLE {
            assert_eq!(command.encode(), words, "{command}");
            assert_eq!(Command::decode(words), Ok(command));
            assert_eq!(command.to_string(), text);
        }
    }

    #[test]
    fn a_bit_that_no_field_has_is_refused() {
        let mut refused = 0;
        for (command, words, _) in TABLE {
            for bit in 8..128 {
                let mut changed = words;
                changed[bit / 64] ^= 1 << (bit % 64);
                match Command::decode(changed) {
                    Ok(other) => assert_ne!(other, command, "bit {bit} of {command}"),
                    Err(DecodeError::Reserved { word, bits, .. }) => {
                        assert_eq!((usize::from(word), bits), (bit / 64, 1 << (bit % 64)));
                        refused += 1;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
        // Fields: 32 + 1 bits twice in CFGI_STE, 16 in TLBI_S12_VMALL.
        assert_eq!(refused, 6 * 120 - 2 * 33 - 16);
    }

    #[test]
    fn every_other_opcode_is_refused() {
        let known = [0x03, 0x04, 0x28, 0x30, 0x46];
        for opcode in (0..=0xff_u8).filter(|opcode| !known.contains(opcode)) {
            assert_eq!(Command::decode([opcode.into(), 0]), Err(DecodeError::Opcode(opcode)));
        }
    }
}
