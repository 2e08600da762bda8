//! One CPU's scheduler: events in, one decision out.

use plan::{Schedule, VpeIndex};

use crate::choice::Choice;
use crate::cycle::{self, Position};
use crate::ranks::Ranks;
use crate::{Latency, NEVER, SLOTS, Slot, Statistics, Task};

/// Who runs now, and when to decide again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Decision {
    /// None: the CPU waits for an interrupt.
    pub run: Option<Slot>,
    /// For the hypervisor's timer. None: only an event can change the answer.
    pub deadline: Option<u64>,
}

#[derive(Clone, Copy)]
struct Running {
    slot: Slot,
    /// Its time is accounted for up to here.
    since: u64,
    charged: bool,
}

/// The scheduler of one CPU, used by that CPU alone; others send it an SGI.
///
/// Times are counter ticks and must not go back. Any number of events may come before a decision, and a decision at
/// a time that nobody asked for is harmless; one that comes late lets the wrong vPE run meanwhile, and that is all.
pub struct CpuScheduler {
    /// Start of frames and periods, the same on every CPU.
    epoch: u64,
    schedule: Schedule,
    tasks: [Task; SLOTS],
    ranks: Ranks,
    running: Option<Running>,
    /// Start of the last window seen.
    window: u64,
    window_delay: Latency,
}

impl CpuScheduler {
    pub const fn new(epoch: u64) -> Self {
        Self {
            epoch,
            schedule: Schedule::Unused,
            tasks: [Task::OFF; SLOTS],
            ranks: Ranks::new(),
            running: None,
            window: 0,
            window_delay: Latency::NONE,
        }
    }

    /// Takes over a schedule and its vPEs, with fresh budgets. The CPU must have left its last one.
    pub fn enter(&mut self, schedule: Schedule, now: u64, mut vpe: impl FnMut(VpeIndex) -> Task) {
        self.schedule = schedule;
        let table = match schedule {
            Schedule::Priority(table) => table,
            _ => &[],
        };
        self.ranks.open(table, self.epoch, now);
        if let Schedule::Cyclic(frame) = schedule {
            self.window = cycle::position(frame, self.epoch, now).start;
        }
        for slot in Slot::all() {
            if let Some(index) = self.vpe(slot) {
                self.tasks[slot.index()] = vpe(index);
                self.refresh(slot);
            }
        }
    }

    /// Gives up the schedule and all its vPEs; from here on nobody runs.
    pub fn leave(&mut self, now: u64, mut vpe: impl FnMut(VpeIndex, Task)) {
        self.account(now);
        self.running = None;
        for slot in Slot::all() {
            if let Some(index) = self.vpe(slot) {
                vpe(index, self.tasks[slot.index()]);
                self.tasks[slot.index()] = Task::OFF;
            }
        }
        self.schedule = Schedule::Unused;
        self.ranks = Ranks::new();
    }

    /// An interrupt is pending for the slot's vPE: its doorbell, or one by list register.
    pub fn wake(&mut self, slot: Slot, now: u64) {
        self.tasks[slot.index()].wake(now);
        self.refresh(slot);
    }

    /// The slot's vPE waits for an interrupt; its virtual timer, if it can interrupt, does so at `timer`.
    pub fn block(&mut self, slot: Slot, timer: Option<u64>, now: u64) {
        self.account(now);
        if self.tasks[slot.index()].block(timer.unwrap_or(NEVER), now) {
            self.stop(slot);
        }
    }

    /// PSCI CPU_ON, or its VM starts.
    pub fn on(&mut self, slot: Slot, now: u64) {
        if self.vpe(slot).is_some() {
            self.tasks[slot.index()].on(now);
            self.refresh(slot);
        }
    }

    /// PSCI CPU_OFF, or its VM ends.
    pub fn off(&mut self, slot: Slot, now: u64) {
        self.account(now);
        self.tasks[slot.index()].off();
        self.stop(slot);
    }

    /// Who runs from now on. The caller carries it out, whether the timer, an event or nothing in particular asked.
    pub fn decide(&mut self, now: u64) -> Decision {
        self.account(now);
        let mut choice = match self.schedule {
            Schedule::Cyclic(frame) => {
                let position = cycle::position(frame, self.epoch, now);
                self.open_window(position, now);
                self.within(position, now)
            }
            _ => self.ranks.choose(now),
        };
        if let Some(slot) = choice.slot {
            if choice.charged {
                choice.until = choice.until.min(self.ranks.start(slot, now));
            }
            if self.running().is_none_or(|running| running != slot) {
                self.tasks[slot.index()].run(now);
            }
        }
        self.running =
            choice.slot.map(|slot| Running { slot, since: now, charged: choice.charged });
        Decision { run: choice.slot, deadline: (choice.until != NEVER).then_some(choice.until) }
    }

    /// Who has the CPU since the last decision, unless it has blocked or gone off.
    pub fn running(&self) -> Option<Slot> {
        self.running.map(|running| running.slot)
    }

    /// None: this schedule has no such slot.
    pub fn vpe(&self, slot: Slot) -> Option<VpeIndex> {
        match self.schedule {
            Schedule::Unused => None,
            Schedule::Exclusive(vpe) => (slot.index() == 0).then_some(vpe),
            Schedule::Priority(table) => table.get(slot.index()).map(|entry| entry.vpe),
            Schedule::Cyclic(frame) => frame.vpes.get(slot.index()).copied(),
        }
    }

    pub fn statistics(&self, slot: Slot) -> &Statistics {
        self.tasks[slot.index()].statistics()
    }

    /// From a window's planned start to the first decision in it.
    pub fn window_delay(&self) -> &Latency {
        &self.window_delay
    }

    /// The running vPE's time up to now.
    fn account(&mut self, now: u64) {
        let Some(running) = &mut self.running else {
            return;
        };
        let (slot, since) = (running.slot, running.since);
        running.since = now;
        if running.charged && self.ranks.charge(slot, since, now) {
            running.charged = false;
            let statistics = &mut self.tasks[slot.index()].statistics;
            statistics.overruns = statistics.overruns.saturating_add(1);
            self.refresh(slot);
        }
    }

    fn stop(&mut self, slot: Slot) {
        if self.running() == Some(slot) {
            self.running = None;
        }
        self.refresh(slot);
    }

    /// After each change of a task or an account.
    fn refresh(&mut self, slot: Slot) {
        if !matches!(self.schedule, Schedule::Cyclic(_)) {
            let ready_from = self.tasks[slot.index()].ready_from();
            self.ranks.refresh(slot, ready_from);
        }
    }

    fn open_window(&mut self, position: Position, now: u64) {
        if position.slot.is_some() && position.start != self.window {
            self.window = position.start;
            self.window_delay.record(now.saturating_sub(position.start));
        }
    }

    /// A window's vPE runs as soon as it is ready; nobody else does.
    fn within(&self, position: Position, now: u64) -> Choice {
        let ready_from = match position.slot {
            Some(slot) => self.tasks[slot.index()].ready_from(),
            None => NEVER,
        };
        let ready = ready_from <= now;
        Choice {
            slot: if ready { position.slot } else { None },
            until: if ready { position.end } else { position.end.min(ready_from) },
            charged: false,
        }
    }
}
