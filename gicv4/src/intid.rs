// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Interrupt, device, event, vPE, collection and redistributor numbers.
//!
//! Every number that the GIC knows has its own type here, so that an EventID is never given where
//! an INTID is meant. Constructors are `const`; those that can refuse return an `Option`. IHI 0069H
//! 2.2 (INTIDs) and 5.3 (command fields).

use core::fmt;

/// What an INTID stands for (IHI 0069H 2.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Software generated, 0..16.
    Sgi,
    /// Private to a processing element, 16..32 and the extended range 1056..1120.
    Ppi,
    /// Shared peripheral, 32..1020 and the extended range 4096..5120.
    Spi,
    /// 1020..1024: "no interrupt" and its kin.
    Special,
    /// Locality-specific, 8192 and up; physical or virtual.
    Lpi,
    /// Not an interrupt in any implementation.
    Reserved,
}

/// An interrupt number, physical or virtual, as acknowledge registers and tables hold it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct IntId(u32);

impl IntId {
    /// "No interrupt": what an acknowledge reads when nothing is pending, and "no doorbell" in
    /// VMAPTI.
    pub const NONE: Self = Self(1023);
    /// The first LPI.
    pub const FIRST_LPI: Self = Self(8192);

    /// Any INTID; `kind` says what it is.
    pub const fn new(value: u32) -> Self {
        Self(value)
    }

    /// SGI `n`, 0..16.
    pub const fn sgi(n: u32) -> Option<Self> {
        if n < 16 { Some(Self(n)) } else { None }
    }

    /// PPI by its INTID, 16..32.
    pub const fn ppi(intid: u32) -> Option<Self> {
        if intid >= 16 && intid < 32 { Some(Self(intid)) } else { None }
    }

    /// SPI by its INTID, 32..1020.
    pub const fn spi(intid: u32) -> Option<Self> {
        if intid >= 32 && intid < 1020 { Some(Self(intid)) } else { None }
    }

    /// LPI by its INTID, 8192 and up.
    pub const fn lpi(intid: u32) -> Option<Self> {
        if intid >= Self::FIRST_LPI.0 { Some(Self(intid)) } else { None }
    }

    /// The number.
    pub const fn value(self) -> u32 {
        self.0
    }

    /// By its range (IHI 0069H 2.2.1).
    pub const fn kind(self) -> Kind {
        match self.0 {
            0..16 => Kind::Sgi,
            16..32 | 1056..1120 => Kind::Ppi,
            32..1020 | 4096..5120 => Kind::Spi,
            1020..1024 => Kind::Special,
            8192.. => Kind::Lpi,
            _ => Kind::Reserved,
        }
    }

    /// Position in an LPI configuration table; None unless it is an LPI.
    pub const fn lpi_index(self) -> Option<u32> {
        self.0.checked_sub(Self::FIRST_LPI.0)
    }
}

impl fmt::Debug for IntId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            Kind::Sgi => write!(f, "SGI {}", self.0),
            Kind::Ppi => write!(f, "PPI {}", self.0),
            Kind::Spi => write!(f, "SPI {}", self.0),
            Kind::Lpi => write!(f, "LPI {}", self.0),
            Kind::Special if self.0 == Self::NONE.0 => f.write_str("none"),
            Kind::Special | Kind::Reserved => write!(f, "INTID {}", self.0),
        }
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $inner:ty, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(transparent)]
        pub struct $name($inner);
        impl $name {
            /// Any value; whoever uses it knows how many bits there are.
            pub const fn new(value: $inner) -> Self {
                Self(value)
            }
            /// The number.
            pub const fn value(self) -> $inner {
                self.0
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($what, " {}"), self.0)
            }
        }
    };
}
number!(
    /// Who writes to GITS_TRANSLATER; for PCIe the RequesterID.
    DeviceId, u32, "device"
);
number!(
    /// What a device writes to GITS_TRANSLATER.
    EventId, u32, "event"
);
number!(
    /// A virtual processing element, index into the vPE table.
    VpeId, u16, "vPE"
);
number!(
    /// An ICID, index into the collection table.
    CollectionId, u16, "collection"
);

/// A redistributor as ITS commands name it; GITS_TYPER.PTA says in which form (IHI 0069H 5.3.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct RdBase(u64);

impl RdBase {
    /// Bits 51:16 of a command's doubleword.
    pub(crate) const MASK: u64 = 0x000f_ffff_ffff_0000;

    /// PTA = 0: GICR_TYPER.Processor_Number.
    pub const fn processor(number: u16) -> Self {
        Self((number as u64) << 16)
    }

    /// PTA = 1: physical address of RD_base, a multiple of 64 KiB within 52 bits.
    pub const fn address(address: u64) -> Option<Self> {
        if address & !Self::MASK == 0 { Some(Self(address)) } else { None }
    }

    /// From the field's place in a doubleword; other bits are dropped.
    pub const fn from_field(doubleword: u64) -> Self {
        Self(doubleword & Self::MASK)
    }

    /// The field in its place, bits 51:16.
    pub const fn field(self) -> u64 {
        self.0
    }

    /// The processor number, if this is the PTA = 0 form.
    pub const fn processor_number(self) -> u64 {
        self.0 >> 16
    }
}

impl fmt::Debug for RdBase {
    /// The form is not part of the value: what would be an address below 64 MiB (0x400 frames of 64
    /// KiB) prints as a processor number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.processor_number() {
            number @ 0..0x400 => write!(f, "redistributor {number}"),
            _ => write!(f, "redistributor at {:#x}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;

    #[test]
    fn kinds_follow_the_ranges() {
        for (intid, kind) in [
            (0, Kind::Sgi),
            (15, Kind::Sgi),
            (16, Kind::Ppi),
            (31, Kind::Ppi),
            (32, Kind::Spi),
            (1019, Kind::Spi),
            (1020, Kind::Special),
            (1023, Kind::Special),
            (1024, Kind::Reserved),
            (1056, Kind::Ppi),
            (1119, Kind::Ppi),
            (1120, Kind::Reserved),
            (4096, Kind::Spi),
            (5119, Kind::Spi),
            (5120, Kind::Reserved),
            (8191, Kind::Reserved),
            (8192, Kind::Lpi),
            (u32::MAX, Kind::Lpi),
        ] {
            assert_eq!(IntId::new(intid).kind(), kind, "{intid}");
        }
    }

    #[test]
    fn constructors_refuse_what_is_outside() {
        assert!(IntId::sgi(15).is_some() && IntId::sgi(16).is_none());
        assert!(IntId::ppi(15).is_none() && IntId::ppi(16).is_some() && IntId::ppi(32).is_none());
        assert!(
            IntId::spi(31).is_none() && IntId::spi(1019).is_some() && IntId::spi(1020).is_none()
        );
        assert!(IntId::lpi(8191).is_none() && IntId::lpi(8192).is_some());
        assert!(RdBase::address(0x80a_0000).is_some());
        assert!(RdBase::address(0x80a_1000).is_none());
        assert!(RdBase::address(1 << 52).is_none());
    }

    #[test]
    fn numbers_print_as_a_person_would_say_them() {
        assert_eq!(format!("{:?}", IntId::new(8193)), "LPI 8193");
        assert_eq!(format!("{:?}", IntId::new(27)), "PPI 27");
        assert_eq!(format!("{:?}", IntId::NONE), "none");
        assert_eq!(format!("{:?}", DeviceId::new(16)), "device 16");
        assert_eq!(format!("{:?}", VpeId::new(1)), "vPE 1");
        assert_eq!(format!("{:?}", RdBase::processor(3)), "redistributor 3");
        assert_eq!(format!("{:?}", RdBase::from_field(0x80a_0000)), "redistributor at 0x80a0000");
    }
}
