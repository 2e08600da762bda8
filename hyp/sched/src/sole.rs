// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The scheduler of a system without shared CPUs: one vPE has the CPU for good.
//!
//! The same events and the same answers as [`CpuScheduler`] gives under an exclusive schedule, in a
//! few words of memory, and no figures: its vPE waits for nobody.

use crate::{CpuScheduler, Decision, Latency, NEVER, Slot, Statistics, Task};
use plan::{Schedule, VpeIndex};

/// Without shared CPUs the scheduler is [`Sole`], with some it is [`CpuScheduler`].
pub struct Shared<const ANY: bool>;

/// What [`Shared`] chooses.
pub trait Choose {
    type Scheduler;
}

impl Choose for Shared<true> {
    type Scheduler = CpuScheduler;
}

impl Choose for Shared<false> {
    type Scheduler = Sole;
}

/// See the module. Events of other slots than the first are its vPE's, too.
#[derive(Clone)]
pub struct Sole {
    vpe: Option<VpeIndex>,
    on: bool,
    /// From when on it can run, if it is on.
    ready_from: u64,
    /// A wake came while it was ready.
    kept_wake: bool,
    running: bool,
}

impl Sole {
    pub const fn new(_epoch: u64) -> Self {
        Self { vpe: None, on: false, ready_from: NEVER, kept_wake: false, running: false }
    }

    pub fn enter(&mut self, schedule: Schedule, _now: u64, _vpe: impl FnMut(VpeIndex) -> Task) {
        *self = Self::new(0);
        if let Schedule::Exclusive(vpe) = schedule {
            self.vpe = Some(vpe);
        }
    }

    pub fn leave(&mut self, _now: u64, _vpe: impl FnMut(VpeIndex, Task)) {
        *self = Self::new(0);
    }

    pub fn on(&mut self, _slot: Slot, _now: u64) {
        if !self.on && self.vpe.is_some() {
            (self.on, self.ready_from) = (true, 0);
        }
    }

    pub fn off(&mut self, _slot: Slot, _now: u64) {
        (self.on, self.ready_from, self.kept_wake) = (false, NEVER, false);
        self.running = false;
    }

    #[inline(never)]
    pub fn wake(&mut self, _slot: Slot, _now: u64) {
        if self.on {
            self.kept_wake |= self.ready_from == 0;
            self.ready_from = 0;
        }
    }

    pub fn block(&mut self, _slot: Slot, timer: Option<u64>, now: u64) {
        if !self.on || self.ready_from != 0 {
            return;
        }
        if core::mem::take(&mut self.kept_wake) {
            return;
        }
        self.ready_from = timer.unwrap_or(NEVER).max(now).max(1);
        self.running = false;
    }

    pub fn decide(&mut self, now: u64) -> Decision {
        if self.ready_from > now {
            let deadline = (self.ready_from != NEVER).then_some(self.ready_from);
            return Decision { run: None, deadline };
        }
        self.ready_from = 0;
        self.kept_wake &= self.running;
        self.running = true;
        Decision { run: Slot::new(0), deadline: None }
    }

    /// No windows.
    pub fn window(&self) -> Option<Option<VpeIndex>> {
        None
    }

    pub fn vpe(&self, _slot: Slot) -> Option<VpeIndex> {
        self.vpe
    }

    pub fn statistics(&self, _slot: Slot) -> &Statistics {
        &Statistics::NONE
    }

    pub fn window_delay(&self) -> &Latency {
        &Latency::NONE
    }
}
