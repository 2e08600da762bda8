// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The registers of a vPE on a shared CPU while it does not run.

use crate::state::parts::{SHARED_FEATURES, SHARED_VPES};
use crate::state::plan_data::PLAN;
use arch::context::Context;
use arch::debug::{self, Points};
use arch::frame::Frame;
use arch::pmu::Counters;
use arch::timer::{PhysicalTimer, VirtualTimer};
use plan::{Features, VpeIndex};
use spin::Mutex;
use vm::Guest;

/// List registers that the plan relies on.
const LIST: usize = PLAN.board.list_registers as usize;

/// A vPE's physical timer while it is not in the CPU.
pub struct Loan {
    pub timer: PhysicalTimer,
    /// The vPE has used it.
    pub given: bool,
}

impl Loan {
    pub const NONE: Self = Self { timer: PhysicalTimer::OFF, given: false };

    /// As after reset, but its vPE goes on to have it.
    pub fn reset(&mut self) {
        self.timer = PhysicalTimer::OFF;
    }
}

/// What of a vPE that has left the CPU can wake it.
pub struct Paused {
    pub timer: VirtualTimer,
    /// It uses the physical timer, too.
    pub physical: bool,
}

impl Paused {
    /// Nothing: it left nothing.
    pub const NONE: Self = Self { timer: VirtualTimer::OFF, physical: false };
}

/// The registers of one vPE.
pub struct Saved {
    pub context: Context<LIST>,
    pub timer: VirtualTimer,
    pub physical: Loan,
    /// None where no vPE has them.
    counters: [Counters; SHARED_FEATURES.has(Features::PMU) as usize],
    points: [Points; SHARED_FEATURES.has(Features::DEBUG) as usize],
}

static SAVED: [Mutex<Saved>; SHARED_VPES] = [const { Mutex::new(Saved::new()) }; SHARED_VPES];

/// What is saved of `vpe`; the calling CPU is its own.
pub fn saved<R>(vpe: VpeIndex, change: impl FnOnce(&mut Saved) -> R) -> Option<R> {
    Some(change(&mut SAVED.get(vpe.index())?.lock()))
}

impl Saved {
    const fn new() -> Self {
        Self {
            context: Context::new(),
            timer: VirtualTimer::OFF,
            physical: Loan::NONE,
            counters: [Counters::OFF; _],
            points: [Points::OFF; _],
        }
    }

    /// Takes the registers of the vPE that this CPU holds, but for its timers and its counters.
    pub fn save(&mut self, guest: &Guest, frame: &Frame) {
        self.context.save(frame);
        if let Some(points) = self.points(guest) {
            points.save();
        }
    }

    /// Makes them this CPU's.
    pub fn load(&mut self, guest: &Guest, frame: &mut Frame) {
        self.context.load(frame);
        if let Some(points) = self.points(guest) {
            points.load();
        }
    }

    /// The vPE went off: all but its context is as after reset. `loaded`: this CPU holds its
    /// registers.
    pub fn forget(&mut self, loaded: bool) {
        if loaded && !self.points.is_empty() {
            debug::disarm();
        }
        self.timer = VirtualTimer::OFF;
        self.physical = Loan::NONE;
        self.counters = [Counters::OFF; _];
        self.points = [Points::OFF; _];
    }

    /// What of it can wake it.
    pub fn paused(&self) -> Paused {
        Paused { timer: self.timer, physical: self.physical.given }
    }

    /// Its counters, if the guest has some.
    pub fn counters(&mut self, guest: &Guest) -> Option<&mut Counters> {
        self.counters.first_mut().filter(|_| guest.config.features.has(Features::PMU))
    }

    /// Its breakpoints and watchpoints, likewise.
    fn points(&mut self, guest: &Guest) -> Option<&mut Points> {
        self.points.first_mut().filter(|_| guest.config.features.has(Features::DEBUG))
    }
}
