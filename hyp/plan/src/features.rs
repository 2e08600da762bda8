// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Parts of a CPU that a VM has only if the system's description gives them to it.

/// A part of a CPU that a guest has only if its VM is given it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(PartialOrd, Ord, serde::Deserialize, schemars::JsonSchema))]
#[cfg_attr(feature = "host", serde(rename_all = "kebab-case"))]
pub enum Feature {
    /// Breakpoints and watchpoints (DDI 0487 D2).
    Debug,
    /// The performance monitors' counters (DDI 0487 D13).
    Pmu,
    /// Scalable vectors (DDI 0487 A1.4.5). EL2 does not switch them: only for vPEs that are alone
    /// on their CPUs.
    Sve,
}

impl Feature {
    const ALL: [Self; 3] = [Self::Debug, Self::Pmu, Self::Sve];

    /// As in the TOML.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Pmu => "pmu",
            Self::Sve => "sve",
        }
    }
}

/// A set of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Features(u8);

impl Features {
    pub const NONE: Self = Self(0);
    pub const DEBUG: Self = Self::of(Feature::Debug);
    pub const PMU: Self = Self::of(Feature::Pmu);
    pub const SVE: Self = Self::of(Feature::Sve);

    pub const fn of(feature: Feature) -> Self {
        Self(1 << feature as u8)
    }
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
    /// As in the TOML.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let has = move |feature: &Feature| self.has(Self::of(*feature));
        Feature::ALL.into_iter().filter(has).map(Feature::name)
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
