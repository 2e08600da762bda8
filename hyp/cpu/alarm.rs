//! EL2's timer on a CPU that one vPE has for itself, or that has none: who wants to be called, and when.
//!
//! The console, for a line that does not end; a vPE that waits for the physical ITS; rings that wait for it; and a VM's watchdog.
//! Used by the CPU itself alone.
//! Shared CPUs have their timer for their schedules (shared.rs).

use crate::state::percpu;
use crate::state::plan_data::CPU_COUNT;
use arch::sysreg::ticks;
use arch::timer;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use sched::NEVER;

/// Whom it calls.
#[derive(Clone, Copy)]
pub enum Caller {
    Console,
    Waiter,
    Rings,
    Watchdog,
}

/// When each of them is to be called, in ticks.
struct Alarm([AtomicU64; 4]);

static ALARMS: [Alarm; CPU_COUNT] =
    [const { Alarm([const { AtomicU64::new(NEVER) }; 4]) }; CPU_COUNT];

impl Alarm {
    fn at(&self, caller: Caller) -> &AtomicU64 {
        let [console, waiter, rings, watchdog] = &self.0;
        match caller {
            Caller::Console => console,
            Caller::Waiter => waiter,
            Caller::Rings => rings,
            Caller::Watchdog => watchdog,
        }
    }

    fn arm(&self) {
        timer::arm(self.0.iter().map(|at| at.load(Relaxed)).fold(NEVER, u64::min));
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

/// EL2's timer has interrupted: whether the console, the rings and the watchdog are to be called, once; and it is set for the next one.
pub fn take() -> (bool, bool, bool) {
    let Some(alarm) = here() else {
        timer::stop();
        return (false, false, false);
    };
    let now = ticks();
    let due = |caller| {
        let due = alarm.at(caller).load(Relaxed) <= now;
        if due {
            alarm.at(caller).store(NEVER, Relaxed);
        }
        due
    };
    // Whoever waits looks at the time itself.
    due(Caller::Waiter);
    let called = (due(Caller::Console), due(Caller::Rings), due(Caller::Watchdog));
    alarm.arm();
    called
}
