// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a CPU is shared between vPEs: by priority or by a cyclic frame.
//!
//! Times are ticks of the system counter (CNTPCT_EL0). The TOML says nanoseconds; codegen converts
//! with the frequency that the board states, and boot compares that with CNTFRQ_EL0. Frames and
//! periods count from one epoch that all CPUs share. A *slot* is a vPE's position in its CPU's
//! table.

use core::num::NonZeroU64;

use crate::{List, VpeIndex};

/// vPEs that one CPU can be shared by: no table is longer.
pub const SLOTS: usize = 32;

/// A vPE on a CPU shared by priority. The table is sorted, highest priority first; equal ones keep
/// its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct PrioritySlot {
    pub vpe: VpeIndex,
    /// As in the TOML, higher first: for reports. The table's order is what counts.
    pub priority: u8,
    /// None: as long as nobody of higher priority wants the CPU.
    pub budget: Option<Budget>,
    /// Longest time without the CPU while it wants it, the hypervisor's own time not counted. None:
    /// no bound.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub worst_gap: Option<u64>,
}

/// CPU time for each period, with the vPE's own priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
#[cfg_attr(feature = "host", constant(new))]
pub struct Budget {
    #[cfg_attr(feature = "host", constant(with = crate::constant::unchecked))]
    pub ticks: NonZeroU64,
    /// Not less than `ticks`.
    #[cfg_attr(feature = "host", constant(with = crate::constant::unchecked))]
    pub period: NonZeroU64,
    pub rest: Rest,
}

/// What a vPE may do with the rest of a period whose budget it has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "host",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema, crate::constant::Constant)
)]
#[cfg_attr(feature = "host", serde(rename_all = "kebab-case"))]
pub enum Rest {
    /// Run while no vPE with a claim to the CPU wants it; among its like, by priority.
    Background,
    /// Wait for the next period.
    Suspended,
}

#[cfg(feature = "host")]
impl Rest {
    /// As in the TOML.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Background => "background",
            Self::Suspended => "suspended",
        }
    }
}

/// For generated tables: zero ticks do not compile there.
#[track_caller]
#[expect(clippy::panic, reason = "the compiler evaluates it; an image has no call")]
pub const fn ticks(value: u64) -> NonZeroU64 {
    match NonZeroU64::new(value) {
        Some(ticks) => ticks,
        None => panic!("a time is at least one tick"),
    }
}

impl Budget {
    /// For generated tables: neither a zero nor a budget above its period compiles there.
    #[track_caller]
    pub const fn new(ticks: u64, period: u64, rest: Rest) -> Self {
        assert!(ticks <= period, "a budget is at most its period");
        Self { ticks: self::ticks(ticks), period: self::ticks(period), rest }
    }
}

/// A cyclic CPU's major frame, repeated for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "host"), derive(Copy))]
#[cfg_attr(feature = "host", derive(crate::constant::Constant))]
pub struct Frame {
    pub ticks: NonZeroU64,
    /// The CPU's vPEs, by slot.
    pub vpes: List<VpeIndex>,
    /// What each of them has of it, by slot.
    #[cfg(feature = "host")]
    #[constant(host)]
    pub turns: List<Turn>,
    /// Sorted by start, not overlapping, within the frame; nothing runs between them.
    pub windows: List<Window>,
}

/// What a vPE has of a frame.
#[cfg(feature = "host")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Turn {
    pub vpe: VpeIndex,
    /// Ticks in each frame.
    pub ticks: u64,
    /// Longest time between its windows.
    pub worst_gap: u64,
}

/// A stretch of a frame that belongs to one vPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct Window {
    /// Ticks from the frame's start.
    pub start: u64,
    pub ticks: u64,
    /// Index into the frame's `vpes`.
    pub slot: u8,
}
