// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Parts of a CPU that a VM has only if the system's description gives them to it.

/// A set of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Features(u8);

impl Features {
    pub const NONE: Self = Self(0);
    /// Breakpoints and watchpoints (DDI 0487 D2).
    pub const DEBUG: Self = Self(1 << 0);
    /// The performance monitors' counters (DDI 0487 D13).
    pub const PMU: Self = Self(1 << 1);
    /// Scalable vectors (DDI 0487 A1.4.5). EL2 does not switch them: only for vPEs that are alone
    /// on their CPUs.
    pub const SVE: Self = Self(1 << 2);

    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
    /// As in the TOML.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let names = [(Self::DEBUG, "debug"), (Self::PMU, "pmu"), (Self::SVE, "sve")];
        names.into_iter().filter(move |(feature, _)| self.has(*feature)).map(|(_, name)| name)
    }
}

impl core::fmt::Debug for Features {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(feature = "host")]
impl serde::Serialize for Features {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

#[cfg(feature = "host")]
impl crate::constant::Constant for Features {
    fn constant(&self) -> proc_macro2::TokenStream {
        let names = self.names().map(|name| quote::format_ident!("{}", name.to_uppercase()));
        quote::quote!(plan::Features::NONE #(.with(plan::Features::#names))*)
    }
}
