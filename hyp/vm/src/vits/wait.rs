// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why a command, or another store of a guest's, goes on later.

use super::Refusal;
use crate::mmio::Written;

/// The guest executes its store again. What was done so far is not done anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// At once: a physical interrupt waits, one trap has done enough, or another vPE has the VM's
    /// turn.
    Again,
    /// From this time on: the VM has used up its allowance.
    Until(u64),
}

impl From<Wait> for Written {
    fn from(wait: Wait) -> Self {
        match wait {
            Wait::Again => Self::Again,
            Wait::Until(time) => Self::Later(time),
        }
    }
}

/// Why a command was not carried out to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It is ignored.
    Refused(Refusal),
    Wait(Wait),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Wait> for Stop {
    fn from(wait: Wait) -> Self {
        Self::Wait(wait)
    }
}
