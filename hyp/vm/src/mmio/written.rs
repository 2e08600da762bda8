// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What became of a store to a device.

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Nothing is there that takes it.
    Refused,
    Done,
    /// The guest is to execute the instruction again: more work is left than one trap may do.
    Again,
    /// The same, from this time on: the VM has used up what it may cause at the physical ITS.
    Later(u64),
}

impl Written {
    #[inline(always)]
    pub(crate) const fn of(accepted: bool) -> Self {
        if accepted { Self::Done } else { Self::Refused }
    }
}
