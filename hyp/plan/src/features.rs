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
    /// Scalable vectors (DDI 0487 A1.4.5). EL2 does not switch them: only for vPEs that are alone on their CPUs.
    pub const SVE: Self = Self(1 << 2);

    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl core::fmt::Debug for Features {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let names = [(Self::DEBUG, "debug"), (Self::PMU, "pmu"), (Self::SVE, "sve")];
        f.debug_set()
            .entries(names.iter().filter(|(feature, _)| self.has(*feature)).map(|(_, name)| name))
            .finish()
    }
}
