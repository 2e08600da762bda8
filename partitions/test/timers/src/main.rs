// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Both timers of a vPE at once, at random times: none is early, late or lost.
//!
//! Each round sets the physical timer, the virtual one, or both, to times up to `gap-us=` (500)
//! away, and waits by WFI for all that was set. Before that, a deadline that has passed shows in
//! CNTP_CTL_EL0.ISTATUS while the interrupt is off. Arguments: `count=` rounds (1000),
//! `max-late-us=` (no bound) for the time from a deadline to its handler, `seed=` (1). With
//! `stays=` the physical timer's registers must be as the guest wrote them so many times, while
//! others have the CPU.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use rt::random::Random;
use rt::{Machine, Outcome, cpu, figure, physical, println, timer};

rt::entry!(main);

const NO_TIMER: u32 = 2;
const NO_STATUS: u32 = 3;
const EARLY: u32 = 4;
const TOO_LATE: u32 = 5;
const CHANGED: u32 = 6;

const ENABLE: u64 = 1;
const MASK: u64 = 1 << 1;
const STATUS: u64 = 1 << 2;

/// One of the two timers: deadlines, and how late their handlers were.
struct Timer {
    set: fn(u64),
    expired_at: fn() -> Option<u64>,
    deadline: Option<u64>,
    count: u64,
    early: u64,
    most: u64,
}

impl Timer {
    const fn new(set: fn(u64), expired_at: fn() -> Option<u64>) -> Self {
        Self { set, expired_at, deadline: None, count: 0, early: 0, most: 0 }
    }

    fn start(&mut self, deadline: u64) {
        self.deadline = Some(deadline);
        (self.set)(deadline);
    }

    /// What was set has come.
    fn done(&self) -> bool {
        self.deadline.is_none() || (self.expired_at)().is_some()
    }

    fn record(&mut self) {
        let (Some(deadline), Some(handled)) = (self.deadline.take(), (self.expired_at)()) else {
            return;
        };
        self.count += 1;
        self.early += u64::from(handled < deadline);
        self.most = self.most.max(handled.saturating_sub(deadline));
    }
}

/// A deadline that has passed shows, with and without the mask.
fn shows_status() -> bool {
    let passed = timer::now() - 1;
    let status = |control| {
        physical::write(control, passed);
        physical::registers() == (control | STATUS, passed)
    };
    let shown = status(ENABLE | MASK) && status(ENABLE);
    physical::stop();
    shown && physical::registers().0 & (ENABLE | STATUS) == 0
}

fn main(machine: &'static Machine) -> Outcome {
    let number = |key, default| machine.number(key).unwrap_or(default);
    let (count, seed, stays) = (number("count", 1000), number("seed", 1), number("stays", 0));
    let gap = timer::microseconds(number("gap-us", 500));
    let bound = machine.number("max-late-us").map(timer::microseconds);
    println!("{count} rounds, seed {seed}");
    if !shows_status() {
        return Outcome::Failed(NO_STATUS);
    }
    let mut random = Random::new(seed);
    for _ in 0..stays {
        let far = u64::MAX / 2 + random.below(1000);
        physical::write(ENABLE | MASK, far);
        timer::busy(timer::now() + random.below(gap));
        if physical::registers() != (ENABLE | MASK, far) {
            return Outcome::Failed(CHANGED);
        }
    }
    timer::init(machine);
    if !physical::init(machine) {
        return Outcome::Failed(NO_TIMER);
    }
    cpu::enable_interrupts();
    let mut one = Timer::new(physical::set, physical::expired_at);
    let mut other = Timer::new(timer::set, timer::expired_at);
    for _ in 0..count {
        let now = timer::now();
        let which = random.below(3);
        if which != 0 {
            one.start(now + random.below(gap));
        }
        if which != 1 {
            other.start(now + random.below(gap));
        }
        cpu::wait_until(|| one.done() && other.done());
        one.record();
        other.record();
    }
    figure!("physical", one.count);
    figure!("virtual", other.count);
    figure!("physical-late-max", one.most, "ticks");
    figure!("virtual-late-max", other.most, "ticks");
    if one.early + other.early != 0 {
        return Outcome::Failed(EARLY);
    }
    match bound {
        Some(bound) if one.most.max(other.most) > bound => Outcome::Failed(TOO_LATE),
        _ => Outcome::Passed,
    }
}
