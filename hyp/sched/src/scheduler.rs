// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One CPU's scheduler: events in, one decision out.

use plan::{Masked, Schedule, VpeIndex};

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
/// Times are counter ticks and must not go back. Any number of events may come before a decision,
/// and a decision at a time that nobody asked for is harmless; one that comes late lets the wrong
/// vPE run meanwhile, and that is all.
#[derive(Clone)]
pub struct CpuScheduler {
    /// Start of frames and periods, the same on every CPU.
    epoch: u64,
    schedule: Schedule,
    tasks: Masked<Task, SLOTS>,
    ranks: Ranks,
    running: Option<Running>,
    /// Start of the last window seen, and whose it is.
    window: u64,
    window_of: Option<Slot>,
    window_delay: Latency,
}

impl CpuScheduler {
    pub const fn new(epoch: u64) -> Self {
        Self {
            epoch,
            schedule: Schedule::Unused,
            tasks: Masked::new([Task::OFF; SLOTS]),
            ranks: Ranks::new(),
            running: None,
            window: 0,
            window_of: None,
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
        self.ranks.clear();
    }

    /// An interrupt is pending for the slot's vPE: its doorbell, or one by list register.
    pub fn wake(&mut self, slot: Slot, now: u64) {
        self.tasks[slot.index()].wake(now);
        self.refresh(slot);
    }

    /// The slot's vPE waits for an interrupt; its virtual timer, if it can interrupt, does so at
    /// `timer`.
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

    /// Who runs from now on. The caller carries it out, whether the timer, an event or nothing in
    /// particular asked.
    pub fn decide(&mut self, now: u64) -> Decision {
        self.account(now);
        let mut choice = match self.schedule {
            Schedule::Cyclic(frame) => {
                let position = cycle::position(frame, self.epoch, now);
                self.window_of = position.slot;
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

    /// Whose window it was at the last decision, if it was anybody's. None: the schedule has no
    /// windows.
    pub fn window(&self) -> Option<Option<VpeIndex>> {
        let cyclic = matches!(self.schedule, Schedule::Cyclic(_));
        cyclic.then(|| self.vpe(self.window_of?))
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

#[cfg(test)]
mod tests {
    use super::*;
    use core::num::NonZeroU64;
    use plan::{Budget, Frame, PrioritySlot, Rest, Window};

    const fn entry(vpe: u16, budget: Option<Budget>) -> PrioritySlot {
        PrioritySlot { vpe: VpeIndex::new(vpe), priority: 0, budget }
    }

    const HIGH: Slot = Slot::wrapping(0);
    const LOW: Slot = Slot::wrapping(1);

    fn cpu(schedule: Schedule) -> CpuScheduler {
        let mut cpu = CpuScheduler::new(0);
        cpu.enter(schedule, 0, |_| Task::OFF);
        cpu.on(HIGH, 0);
        cpu.on(LOW, 0);
        cpu
    }

    #[test]
    fn a_spinning_vpe_gets_its_budget_and_the_others_the_rest() {
        static TABLE: [PrioritySlot; 2] =
            [entry(0, Some(Budget::new(20, 100, Rest::Suspended))), entry(1, None)];
        let mut cpu = cpu(Schedule::Priority(&TABLE));
        let mut now = 0;
        let mut ticks = [0; 2];
        while now < 10_000 {
            let decision = cpu.decide(now);
            let next = decision.deadline.expect("somebody's turn ends");
            ticks[decision.run.expect("both want to run").index()] += next - now;
            now = next;
        }
        assert_eq!(ticks, [2000, 8000]);
        assert_eq!(cpu.statistics(HIGH).overruns, 100);
        assert_eq!(cpu.statistics(LOW).switches, 100);
    }

    #[test]
    fn a_wake_preempts_at_once_and_its_latency_is_counted() {
        static TABLE: [PrioritySlot; 2] = [entry(0, None), entry(1, None)];
        let mut cpu = cpu(Schedule::Priority(&TABLE));
        let _ = cpu.decide(0);
        cpu.block(HIGH, None, 0);
        assert_eq!(cpu.decide(0), Decision { run: Some(LOW), deadline: None });
        cpu.wake(HIGH, 50);
        assert_eq!(cpu.decide(53).run, Some(HIGH));
        assert_eq!(cpu.statistics(HIGH).wake_to_run.max(), Some(3));
    }

    #[test]
    fn a_timer_in_the_past_wakes_at_once() {
        static TABLE: [PrioritySlot; 1] = [entry(0, None)];
        let mut cpu = cpu(Schedule::Priority(&TABLE));
        let _ = cpu.decide(90);
        cpu.block(HIGH, Some(5), 100);
        assert_eq!(cpu.decide(101).run, Some(HIGH));
        // 90 ticks from being switched on, 1 from the block: not 96 from the timer.
        assert_eq!(cpu.statistics(HIGH).wake_to_run.min(), Some(1));
    }

    #[test]
    fn a_cyclic_wake_waits_for_its_window() {
        static FRAME: Frame = Frame {
            ticks: NonZeroU64::new(100).unwrap(),
            vpes: &[VpeIndex::new(8), VpeIndex::new(9)],
            windows: &[
                Window { start: 0, ticks: 30, slot: 0 },
                Window { start: 50, ticks: 30, slot: 1 },
            ],
        };
        let mut cpu = cpu(Schedule::Cyclic(&FRAME));
        assert_eq!(cpu.decide(0).run, Some(HIGH));
        assert_eq!(cpu.window(), Some(Some(VpeIndex::new(8))));
        let gap = cpu.decide(32);
        assert_eq!((gap.run, gap.deadline, cpu.window()), (None, Some(50), Some(None)));
        assert_eq!(cpu.decide(52).run, Some(LOW));
        cpu.block(LOW, Some(70), 55);
        let idle = cpu.decide(55);
        assert_eq!((idle.run, idle.deadline), (None, Some(70)));
        assert_eq!(cpu.decide(71).run, Some(LOW));
        cpu.wake(HIGH, 72);
        assert_eq!(cpu.decide(72).run, Some(LOW));
        assert_eq!(cpu.decide(107).run, Some(HIGH));
        let delay = cpu.window_delay();
        assert_eq!((delay.count(), delay.min(), delay.max()), (2, Some(2), Some(7)));
    }

    #[test]
    fn tasks_travel_from_one_schedule_to_another() {
        static BEFORE: [PrioritySlot; 2] = [entry(4, None), entry(6, None)];
        static AFTER: [PrioritySlot; 1] = [entry(6, None)];
        let mut cpu = cpu(Schedule::Priority(&BEFORE));
        let _ = cpu.decide(0);
        let mut parked = [Task::OFF; 8];
        cpu.leave(10, |vpe, task| parked[vpe.index()] = task);
        assert_eq!(cpu.decide(10).run, None);
        parked[6].wake(11);
        cpu.enter(Schedule::Priority(&AFTER), 20, |vpe| parked[vpe.index()]);
        assert_eq!(cpu.vpe(HIGH), Some(VpeIndex::new(6)));
        assert_eq!(cpu.decide(21).run, Some(HIGH));
        assert_eq!(cpu.statistics(HIGH).wake_to_run.max(), Some(21));
        cpu.on(LOW, 22);
        cpu.off(HIGH, 22);
        assert_eq!(cpu.decide(22).run, None);
    }
}
