// SPDX-License-Identifier: Apache-2.0 OR MIT
//! EL2's own memory and translation.

#[cfg(feature = "host")]
use crate::Text;
use crate::{Hex, List, Pa, Span};

/// Where EL2's own tables are, and what registers say of them.
#[derive(Debug)]
#[cfg_attr(feature = "host", derive(Clone, serde::Serialize, crate::constant::Constant))]
pub struct Hypervisor {
    /// First byte of what the TOML reserves for it.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub base: Pa,
    /// Reserved for it by the TOML.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub bytes: u64,
    /// First byte of the image. Tables of zeros may lie below.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub image: Pa,
    /// For text, data, bss and stacks.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub room: u64,
    /// CPUs that have one: from the first to the last in use.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub stacks: u64,
    /// First byte of tables.bin.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub tables: Pa,
    /// Bytes of tables.bin: everything up to the last table or copy that does not start as zeros.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub tables_loaded: u64,
    /// Bytes of all tables and copies from `tables` on, with the gaps between them.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub tables_bytes: u64,
    /// Bytes of payload copies.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub copies: u64,
    /// TTBR0_EL2.
    pub ttbr: Pa,
    /// TCR_EL2, without PS.
    pub tcr: Hex,
    /// Level-3 table of the 2 MiB that hold text and constants.
    pub image_l3: Pa,
    /// Address of the first CPU's window on memory that is not EL2's own. The others' follow.
    pub window: Hex,
    /// Where the level-3 descriptors of the windows are: one for each page, 0 while it is shut.
    pub window_entries: Pa,
    /// Bytes of each CPU's stack.
    pub stack_bytes: u64,
    /// Memory that EL2 clears once at boot: the tables that hardware requires to be zero. 64-byte
    /// multiples.
    pub cleared: List<Span>,
    /// Every table and payload copy, by address.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub items: List<Item>,
    /// All that is used from `base` on, payload copies not counted.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub kept: u64,
    /// The bytes of tables.bin.
    #[cfg(feature = "host")]
    #[constant(host)]
    #[serde(skip)]
    pub tables_bin: List<u8>,
}

/// A table or a payload copy.
#[cfg(feature = "host")]
#[derive(Clone, Debug, serde::Serialize)]
pub struct Item {
    pub name: Text,
    pub base: Pa,
    pub bytes: u64,
    /// It starts as zeros.
    pub zero: bool,
    /// It is a payload's pristine copy.
    pub copy: bool,
}

/// A range of RAM that somebody owns.
#[cfg(feature = "host")]
#[derive(Clone, Debug, serde::Serialize)]
pub struct Area {
    pub base: Pa,
    pub bytes: u64,
    pub owner: Text,
    pub what: Text,
}
