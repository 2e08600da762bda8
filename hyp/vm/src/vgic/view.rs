// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a vPE shows of its list registers to the VM's others, and what it asked of them.
//!
//! [`super::look`] says how that goes.

use core::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// What one vPE shows, and what it asked.
#[derive(Debug)]
pub(super) struct View {
    /// SGIs and PPIs that were in list registers, pending 63:32 and active 31:0.
    pub(super) listed: AtomicU64,
    /// Numbers of the last question and of the last answer.
    pub(super) asked: AtomicU32,
    pub(super) answered: AtomicU32,
    /// The vPE does not have its CPU.
    pub(super) away: AtomicBool,
    /// Whom this vPE asked, its number + 1, 63:32, and the question's number 31:0; 0: nobody. Own
    /// CPU only, like the rest.
    pub(super) question: AtomicU64,
    pub(super) since: AtomicU64,
    /// A load waits for its answer.
    pub(super) again: AtomicBool,
}

impl View {
    pub(super) const fn new() -> Self {
        Self {
            listed: AtomicU64::new(0),
            asked: AtomicU32::new(0),
            answered: AtomicU32::new(0),
            away: AtomicBool::new(false),
            question: AtomicU64::new(0),
            since: AtomicU64::new(0),
            again: AtomicBool::new(false),
        }
    }

    /// Questions keep their numbers: nobody asks while the VM starts.
    pub(super) fn reset(&self) {
        self.listed.store(0, Relaxed);
        self.question.store(0, Relaxed);
        self.again.store(false, Relaxed);
    }

    /// What the vPE asked is of no interest any more: it changed something since.
    pub(super) fn forget_question(&self) {
        self.question.store(0, Relaxed);
    }

    pub(super) fn show(&self, (pending, active): (u32, u32)) {
        self.listed.store(u64::from(pending) << 32 | u64::from(active), Release);
    }

    pub(super) fn shown(&self) -> (u32, u32) {
        let listed = self.listed.load(Acquire);
        ((listed >> 32) as u32, listed as u32)
    }
}
