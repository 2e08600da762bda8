//! EL2's timer on a CPU that one vPE has for itself, or that has none: who wants to be called, and when.
//!
//! Two do: the console, for a line that does not end, and what a VM has to wait for at the physical ITS. Used by the CPU itself alone.
//! Shared CPUs have their timer for their schedules (shared.rs).

use crate::arch::sysreg::ticks;
use crate::arch::timer;
use crate::percpu;
use crate::plan_data::CPU_COUNT;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use sched::NEVER;

/// Whom it calls.
#[derive(Clone, Copy)]
pub enum Caller {
    Console,
    Its,
}

/// When each of them is to be called, in ticks.
struct Alarm([AtomicU64; 2]);

static ALARMS: [Alarm; CPU_COUNT] =
    [const { Alarm([const { AtomicU64::new(NEVER) }; 2]) }; CPU_COUNT];

impl Alarm {
    fn at(&self, caller: Caller) -> &AtomicU64 {
        let [console, its] = &self.0;
        match caller {
            Caller::Console => console,
            Caller::Its => its,
        }
    }

    fn arm(&self) {
        let [console, its] = &self.0;
        timer::arm(console.load(Relaxed).min(its.load(Relaxed)));
    }
}

fn here() -> Option<&'static Alarm> {
    ALARMS.get(percpu::calling()?.index())
}

/// Calls at `time`; `NEVER`: not at all.
pub fn set(caller: Caller, time: u64) {
    if let Some(alarm) = here()
        && alarm.at(caller).swap(time, Relaxed) != time
    {
        alarm.arm();
    }
}

/// EL2's timer has interrupted: who is to be called, once; and it is set for the next one.
pub fn take() -> [Option<Caller>; 2] {
    let Some(alarm) = here() else {
        timer::stop();
        return [None; 2];
    };
    let now = ticks();
    let due = [Caller::Console, Caller::Its].map(|caller| {
        let due = alarm.at(caller).load(Relaxed) <= now;
        due.then(|| {
            alarm.at(caller).store(NEVER, Relaxed);
            caller
        })
    });
    alarm.arm();
    due
}
