// SPDX-License-Identifier: Apache-2.0 OR MIT
//! EL2's timer on a CPU: who wants to be called, and when. Used by the CPU itself alone.

use super::parts::WATCHDOGS;
use arch::timer::arm;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use sched::NEVER;

pub struct Timer {
    /// When the CPU is to decide again who runs.
    decision: AtomicU64,
    /// When it is to visit the console.
    console: AtomicU64,
    /// When it is to look at a watchdog.
    watchdog: AtomicU64,
}

/// Who is to be called.
#[derive(Clone, Copy)]
pub struct Due {
    pub console: bool,
    pub watchdog: bool,
}

impl Timer {
    pub const fn new() -> Self {
        Self {
            decision: AtomicU64::new(NEVER),
            console: AtomicU64::new(NEVER),
            watchdog: AtomicU64::new(NEVER),
        }
    }

    #[inline(always)]
    fn arm(&self) {
        let console = self.console.load(Relaxed);
        arm(self.decision.load(Relaxed).min(console).min(self.watchdog()));
    }

    #[inline(always)]
    fn watchdog(&self) -> u64 {
        if WATCHDOGS { self.watchdog.load(Relaxed) } else { NEVER }
    }

    /// The next decision is due at `time`.
    #[inline(always)]
    pub fn decide_at(&self, time: u64) {
        self.decision.store(time, Relaxed);
        self.arm();
    }

    /// The next decision is due at `time` at the latest.
    pub fn decide_by(&self, time: u64) {
        if time < self.decision.load(Relaxed) {
            self.decide_at(time);
        }
    }

    /// When the next decision is due.
    pub fn decision(&self) -> u64 {
        self.decision.load(Relaxed)
    }

    /// The next visit to the console is due at `time`.
    pub fn visit_at(&self, time: u64) {
        if self.console.swap(time, Relaxed) != time {
            self.arm();
        }
    }

    /// A watchdog is to be looked at from `time` on.
    pub fn look_at(&self, time: u64) {
        if self.watchdog.swap(time, Relaxed) != time {
            self.arm();
        }
    }

    /// It has interrupted. The caller decides anew, which sets it for the next one.
    pub fn take(&self, now: u64) -> Due {
        arch::timer::stop();
        let console = self.console.load(Relaxed) <= now;
        if console {
            self.console.store(NEVER, Relaxed);
        }
        Due { console, watchdog: WATCHDOGS && self.watchdog() <= now }
    }
}
