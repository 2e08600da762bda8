// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Numbers with a meaning: addresses and indices.
//!
//! An index is checked by codegen to lie within its table; `usize` comes out only to index that
//! table.

use core::fmt;

/// Guest physical address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "host", derive(Default, PartialOrd, Ord))]
#[repr(transparent)]
pub struct Ipa(u64);

/// Physical address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "host", derive(Default, PartialOrd, Ord))]
#[repr(transparent)]
pub struct Pa(u64);

macro_rules! address {
    ($name:ident) => {
        impl $name {
            pub const fn new(value: u64) -> Self {
                Self(value)
            }
            pub const fn value(self) -> u64 {
                self.0
            }
            /// The address `bytes` further on, wrapping.
            pub const fn offset(self, bytes: u64) -> Self {
                Self(self.0.wrapping_add(bytes))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(
                    f,
                    "0x{:04x}_{:04x}_{:04x}_{:04x}",
                    self.0 >> 48,
                    (self.0 >> 32) & 0xffff,
                    (self.0 >> 16) & 0xffff,
                    self.0 & 0xffff
                )
            }
        }
    };
}
address!(Ipa);
address!(Pa);

/// Written, printed and sent in base 16.
#[cfg(feature = "host")]
macro_rules! on_the_host {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl crate::constant::Constant for $name {
            fn constant(&self) -> proc_macro2::TokenStream {
                let value = crate::constant::hex(self.0);
                quote::quote!(plan::$name::new(#value))
            }
        }
    )*};
}
#[cfg(feature = "host")]
on_the_host!(Ipa Pa);

macro_rules! index {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "host", derive(PartialOrd, Ord, serde::Serialize, crate::constant::Constant))]
        #[repr(transparent)]
        pub struct $name(u16);
        impl $name {
            pub const fn new(value: u16) -> Self {
                Self(value)
            }
            pub const fn value(self) -> u16 {
                self.0
            }
            pub const fn index(self) -> usize {
                self.0 as usize
            }
            /// Of an entry's position in its table, which codegen bounds.
            #[cfg(feature = "host")]
            pub const fn at(position: usize) -> Self {
                Self(position as u16)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($what, " {}"), self.0)
            }
        }
    };
}
index!(
    /// Index into `Plan::cpus`.
    CpuIndex, "CPU"
);
index!(
    /// Index into `Plan::vms`.
    VmIndex, "VM"
);
index!(
    /// Index into `Plan::vpes`, and the vPEID the ITS knows (IHI 0069 5.3).
    VpeIndex, "vPE"
);
index!(
    /// VTTBR_EL2.VMID of a VM; never 0 (DDI 0487, VTTBR_EL2).
    VmId, "VMID"
);

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;

    #[test]
    fn numbers_print_as_a_person_would_say_them() {
        assert_eq!(format!("{:?}", Pa::new(0x4000_0000)), "0x0000_0000_4000_0000");
        assert_eq!(format!("{:?}", CpuIndex::new(3)), "CPU 3");
        assert_eq!(format!("{:?}", VpeIndex::new(3)), "vPE 3");
    }
}
