// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Cycle counters that overflow: each overflow is one interrupt.
//!
//! Each vPE, of one or two, one after the other:
//!
//! 1. The PMU is as after reset.
//! 2. `count=` (1000) overflows, `cycles=` (100000) apart: each interrupts once, and none without
//!    an overflow.
//! 3. One that comes while its interrupt is disabled is taken when that is enabled; one that was
//!    cleared before is not.
//! 4. Over `ms=` (20) milliseconds, cycles are compared with the system counter: `share` is so many
//!    for a thousand ticks. Where both have the same frequency, that is the vPE's part of its CPU.
//!
//! vPE 1 then switches itself off with a counter about to overflow, and finds its PMU as after
//! reset when it is on again.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use rt::interrupts::{self, IntId};
use rt::{Machine, Outcome, cpu, figure, pmu, println, smp, timer};

rt::entry!(main);

const VPES: usize = 2;
/// How long all overflows of a vPE may take, and one that is expected at once.
const PATIENCE_US: u64 = 10_000_000;
/// How long to wait for one that must not come.
const QUIET_US: u64 = 2_000;

/// By vPE: overflows taken, interrupts without one.
static TAKEN: [AtomicU64; VPES] = [const { AtomicU64::new(0) }; VPES];
static EMPTY: [AtomicU64; VPES] = [const { AtomicU64::new(0) }; VPES];
/// Overflows still to come, and cycles from one to the next.
static LEFT: AtomicU64 = AtomicU64::new(0);
static CYCLES: AtomicU64 = AtomicU64::new(0);
/// Of vPE 0.
static SHARE: AtomicU64 = AtomicU64::new(0);
/// vPE 1 is to leave at once, and did all that is above.
static LEAVE: AtomicBool = AtomicBool::new(false);
static PASSED: AtomicBool = AtomicBool::new(false);

enum Failure {
    NoInterrupt,
    NotReset,
    Taken { when: &'static str, taken: u64, wanted: u64 },
    Empty(u64),
    Second,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoInterrupt => f.write_str("the PMU has no interrupt"),
            Self::NotReset => f.write_str("the PMU is not as after reset"),
            Self::Taken { when, taken, wanted } => write!(f, "{when}: {taken} taken, not {wanted}"),
            Self::Empty(count) => write!(f, "{count} interrupts without an overflow"),
            Self::Second => f.write_str("vPE 1 did not pass"),
        }
    }
}

fn main(machine: &'static Machine) -> Outcome {
    cpu::enable_interrupts();
    match run(machine) {
        Ok(()) => {
            let [first, second] = [0, 1].map(taken);
            figure!("overflows", first + second, "times");
            figure!("share", SHARE.load(Relaxed), "thousandths");
            Outcome::Passed
        }
        Err(failure) => {
            println!("{failure}");
            Outcome::Failed(2)
        }
    }
}

fn run(machine: &'static Machine) -> Result<(), Failure> {
    check(machine)?;
    SHARE.store(share(machine.number("ms").unwrap_or(20) * 1000), Relaxed);
    if machine.vpes() == 1 {
        return Ok(());
    }
    for leave in [false, true, false] {
        PASSED.store(false, Relaxed);
        LEAVE.store(leave, Relaxed);
        smp::start(1, second).and_then(|()| smp::wait_off(1)).map_err(|_| Failure::Second)?;
        if !PASSED.load(Relaxed) {
            return Err(Failure::Second);
        }
    }
    Ok(())
}

/// What vPE 1 runs.
fn second() {
    let Some(machine) = Machine::get() else { return };
    cpu::enable_interrupts();
    if LEAVE.load(Relaxed) {
        // It overflows with nobody there.
        cpu::disable_interrupts();
        pmu::overflow_after(1);
        quiet();
        PASSED.store(pmu::overflowed(), Relaxed);
        return;
    }
    match check(machine) {
        Ok(()) => PASSED.store(true, Relaxed),
        Err(failure) => println!("vPE 1: {failure}"),
    }
}

fn check(machine: &'static Machine) -> Result<(), Failure> {
    let intid = pmu::intid(machine).ok_or(Failure::NoInterrupt)?;
    if !pmu::is_off() {
        return Err(Failure::NotReset);
    }
    let (vpe, before) = (cpu::vpe(), taken(cpu::vpe()));
    let count = machine.number("count").unwrap_or(1000);
    let cycles = machine.number("cycles").unwrap_or(100_000);
    CYCLES.store(cycles, Relaxed);
    interrupts::set_handler(intid, overflow);
    interrupts::enable(intid);
    LEFT.store(count, Relaxed);
    pmu::overflow_after(cycles);
    wait(vpe, before + count);
    expect("all overflows", vpe, before + count)?;

    interrupts::disable(intid);
    LEFT.store(1, Relaxed);
    pmu::overflow_after(1);
    quiet();
    expect("disabled", vpe, before + count)?;
    interrupts::enable(intid);
    wait(vpe, before + count + 1);
    expect("enabled again", vpe, before + count + 1)?;

    interrupts::disable(intid);
    pmu::overflow_after(1);
    quiet();
    pmu::stop();
    interrupts::enable(intid);
    quiet();
    expect("cleared before it was enabled", vpe, before + count + 1)?;
    println!("vPE {vpe}: {} overflows taken", count + 1);
    match EMPTY.iter().map(|count| count.load(Relaxed)).sum() {
        0 => Ok(()),
        count => Err(Failure::Empty(count)),
    }
}

/// Cycles for each thousand ticks, over a number of microseconds.
fn share(microseconds: u64) -> u64 {
    let length = timer::microseconds(microseconds);
    let began = timer::now();
    pmu::overflow_after(u64::MAX >> 1);
    let before = pmu::cycles();
    let mut now = began;
    while now - began < length {
        now = timer::now();
    }
    let cycles = pmu::cycles() - before;
    pmu::stop();
    cycles * 1000 / (now - began)
}

fn overflow(_: IntId) {
    let vpe = cpu::vpe() as usize % VPES;
    if !pmu::overflowed() {
        EMPTY[vpe].fetch_add(1, Relaxed);
        return;
    }
    pmu::clear_overflow();
    if LEFT.fetch_sub(1, Relaxed) > 1 {
        pmu::overflow_after(CYCLES.load(Relaxed));
    } else {
        pmu::stop();
    }
    TAKEN[vpe].fetch_add(1, Relaxed);
}

fn taken(vpe: u32) -> u64 {
    TAKEN[vpe as usize % VPES].load(Relaxed)
}

fn expect(when: &'static str, vpe: u32, wanted: u64) -> Result<(), Failure> {
    match taken(vpe) {
        taken if taken == wanted => Ok(()),
        taken => Err(Failure::Taken { when, taken, wanted }),
    }
}

/// Computes until so many are taken, or for too long: a CPU that sleeps counts no cycles.
fn wait(vpe: u32, wanted: u64) {
    let end = timer::now() + timer::microseconds(PATIENCE_US);
    while taken(vpe) < wanted && timer::now() < end {}
}

fn quiet() {
    let end = timer::now() + timer::microseconds(QUIET_US);
    while timer::now() < end {}
}
