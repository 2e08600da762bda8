// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Ranges of memory, and where a guest sees them.

use crate::{Ipa, Pa};
#[cfg(feature = "host")]
use crate::{MemoryRole, Text};

/// A range of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct Span {
    pub base: Pa,
    pub bytes: u64,
}

/// Guest memory: where the guest sees it, where it is, and its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct Mapping {
    pub ipa: Ipa,
    pub pa: Pa,
    pub bytes: u64,
    /// What it is to the guest, when that is not RAM.
    #[cfg(feature = "host")]
    #[constant(host)]
    #[serde(skip_serializing_if = "MemoryRole::is_ram")]
    pub role: MemoryRole,
}

/// A range of a guest's addresses.
#[cfg(feature = "host")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct GuestSpan {
    pub base: Ipa,
    pub bytes: u64,
}

/// A range with a name.
#[cfg(feature = "host")]
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct NamedSpan {
    pub name: Text,
    pub base: Pa,
    pub bytes: u64,
}
