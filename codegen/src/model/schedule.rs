// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who runs where and when: CPUs that are described, and modes.
//!
//! What is not described follows from the rest: a CPU without description is exclusive in the first
//! mode, and in every other mode used as in the first.

use std::time::Duration;

use super::{At, Rest};

/// A vPE, by VM and number.
#[derive(Clone, Debug)]
pub struct VpeName {
    /// Index into `System::vms`; the span is the VM's name.
    pub vm: At<usize>,
    /// Position among the VM's vPEs, by default 0.
    pub number: At<usize>,
}

impl VpeName {
    /// VM and number.
    pub fn key(&self) -> (usize, usize) {
        (self.vm.value, self.number.value)
    }
}

/// A CPU's description, in the system or in a mode.
#[derive(Clone, Debug)]
pub struct CpuUse {
    /// Index into `Board::cpus`; the span is the CPU's name.
    pub cpu: At<usize>,
    pub sharing: Sharing,
}

#[derive(Clone, Debug)]
pub enum Sharing {
    /// Nothing runs, in a mode.
    Idle,
    /// None: the one vPE that claims the CPU.
    Exclusive(Option<VpeName>),
    /// In the order of the TOML.
    Priority(Vec<Claim>),
    Cyclic(Frame),
}

/// A vPE's claim to a CPU shared by priority.
#[derive(Clone, Debug)]
pub struct Claim {
    pub vpe: VpeName,
    /// Higher goes first.
    pub priority: At<u8>,
    pub budget: Option<Budget>,
    /// The whole entry.
    pub at: At<()>,
}

#[derive(Clone, Debug)]
pub struct Budget {
    pub time: At<Duration>,
    pub period: At<Duration>,
    pub rest: Rest,
}

/// A cyclic CPU's frame.
#[derive(Clone, Debug)]
pub struct Frame {
    pub length: At<Duration>,
    /// In the order of the TOML.
    pub windows: Vec<Window>,
}

#[derive(Clone, Debug)]
pub struct Window {
    pub vpe: VpeName,
    /// From the start of the frame.
    pub start: At<Duration>,
    pub length: At<Duration>,
    /// The whole entry.
    pub at: At<()>,
}

impl Window {
    /// Where it ends, from the start of the frame.
    pub fn end(&self) -> Duration {
        self.start.value.saturating_add(self.length.value)
    }
}

/// A mode other than the first.
#[derive(Clone, Debug)]
pub struct Mode {
    pub name: At<String>,
    /// Those that are used otherwise than in the first mode.
    pub cpus: Vec<CpuUse>,
    pub suspended: Vec<VpeName>,
}

impl Sharing {
    /// The vPEs that are named, each time they are.
    pub fn vpes(&self) -> Vec<&VpeName> {
        match self {
            Self::Idle => Vec::new(),
            Self::Exclusive(vpe) => vpe.iter().collect(),
            Self::Priority(claims) => claims.iter().map(|claim| &claim.vpe).collect(),
            Self::Cyclic(frame) => frame.windows.iter().map(|window| &window.vpe).collect(),
        }
    }
}
