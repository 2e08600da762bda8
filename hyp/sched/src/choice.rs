// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The answer of a policy: who runs from a moment on, and until when that holds.

use crate::Slot;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub slot: Option<Slot>,
    /// The answer may differ from this time on, unless something happens before.
    pub until: u64,
    /// It runs on its budget's account.
    pub charged: bool,
}
