// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A scheduler too simple to be wrong, and a pair that runs it beside the real one.
//!
//! The model knows no deadlines: it looks at every vPE on every tick. The real one is called only
//! when something happens and at the deadlines that it asked for; the pair fails at the first tick
//! on which they differ.

use plan::{Frame, Rest, Schedule};
use sched::{CpuScheduler, Decision, Slot, Task};

/// The start of frames and periods in all tests.
pub const EPOCH: u64 = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A decision that nothing calls for.
    Look,
    Wake(u8),
    /// The running vPE waits, with its timer so many ticks from now.
    Block(Option<u64>),
    On(u8),
    Off(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Off,
    Ready,
    Blocked(Option<u64>),
}

#[derive(Clone, Debug)]
struct Vpe {
    state: State,
    kept_wake: bool,
    woken: Option<u64>,
    used: u64,
    switches: u64,
    overruns: u64,
    latencies: Vec<u64>,
}

#[derive(Clone)]
pub struct Model {
    schedule: Schedule,
    vpes: Vec<Vpe>,
    running: Option<usize>,
    charged: bool,
}

impl Model {
    fn new(schedule: Schedule) -> Self {
        let off = Vpe {
            state: State::Off,
            kept_wake: false,
            woken: None,
            used: 0,
            switches: 0,
            overruns: 0,
            latencies: Vec::new(),
        };
        Self { schedule, vpes: vec![off; slots(schedule)], running: None, charged: false }
    }

    /// The tick before `now` has passed.
    fn tick(&mut self, now: u64) {
        let ran = self.running.filter(|_| self.charged);
        for (n, vpe) in self.vpes.iter_mut().enumerate() {
            if let Schedule::Priority(table) = self.schedule
                && let Some(budget) = table[n].budget
            {
                vpe.used += u64::from(ran == Some(n));
                if now > EPOCH && (now - EPOCH).is_multiple_of(budget.period.get()) {
                    vpe.used = vpe.used.saturating_sub(budget.ticks.get());
                }
                if ran == Some(n) && vpe.used >= budget.ticks.get() {
                    vpe.overruns += 1;
                    self.charged = false;
                }
            }
            if let State::Blocked(Some(until)) = vpe.state
                && until <= now
            {
                vpe.state = State::Ready;
                vpe.woken = Some(until);
            }
        }
    }

    fn apply(&mut self, event: Event, now: u64) {
        match event {
            Event::Look => {}
            Event::Wake(n) => {
                let vpe = &mut self.vpes[n as usize];
                match vpe.state {
                    State::Off => {}
                    State::Ready => vpe.kept_wake = true,
                    State::Blocked(_) => {
                        vpe.state = State::Ready;
                        vpe.woken = Some(now);
                    }
                }
            }
            Event::Block(timer) => {
                if let Some(n) = self.running {
                    let vpe = &mut self.vpes[n];
                    if vpe.kept_wake {
                        vpe.kept_wake = false;
                    } else {
                        vpe.state = State::Blocked(timer.map(|ticks| now + ticks));
                        self.running = None;
                        self.tick_timers(now);
                    }
                }
            }
            Event::On(n) => {
                let vpe = &mut self.vpes[n as usize];
                if vpe.state == State::Off {
                    vpe.state = State::Ready;
                    vpe.woken = Some(now);
                }
            }
            Event::Off(n) => {
                let vpe = &mut self.vpes[n as usize];
                vpe.state = State::Off;
                vpe.kept_wake = false;
                vpe.woken = None;
                if self.running == Some(n as usize) {
                    self.running = None;
                }
            }
        }
    }

    /// A timer of no ticks.
    fn tick_timers(&mut self, now: u64) {
        for vpe in &mut self.vpes {
            if vpe.state == State::Blocked(Some(now)) {
                vpe.state = State::Ready;
                vpe.woken = Some(now);
            }
        }
    }

    fn choose(&self, now: u64) -> (Option<usize>, bool) {
        let ready = |n: &usize| self.vpes[*n].state == State::Ready;
        match self.schedule {
            Schedule::Cyclic(frame) => {
                let owner = owner(frame, now).map(|(n, _)| n);
                (owner.filter(ready), false)
            }
            Schedule::Priority(table) => {
                let all = || (0..table.len()).filter(ready);
                let claim = all().find(|&n| {
                    table[n].budget.is_none_or(|budget| self.vpes[n].used < budget.ticks.get())
                });
                let rest = all().find(|&n| {
                    table[n].budget.is_some_and(|budget| budget.rest == Rest::Background)
                });
                (claim.or(rest), claim.is_some())
            }
            _ => (Some(0).filter(ready), true),
        }
    }

    fn decide(&mut self, now: u64) {
        let (choice, charged) = self.choose(now);
        if let Some(n) = choice.filter(|&n| self.running != Some(n)) {
            let vpe = &mut self.vpes[n];
            vpe.switches += 1;
            vpe.kept_wake = false;
            if let Some(woken) = vpe.woken.take() {
                vpe.latencies.push(now - woken);
            }
        }
        self.running = choice;
        self.charged = charged;
    }
}

/// Whose window `now` lies in, and when that window started.
pub fn owner(frame: &Frame, now: u64) -> Option<(usize, u64)> {
    let start = now - (now - EPOCH) % frame.ticks;
    frame
        .windows
        .iter()
        .find(|window| (start + window.start..start + window.start + window.ticks).contains(&now))
        .map(|window| (window.slot.into(), start + window.start))
}

pub fn slots(schedule: Schedule) -> usize {
    match schedule {
        Schedule::Unused => 0,
        Schedule::Exclusive(_) => 1,
        Schedule::Priority(table) => table.len(),
        Schedule::Cyclic(frame) => frame.vpes.len(),
    }
}

pub fn slot(n: u8) -> Slot {
    Slot::new(n).expect("a slot")
}

/// The model and the real one, side by side.
#[derive(Clone)]
pub struct Pair {
    pub now: u64,
    pub model: Model,
    pub real: CpuScheduler,
    decision: Decision,
}

impl Pair {
    pub fn new(schedule: Schedule) -> Self {
        let mut real = CpuScheduler::new(EPOCH);
        real.enter(schedule, EPOCH, |_| Task::OFF);
        let decision = real.decide(EPOCH);
        let mut model = Model::new(schedule);
        model.decide(EPOCH);
        Self { now: EPOCH, model, real, decision }
    }

    /// Events at the present tick; then they must agree on it, and it passes.
    pub fn step(&mut self, events: &[Event]) {
        let now = self.now;
        for &event in events {
            match event {
                Event::Look => {}
                Event::Wake(n) => self.real.wake(slot(n), now),
                Event::Block(timer) => {
                    if let Some(running) = self.real.running() {
                        self.real.block(running, timer.map(|ticks| now + ticks), now);
                    }
                }
                Event::On(n) => self.real.on(slot(n), now),
                Event::Off(n) => self.real.off(slot(n), now),
            }
            self.model.apply(event, now);
        }
        if !events.is_empty() || self.decision.deadline.is_some_and(|at| at <= now) {
            self.decision = self.real.decide(now);
        }
        self.model.decide(now);
        assert_eq!(self.decision.run.map(|slot| slot.index()), self.model.running, "at {now}");
        if let Some(deadline) = self.decision.deadline {
            assert!(deadline > now, "a deadline has to be ahead, at {now}");
        }
        self.now += 1;
        self.model.tick(self.now);
    }

    /// Everything counted is the same.
    pub fn compare_statistics(&mut self) {
        self.decision = self.real.decide(self.now);
        self.model.decide(self.now);
        for (n, vpe) in self.model.vpes.iter().enumerate() {
            let real = self.real.statistics(slot(n as u8));
            let latency = &real.wake_to_run;
            assert_eq!(real.switches, vpe.switches, "switches of {n}");
            assert_eq!(latency.count(), vpe.latencies.len() as u64, "wakes of {n}");
            assert_eq!(latency.min(), vpe.latencies.iter().copied().min());
            assert_eq!(latency.max(), vpe.latencies.iter().copied().max());
            let sum: u64 = vpe.latencies.iter().sum();
            assert_eq!(latency.mean(), sum.checked_div(latency.count()));
            assert_eq!(real.overruns, vpe.overruns, "overruns of {n}");
        }
    }
}
