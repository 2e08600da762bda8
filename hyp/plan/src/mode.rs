//! Modes: placements of vPEs on CPUs, all fixed at build time.
//!
//! A system without `[[mode]]` has none of this. A switch happens at a boundary of the mode that it leaves and moves
//! a fixed list of vPEs. One that does not run in a mode is kept on the CPU it has in the first mode, so that every
//! list is fixed whatever the way to the mode was.

use core::num::NonZeroU64;

use crate::{CpuIndex, Schedule, VmIndex, VpeIndex};

/// Index into a system's modes; mode 0 is the one that boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct ModeIndex(u8);

impl ModeIndex {
    pub const fn new(value: u8) -> Self {
        Self(value)
    }
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// All modes of a system.
#[derive(Debug)]
pub struct Modes {
    /// By `ModeIndex`.
    pub modes: &'static [Mode],
    /// The one VM that may ask for a switch; None: only the hypervisor's fault policy does.
    pub asker: Option<VmIndex>,
}

/// Where everything runs while the mode lasts.
#[derive(Debug)]
pub struct Mode {
    pub name: &'static str,
    /// A switch away takes effect at a multiple of this, in ticks from the epoch: the least common multiple of the
    /// frames of the CPUs that any switch away concerns; 1 when none of them is cyclic, which is at once.
    pub boundary: NonZeroU64,
    /// By CPU.
    pub schedules: &'static [Schedule],
    /// By vPE; None: it does not run in this mode.
    pub placements: &'static [Option<Placement>],
    /// By the mode that it leads to; the entry for this mode itself concerns no CPU.
    pub switches: &'static [ModeSwitch],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    pub cpu: CpuIndex,
    /// Position in that CPU's table.
    pub slot: u8,
}

/// What a switch from one mode to another does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModeSwitch {
    /// Bit n: CPU n has another schedule in the new mode, so it takes part. The others never notice.
    pub cpus: u64,
    pub moves: &'static [Move],
    /// ITS commands that carry out the moves, in order: VMOVP and VSYNC of each vPE that the ITS knows, MOVI of its
    /// doorbell's proxy event, SYNC of each CPU that lost one (IHI 0069 5.3). While they run the vPEs are resident
    /// nowhere.
    pub script: &'static [[u64; 4]],
}

/// One vPE that changes its CPU, and with it its residency, its doorbell and its scheduling state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    pub vpe: VpeIndex,
    pub from: CpuIndex,
    pub to: CpuIndex,
}
