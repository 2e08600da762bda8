// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the image does to finish a call.

use crate::power::Start;
use plan::{ModeIndex, VpeIndex};

/// Registers that are not named stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// x0.
    Return(u64),
    /// x0 and x1.
    ReturnTwo([u64; 2]),
    /// x0..x3.
    ReturnFour([u64; 4]),
    /// x0 = 0; the CPU of that vPE is to look at its power state
    /// ([`crate::power::Power::take_start`]).
    StartVpe(VpeIndex),
    /// This vPE goes off: its CPU takes it out, says so ([`crate::power::Power::turn_off`]), and
    /// waits until another vPE turns it on.
    StopSelf,
    /// This vPE sleeps.
    Suspend(Suspend),
    /// x0 = what firmware says of this workaround of its ([`crate::workarounds`]).
    AskWorkaround(u32),
    /// x0 = 0, after that call to firmware, or NOT_SUPPORTED.
    Workaround(u32),
    /// The VM powers itself off.
    VmOff,
    /// The VM starts again.
    VmReset,
    /// x0 = 0; the table of counters goes to the console.
    ShowCounters,
    /// x0 = 0; the peer is rung.
    Ring(Bell),
    /// x0 = 0; the VM's watchdog is fed.
    Feed(&'static plan::Watchdog),
    /// The system is to go to this mode; x0 says whether it does. For the image to refuse, too.
    SwitchMode(ModeIndex),
}

/// A channel end that a VM rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bell {
    /// Its position in `Plan::channel_ends`.
    pub end: usize,
    /// The event that rings its peer, of `Plan::events`.
    pub event: usize,
}

/// A vPE sleeps until an interrupt is pending for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspend {
    /// None: standby, the call returns 0 when an interrupt is pending. Otherwise the vPE loses its
    /// state and begins there; interrupt registers of the GIC stay.
    pub resume: Option<Start>,
}
