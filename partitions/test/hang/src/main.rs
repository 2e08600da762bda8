// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Feeds its watchdog for a while, then hangs in the way that it is told.
//!
//! Arguments: `feeds=` how often (20), one in `period-us=` (2000); `by=call` or `by=registers`;
//! `how=`, what it does then:
//!
//! * `spin`: nothing, with interrupts masked; `sleep`: WFI for ever; `fault`: an exception whose
//!   handler takes the same one again.
//! * `stop`: tries to stop the watchdog, to give it more time, and then spins.
//! * `late`: spins for `late-ms=` (100), and passes: only somebody else can tell.
//! * `warned`: from now on feeds it only when the first signal interrupts, `feeds=` times, and
//!   passes.
//! * `pass`: passes.
//!
//! Started by its watchdog, which the second signal shows, it passes as well.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU64, Ordering};

use rt::interrupts::{self, IntId};
use rt::watchdog::{ENABLE, WS0, WS1, Watchdog};
use rt::{Machine, Outcome, cpu, figure, hypercall, println, timer};

rt::entry!(main);

const NO_WATCHDOG: u32 = 2;
const NOT_FED: u32 = 3;
const WRONG_STATUS: u32 = 4;

static WARNINGS: AtomicU64 = AtomicU64::new(0);

fn main(machine: &'static Machine) -> Outcome {
    let Some(watchdog) = Watchdog::of(machine) else { return Outcome::Failed(NO_WATCHDOG) };
    if watchdog.status() & WS1 != 0 {
        println!("started by the watchdog");
        watchdog.feed();
        let gone = watchdog.status() & WS1 == 0;
        return if gone { Outcome::Passed } else { Outcome::Failed(WRONG_STATUS) };
    }
    let number = |key, default| machine.number(key).unwrap_or(default);
    let (feeds, period) = (number("feeds", 20), number("period-us", 2000));
    let by_registers = machine.argument("by") == Some("registers");
    if by_registers {
        watchdog.set_control(ENABLE);
    }
    timer::init(machine);
    cpu::enable_interrupts();
    for _ in 0..feeds {
        timer::sleep(period);
        if by_registers {
            watchdog.feed();
        } else if hypercall::feed().is_err() {
            return Outcome::Failed(NOT_FED);
        }
        if watchdog.status() & (ENABLE | WS1) != ENABLE {
            return Outcome::Failed(WRONG_STATUS);
        }
    }
    let how = machine.argument("how").unwrap_or("spin");
    println!("fed {feeds} times, now: {how}");
    match how {
        "sleep" => sleep(),
        "fault" => fault(),
        "stop" => {
            watchdog.set_control(0);
            watchdog.set_offset(u64::MAX);
            watchdog.set_compare(u64::MAX);
            watchdog.set_control(0);
            spin()
        }
        "late" => timer::busy(timer::now() + timer::microseconds(1000 * number("late-ms", 100))),
        "warned" => return warned(&watchdog, feeds),
        "pass" => {}
        _ => spin(),
    }
    Outcome::Passed
}

/// Feeds it only when it warns.
fn warned(watchdog: &Watchdog, feeds: u64) -> Outcome {
    let intid = IntId::new(watchdog.intid);
    interrupts::set_handler(intid, |_| {
        WARNINGS.fetch_add(1, Ordering::Relaxed);
    });
    interrupts::enable(intid);
    for n in 1..=feeds {
        cpu::wait_until(|| WARNINGS.load(Ordering::Relaxed) >= n);
        let signals = watchdog.status();
        watchdog.feed();
        if signals & (WS0 | WS1) != WS0 || watchdog.status() & WS0 != 0 {
            return Outcome::Failed(WRONG_STATUS);
        }
    }
    figure!("warnings", WARNINGS.load(Ordering::Relaxed));
    Outcome::Passed
}

fn spin() -> ! {
    cpu::disable_interrupts();
    loop {
        cpu::relax();
    }
}

fn sleep() -> ! {
    cpu::disable_interrupts();
    timer::stop();
    loop {
        cpu::wait_for_interrupt();
    }
}

// An exception from EL1 with SP_EL0 or SP_EL1 takes the next one. The NOPs are for emulators that
// count time by instructions.
core::arch::global_asm!(
    ".balign 2048",
    "vectors_of_no_return:",
    ".rept 4",
    "nop",
    "nop",
    "udf #0",
    ".balign 128",
    ".endr",
    ".rept 4",
    "nop",
    "nop",
    "udf #0",
    ".balign 128",
    ".endr",
);

fn fault() -> ! {
    cpu::disable_interrupts();
    // SAFETY: nothing of this partition runs afterwards.
    unsafe {
        core::arch::asm!(
            "adrp x0, vectors_of_no_return",
            "add x0, x0, :lo12:vectors_of_no_return",
            "msr vbar_el1, x0",
            "isb",
            "udf #0",
            options(noreturn),
        )
    }
}
