// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who runs on a CPU, and whose registers it holds. What changes it: cpu/switch.rs.

use super::parts::SHARED;
use super::plan_data::VM_COUNT;
use super::vpe::Vpe;
use plan::{Schedule, VpeIndex};
use vm::power::Start;

/// A CPU's scheduler.
pub type Scheduler = <sched::Shared<SHARED> as sched::Choose>::Scheduler;

const VMS: usize = if SHARED { VM_COUNT } else { 0 };

pub struct Running {
    pub scheduler: Scheduler,
    pub schedule: Schedule,
    /// The vPE that runs: resident, its timer in the CPU.
    pub current: Option<&'static Vpe>,
    /// Whose registers the CPU holds.
    pub loaded: Option<&'static Vpe>,
    /// Who ran last, for whom an SError may still be reported.
    pub last: Option<&'static Vpe>,
    /// Where a vPE that has the CPU for good, and sleeps, goes on with its registers as after
    /// reset.
    pub restart: Option<Start>,
    /// Firmware's workaround that is called before another VM runs; 0: none.
    pub between_vms: u32,
    /// The vPE of each VM whose translations this CPU may hold.
    pub translated: [u16; VMS],
}

/// No vPE.
pub const NOBODY: u16 = u16::MAX;

impl Running {
    pub const fn new() -> Self {
        Self {
            // The counter's own zero is the epoch of frames and periods: one for all CPUs.
            scheduler: Scheduler::new(0),
            schedule: Schedule::Unused,
            current: None,
            loaded: None,
            last: None,
            restart: None,
            between_vms: 0,
            translated: [NOBODY; VMS],
        }
    }

    pub fn is_current(&self, vpe: VpeIndex) -> bool {
        self.current.is_some_and(|current| !SHARED || current.index == vpe)
    }

    /// The CPU holds the vPE's registers.
    pub fn is_loaded(&self, vpe: VpeIndex) -> bool {
        self.loaded.is_some_and(|loaded| loaded.index == vpe)
    }

    /// The vPE whose list registers and timers are in the CPU: a CPU of its own keeps them while
    /// its vPE sleeps.
    pub fn present(&self) -> Option<&'static Vpe> {
        if !SHARED {
            return self.loaded;
        }
        self.current.or(self.loaded.filter(|loaded| !loaded.shares()))
    }
}
