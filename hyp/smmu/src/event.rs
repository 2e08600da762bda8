// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Fault records of the event queue, decoded (IHI 0070 7.3).
//!
//! A record is four doublewords. Which fields it has depends on its kind; a field that it does not
//! have is `None`, whatever the bits say.

use crate::number::StreamId;
use core::fmt;

/// A record as the SMMU writes it.
pub type Encoded = [u64; 4];
/// Bytes of a record.
pub const EVENT_BYTES: u64 = 32;

/// What happened: bits 7:0 of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// F_UUT: a transaction that the SMMU does not support.
    Unsupported,
    /// C_BAD_STREAMID: no entry in the stream table.
    BadStreamId,
    /// F_STE_FETCH: the entry could not be read.
    SteFetch,
    /// C_BAD_STE: the entry is invalid or illegal.
    BadSte,
    /// F_BAD_ATS_TREQ.
    BadAtsRequest,
    /// F_STREAM_DISABLED.
    StreamDisabled,
    /// F_TRANSL_FORBIDDEN: a translated transaction where ATS is off.
    TranslationForbidden,
    /// C_BAD_SUBSTREAMID.
    BadSubstreamId,
    /// F_CD_FETCH.
    CdFetch,
    /// C_BAD_CD.
    BadCd,
    /// F_WALK_EABT: a translation table could not be read.
    WalkAbort,
    /// F_TRANSLATION: the address is not mapped.
    Translation,
    /// F_ADDR_SIZE.
    AddressSize,
    /// F_ACCESS: the access flag is clear.
    AccessFlag,
    /// F_PERMISSION.
    Permission,
    /// F_TLB_CONFLICT.
    TlbConflict,
    /// F_CFG_CONFLICT.
    ConfigConflict,
    /// E_PAGE_REQUEST.
    PageRequest,
    /// F_VMS_FETCH.
    VmsFetch,
    /// IMPDEF_EVENTn, 0xe0 to 0xef.
    Implementation(u8),
    /// A number that the manual does not give.
    Other(u8),
}

/// Which fields beyond StreamID and SubstreamID a kind has.
#[derive(Clone, Copy, Default)]
struct Fields {
    address: bool,
    access: bool,
    /// S2, CLASS, and an IPA if S2.
    stage: bool,
    stall: bool,
    fetch: bool,
}

impl Kind {
    pub const fn number(self) -> u8 {
        match self {
            Self::Unsupported => 0x01,
            Self::BadStreamId => 0x02,
            Self::SteFetch => 0x03,
            Self::BadSte => 0x04,
            Self::BadAtsRequest => 0x05,
            Self::StreamDisabled => 0x06,
            Self::TranslationForbidden => 0x07,
            Self::BadSubstreamId => 0x08,
            Self::CdFetch => 0x09,
            Self::BadCd => 0x0a,
            Self::WalkAbort => 0x0b,
            Self::Translation => 0x10,
            Self::AddressSize => 0x11,
            Self::AccessFlag => 0x12,
            Self::Permission => 0x13,
            Self::TlbConflict => 0x20,
            Self::ConfigConflict => 0x21,
            Self::PageRequest => 0x24,
            Self::VmsFetch => 0x25,
            Self::Implementation(number) | Self::Other(number) => number,
        }
    }

    pub const fn from_number(number: u8) -> Self {
        match number {
            0x01 => Self::Unsupported,
            0x02 => Self::BadStreamId,
            0x03 => Self::SteFetch,
            0x04 => Self::BadSte,
            0x05 => Self::BadAtsRequest,
            0x06 => Self::StreamDisabled,
            0x07 => Self::TranslationForbidden,
            0x08 => Self::BadSubstreamId,
            0x09 => Self::CdFetch,
            0x0a => Self::BadCd,
            0x0b => Self::WalkAbort,
            0x10 => Self::Translation,
            0x11 => Self::AddressSize,
            0x12 => Self::AccessFlag,
            0x13 => Self::Permission,
            0x20 => Self::TlbConflict,
            0x21 => Self::ConfigConflict,
            0x24 => Self::PageRequest,
            0x25 => Self::VmsFetch,
            0xe0..=0xef => Self::Implementation(number),
            other => Self::Other(other),
        }
    }

    /// True if a device's own transaction caused it, rather than a table that EL2 owns.
    pub const fn is_devices(self) -> bool {
        !matches!(
            self,
            Self::SteFetch
                | Self::BadSte
                | Self::CdFetch
                | Self::BadCd
                | Self::WalkAbort
                | Self::TlbConflict
                | Self::ConfigConflict
                | Self::VmsFetch
                | Self::Implementation(_)
                | Self::Other(_)
        )
    }

    const fn fields(self) -> Fields {
        let none =
            Fields { address: false, access: false, stage: false, stall: false, fetch: false };
        match self {
            Self::Unsupported | Self::TranslationForbidden => {
                Fields { address: true, access: true, ..none }
            }
            Self::BadAtsRequest | Self::PageRequest => Fields { address: true, ..none },
            Self::SteFetch | Self::CdFetch | Self::VmsFetch => Fields { fetch: true, ..none },
            Self::WalkAbort => {
                Fields { address: true, access: true, stage: true, fetch: true, ..none }
            }
            Self::Translation | Self::AddressSize | Self::AccessFlag | Self::Permission => {
                Fields { address: true, access: true, stage: true, stall: true, ..none }
            }
            Self::TlbConflict => Fields { address: true, access: true, stage: true, ..none },
            _ => none,
        }
    }
}

impl Kind {
    /// What happened, for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Unsupported => "unsupported transaction",
            Self::BadStreamId => "no entry in the stream table",
            Self::SteFetch => "the stream table entry could not be read",
            Self::BadSte => "the stream table entry is invalid",
            Self::BadAtsRequest => "ATS request where ATS is off",
            Self::StreamDisabled => "stream disabled",
            Self::TranslationForbidden => "translated address where ATS is off",
            Self::BadSubstreamId => "substream where there are none",
            Self::CdFetch => "the context descriptor could not be read",
            Self::BadCd => "the context descriptor is invalid",
            Self::WalkAbort => "a translation table could not be read",
            Self::Translation => "not mapped",
            Self::AddressSize => "address too large",
            Self::AccessFlag => "access flag clear",
            Self::Permission => "no permission",
            Self::TlbConflict => "TLB conflict",
            Self::ConfigConflict => "configuration cache conflict",
            Self::PageRequest => "page request",
            Self::VmsFetch => "the VM structure could not be read",
            Self::Implementation(_) => "an event of this implementation",
            Self::Other(_) => "an event that the manual does not have",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Implementation(number) | Self::Other(number) => {
                write!(f, "{}, {number:#04x}", self.text())
            }
            kind => f.write_str(kind.text()),
        }
    }
}

/// What the SMMU was doing for the transaction: CLASS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Reading a context descriptor.
    ContextDescriptor,
    /// Reading a translation table.
    TableWalk,
    /// Translating the address that the device gave.
    Input,
    Reserved,
}

/// How the device accessed memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    pub write: bool,
    pub instruction: bool,
    pub privileged: bool,
}

/// Which stage refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    One {
        class: Class,
    },
    /// `ipa` is the page's.
    Two {
        class: Class,
        ipa: u64,
    },
}

/// A fault record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    pub kind: Kind,
    pub stream: StreamId,
    pub substream: Option<u32>,
    /// As the device gave it.
    pub address: Option<u64>,
    pub access: Option<Access>,
    pub stage: Option<Stage>,
    /// The transaction waits for CMD_RESUME with this tag. Entries of this crate never stall.
    pub stall: Option<u16>,
    /// Physical address that could not be read.
    pub fetch: Option<u64>,
}

/// Bits of doubleword 0: SSV, SubstreamID 31:12, StreamID 63:32.
const SSV: u64 = 1 << 11;
/// Bits of doubleword 1: STAG 15:0, Stall, PnU, InD, RnW, S2, CLASS 41:40.
const STALL: u64 = 1 << 31;
const PRIVILEGED: u64 = 1 << 33;
const INSTRUCTION: u64 = 1 << 34;
const READ: u64 = 1 << 35;
const STAGE2: u64 = 1 << 39;
const CLASS: u32 = 40;
/// IPA, bits 51:12 of doubleword 3.
const IPA: u64 = 0x000f_ffff_ffff_f000;
/// FetchAddr, bits 51:3 of doubleword 3.
const FETCH: u64 = 0x000f_ffff_ffff_fff8;

impl Event {
    /// An event of a kind that says no more than the stream.
    pub const fn new(kind: Kind, stream: StreamId) -> Self {
        Self {
            kind,
            stream,
            substream: None,
            address: None,
            access: None,
            stage: None,
            stall: None,
            fetch: None,
        }
    }

    pub const fn decode(words: Encoded) -> Self {
        let [w0, w1, w2, w3] = words;
        let kind = Kind::from_number(w0 as u8);
        let fields = kind.fields();
        let mut event = Self::new(kind, StreamId::new((w0 >> 32) as u32));
        if w0 & SSV != 0 {
            event.substream = Some((w0 >> 12) as u32 & 0xf_ffff);
        }
        if fields.address {
            event.address = Some(w2);
        }
        if fields.access {
            event.access = Some(Access {
                write: w1 & READ == 0,
                instruction: w1 & INSTRUCTION != 0,
                privileged: w1 & PRIVILEGED != 0,
            });
        }
        if fields.stage {
            let class = match (w1 >> CLASS) & 3 {
                0 => Class::ContextDescriptor,
                1 => Class::TableWalk,
                2 => Class::Input,
                _ => Class::Reserved,
            };
            event.stage = Some(if w1 & STAGE2 == 0 {
                Stage::One { class }
            } else {
                // F_WALK_EABT has the address of the descriptor where others have the IPA.
                Stage::Two { class, ipa: if fields.fetch { w2 & IPA } else { w3 & IPA } }
            });
        }
        if fields.stall && w1 & STALL != 0 {
            event.stall = Some(w1 as u16);
        }
        if fields.fetch {
            event.fetch = Some(w3 & FETCH);
        }
        event
    }

    /// The record as an SMMU writes it; a field that the kind does not have is left out.
    pub const fn encode(&self) -> Encoded {
        let fields = self.kind.fields();
        let mut words = [self.kind.number() as u64 | (self.stream.value() as u64) << 32, 0, 0, 0];
        if let Some(substream) = self.substream {
            words[0] |= SSV | ((substream & 0xf_ffff) as u64) << 12;
        }
        if let (true, Some(address)) = (fields.address, self.address) {
            words[2] = address;
        }
        if let (true, Some(access)) = (fields.access, self.access) {
            words[1] |= if access.write { 0 } else { READ }
                | if access.instruction { INSTRUCTION } else { 0 }
                | if access.privileged { PRIVILEGED } else { 0 };
        }
        if let (true, Some(stage)) = (fields.stage, self.stage) {
            let (class, second) = match stage {
                Stage::One { class } => (class, 0),
                Stage::Two { class, ipa } => {
                    if !fields.fetch {
                        words[3] = ipa & IPA;
                    }
                    (class, STAGE2)
                }
            };
            words[1] |= second | (class as u64) << CLASS;
        }
        if let (true, Some(tag)) = (fields.stall, self.stall) {
            words[1] |= STALL | tag as u64;
        }
        if let (true, Some(fetch)) = (fields.fetch, self.fetch) {
            words[3] = fetch & FETCH;
        }
        words
    }
}

impl fmt::Display for Event {
    /// As in "StreamID 0x18 writes 0x40213000: not mapped".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.stream)?;
        if let Some(substream) = self.substream {
            write!(f, " substream {substream:#x}")?;
        }
        let verb = match self.access {
            Some(Access { write: true, .. }) => "writes",
            Some(Access { instruction: true, .. }) => "fetches",
            Some(_) => "reads",
            None => "asks for",
        };
        if let Some(address) = self.address {
            write!(f, " {verb} {address:#x}")?;
        }
        write!(f, ": {}", self.kind)?;
        if let Some(fetch) = self.fetch {
            write!(f, " at {fetch:#x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::string::ToString;

    /// Records that QEMU wrote for a probe, and what they say.
    const SEEN: [(Encoded, &str); 6] = [
        ([0x18_0000_0004, 0, 0, 0], "StreamID 0x18: the stream table entry is invalid"),
        ([0x100_0000_0002, 0, 0, 0], "StreamID 0x100: no entry in the stream table"),
        (
            [0x18_0000_0013, 0x280_0000_0000, 0x4021_2000, 0x4021_2000],
            "StreamID 0x18 writes 0x40212000: no permission",
        ),
        (
            [0x18_0000_0010, 0x288_0000_0000, 0x4021_3000, 0x4021_3000],
            "StreamID 0x18 reads 0x40213000: not mapped",
        ),
        (
            [0x18_0000_0010, 0x280_0000_0000, 0x0809_0040, 0x0809_0000],
            "StreamID 0x18 writes 0x8090040: not mapped",
        ),
        (
            [0x18_0000_0012, 0x280_0000_0000, 0x4021_1000, 0x4021_1000],
            "StreamID 0x18 writes 0x40211000: access flag clear",
        ),
    ];

    #[test]
    fn records_of_qemu() {
        for (words, text) in SEEN {
            let event = Event::decode(words);
            assert_eq!(event.to_string(), text);
            assert_eq!(event.encode(), words, "{text}");
        }
        let event = Event::decode(SEEN[4].0);
        assert_eq!(event.address, Some(0x0809_0040));
        assert_eq!(event.stage, Some(Stage::Two { class: Class::Input, ipa: 0x0809_0000 }));
    }

    /// Each field with every bit set, by hand from 7.3.
    #[test]
    fn fields_of_each_kind() {
        const HEAD: u64 = 0xffff_ffff_ffff_f800;
        let all = Access { write: false, instruction: true, privileged: true };
        for number in 0..=0xff_u8 {
            let event = Event::decode([HEAD | u64::from(number), u64::MAX, u64::MAX, u64::MAX]);
            assert_eq!(event.kind.number(), number);
            assert_eq!((event.stream.value(), event.substream), (0xffff_ffff, Some(0xf_ffff)));
            let (address, access, stage, stall, fetch) = match number {
                0x01 | 0x07 => (true, true, false, false, false),
                0x05 | 0x24 => (true, false, false, false, false),
                0x03 | 0x09 | 0x25 => (false, false, false, false, true),
                0x0b => (true, true, true, false, true),
                0x10..=0x13 => (true, true, true, true, false),
                0x20 => (true, true, true, false, false),
                _ => (false, false, false, false, false),
            };
            assert_eq!(event.address, address.then_some(u64::MAX), "{number:#x}");
            assert_eq!(event.access, access.then_some(all), "{number:#x}");
            let two = Stage::Two { class: Class::Reserved, ipa: IPA };
            assert_eq!(event.stage, stage.then_some(two), "{number:#x}");
            assert_eq!(event.stall, stall.then_some(0xffff), "{number:#x}");
            assert_eq!(event.fetch, fetch.then_some(FETCH), "{number:#x}");
            assert_eq!(Event::decode(event.encode()), event, "{number:#x}");
        }
    }

    #[test]
    fn a_devices_own_faults_are_charged_to_it() {
        for number in [0x01, 0x02, 0x05, 0x06, 0x07, 0x08, 0x10, 0x11, 0x12, 0x13, 0x24] {
            assert!(Kind::from_number(number).is_devices(), "{number:#x}");
        }
        for number in [0, 0x03, 0x04, 0x09, 0x0a, 0x0b, 0x20, 0x21, 0x25, 0xe0, 0xff] {
            assert!(!Kind::from_number(number).is_devices(), "{number:#x}");
        }
    }
}
