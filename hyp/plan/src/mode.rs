// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Modes: placements of vPEs on CPUs, all fixed at build time.
//!
//! A system without `[[mode]]` has none of this. A switch happens at a boundary of the mode that it
//! leaves and moves a fixed list of vPEs. One that does not run in a mode is kept on the CPU it has
//! in the first mode, so that every list is fixed whatever the way to the mode was.

use core::num::NonZeroU64;

use crate::{CpuIndex, ItsCommand, List, Schedule, Text, VmIndex, VpeIndex};

/// Index into a system's modes; mode 0 is the one that boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
#[repr(transparent)]
pub struct ModeIndex(u8);

impl ModeIndex {
    pub const fn new(value: u8) -> Self {
        Self(value)
    }
    pub const fn index(self) -> usize {
        self.0 as usize
    }
    /// Of a mode's position, which codegen bounds.
    #[cfg(feature = "host")]
    pub const fn at(position: usize) -> Self {
        Self(position as u8)
    }
}

/// All modes of a system.
#[derive(Debug)]
#[cfg_attr(feature = "host", derive(Clone, serde::Serialize, crate::constant::Constant))]
pub struct Modes {
    /// By `ModeIndex`.
    pub modes: List<Mode>,
    /// The one VM that may ask for a switch; None: only the hypervisor's fault policy does.
    pub asker: Option<VmIndex>,
}

/// Where everything runs while the mode lasts.
#[derive(Debug)]
#[cfg_attr(feature = "host", derive(Clone, serde::Serialize, crate::constant::Constant))]
pub struct Mode {
    pub name: Text,
    /// A switch away takes effect at a multiple of this, in ticks from the epoch: the least common
    /// multiple of the frames of the CPUs that any switch away concerns; 1 when none of them is
    /// cyclic, which is at once.
    pub boundary: NonZeroU64,
    /// By CPU.
    pub schedules: List<Schedule>,
    /// By vPE; None: it does not run in this mode.
    pub placements: List<Option<Placement>>,
    /// By the mode that it leads to; the entry for this mode itself concerns no CPU.
    pub switches: List<ModeSwitch>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct Placement {
    pub cpu: CpuIndex,
    /// Position in that CPU's table.
    pub slot: u8,
}

/// What a switch from one mode to another does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "host"), derive(Copy))]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct ModeSwitch {
    /// Bit n: CPU n has another schedule in the new mode, so it takes part. The others never
    /// notice.
    #[cfg_attr(feature = "host", serde(serialize_with = "crate::json::bits"))]
    #[cfg_attr(feature = "host", constant(with = crate::constant::binary))]
    pub cpus: u64,
    pub moves: List<Move>,
    /// ITS commands that carry out the moves, in order: VMOVP and VSYNC of each vPE that the ITS
    /// knows, MOVI of its doorbell's proxy event, SYNC of each CPU that lost one (IHI 0069 5.3).
    /// While they run the vPEs are resident nowhere.
    pub script: List<ItsCommand>,
}

/// One vPE that changes its CPU, and with it its residency, its doorbell and its scheduling state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct Move {
    pub vpe: VpeIndex,
    pub from: CpuIndex,
    pub to: CpuIndex,
}
