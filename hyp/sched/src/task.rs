// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a scheduler knows of one vPE, wherever it runs.
//!
//! ```text
//!   Off --on--> Ready --block--> Blocked --wake, or its time comes--> Ready
//!    ^------------ off -------------'
//! ```
//!
//! A wake for a vPE that is ready is kept: its next block returns at once, as WFI may. It is
//! dropped when the vPE is given the CPU, because it then sees everything that is pending for it.
//! Hence no order of wake and block loses a wake, and one wake costs at most one idle turn of the
//! guest's loop.

use crate::{NEVER, Statistics};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Off,
    Ready,
    /// Until this time, its virtual timer's, or a wake.
    Blocked(u64),
}

/// See the module. Between `CpuScheduler::leave` and `enter` it belongs to nobody's CPU and still
/// takes wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    state: State,
    /// A wake came while it was ready.
    kept_wake: bool,
    /// Since when it has had reason to run, until it does.
    woken: Option<u64>,
    pub(crate) statistics: Statistics,
}

impl Task {
    /// A vPE that PSCI has not switched on.
    pub const OFF: Self =
        Self { state: State::Off, kept_wake: false, woken: None, statistics: Statistics::NONE };

    pub const fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// An interrupt is pending for it: its doorbell, or one by list register.
    pub fn wake(&mut self, now: u64) {
        match self.state {
            State::Off => {}
            State::Ready => self.kept_wake = true,
            State::Blocked(until) => {
                self.state = State::Ready;
                self.woken = Some(until.min(now));
            }
        }
    }

    /// From when on it can run: 0 for already.
    pub(crate) fn ready_from(&self) -> u64 {
        match self.state {
            State::Off => NEVER,
            State::Ready => 0,
            State::Blocked(until) => until,
        }
    }

    /// False: it stays ready, a wake was kept.
    pub(crate) fn block(&mut self, until: u64, now: u64) -> bool {
        if self.state != State::Ready {
            return true;
        }
        if self.kept_wake {
            self.kept_wake = false;
            return false;
        }
        self.state = State::Blocked(until.max(now));
        true
    }

    pub(crate) fn on(&mut self, now: u64) {
        if self.state == State::Off {
            self.state = State::Ready;
            self.woken = Some(now);
        }
    }

    pub(crate) fn off(&mut self) {
        self.state = State::Off;
        self.kept_wake = false;
        self.woken = None;
    }

    /// It is given the CPU.
    pub(crate) fn run(&mut self, now: u64) {
        if let State::Blocked(until) = self.state {
            self.state = State::Ready;
            self.woken = Some(until.min(now));
        }
        self.kept_wake = false;
        self.statistics.switches = self.statistics.switches.saturating_add(1);
        if let Some(woken) = self.woken.take() {
            self.statistics.wake_to_run.record(now.saturating_sub(woken));
        }
    }
}
