// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An SPI that is pending for vPE 1, which does not take it: where it goes then.
//!
//! The RTC's alarm is the source: a level, high from a match until it is cleared. vPE 1 has
//! interrupts masked.
//!
//! 1. Routed to vPE 0: that one takes it, vPE 1 does not.
//! 2. vPE 1 switches itself off with it pending; routed to vPE 0: that one takes it.
//! 3. The alarm goes off while vPE 1 is off: vPE 1 takes it when it is on again.
//! 4. The alarm is cleared at the source, and pending state by vPE 0: nobody takes it.

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

use rt::interrupts::{self, IntId};
use rt::mmio::Registers;
use rt::psci::Power;
use rt::{Machine, cpu, println, smp, timer};

const RTC: &str = "arm,pl031";
const DATA: u64 = 0x00;
const MATCH: u64 = 0x04;
const MASK: u64 = 0x10;
const CLEAR: u64 = 0x1c;

/// How long an interrupt may take.
const PATIENCE_US: u64 = 2_000_000;
/// How long to wait until a pending one has come as far as it can, and for one that must not come.
const QUIET_US: u64 = 2_000;

/// What vPE 1 is to do next; it goes back to `STAY` when done.
const STAY: u32 = 0;
const TAKE: u32 = 1;
const LEAVE: u32 = 2;
static ORDER: AtomicU32 = AtomicU32::new(STAY);
/// By vPE.
static TAKEN: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

pub struct Failure {
    what: &'static str,
    taken: [u32; 2],
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.taken;
        write!(f, "{}: taken {first} times by vPE 0, {second} times by vPE 1", self.what)
    }
}

/// vPE 1 is off before and after.
pub fn check(machine: &'static Machine) -> Result<(), Failure> {
    let Some((_, Some(intid))) = machine.device(RTC) else {
        return Ok(());
    };
    let Some(alarm) = Registers::of_device(machine, RTC) else {
        return Ok(());
    };
    let intid = IntId::new(intid);
    interrupts::set_handler(intid, take);
    interrupts::enable(intid);
    alarm.write32(MASK, 1);

    order("vPE 1 did not begin", STAY, true)?;
    pending(&alarm, intid);
    interrupts::route(intid, 0);
    expect("routed away from a vPE that had it pending", [1, 0])?;
    order("vPE 1 did not answer", TAKE, false)?;
    expect("the vPE that it was routed away from", [1, 0])?;

    pending(&alarm, intid);
    order("vPE 1 did not leave", LEAVE, false)?;
    interrupts::route(intid, 0);
    expect("routed away from a vPE that went off with it", [2, 0])?;

    pending(&alarm, intid);
    order("vPE 1 did not begin again", TAKE, true)?;
    expect("pending for a vPE while it was off", [2, 1])?;

    pending(&alarm, intid);
    alarm.write32(CLEAR, 1);
    interrupts::clear_pending(intid);
    timer::sleep(QUIET_US);
    order("vPE 1 did not answer any more", TAKE, false)?;
    expect("cleared by another vPE", [2, 1])?;

    alarm.write32(MASK, 0);
    order("vPE 1 did not leave at last", LEAVE, false)?;
    println!("an SPI goes where it is routed, whoever had it pending");
    Ok(())
}

/// Routes the alarm to vPE 1 and lets it go off.
fn pending(alarm: &Registers, intid: IntId) {
    interrupts::route(intid, 1);
    alarm.write32(MATCH, alarm.read32(DATA));
    timer::sleep(QUIET_US);
}

/// Gives vPE 1 an order, which switches it on if it `begins`, and waits until it has followed.
fn order(what: &'static str, order: u32, begins: bool) -> Result<(), Failure> {
    ORDER.store(order, Ordering::Release);
    let failed = Failure { what, taken: taken() };
    if begins && smp::start(1, second).is_err() {
        return Err(failed);
    }
    let deadline = timer::now() + timer::microseconds(PATIENCE_US);
    let wanted = if order == LEAVE { Power::Off } else { Power::On };
    while ORDER.load(Ordering::Acquire) != STAY || smp::power(1) != Ok(wanted) {
        if timer::now() > deadline {
            return Err(failed);
        }
        cpu::relax();
    }
    Ok(())
}

/// What vPE 1 runs, interrupts masked.
fn second() {
    loop {
        match ORDER.load(Ordering::Acquire) {
            TAKE => {
                let end = timer::now() + timer::microseconds(QUIET_US);
                cpu::enable_interrupts();
                while timer::now() < end {
                    cpu::relax();
                }
                cpu::disable_interrupts();
                ORDER.store(STAY, Ordering::Release);
            }
            LEAVE => {
                ORDER.store(STAY, Ordering::Release);
                return;
            }
            _ => cpu::relax(),
        }
    }
}

fn take(_: IntId) {
    if let Some(count) = TAKEN.get(cpu::vpe() as usize) {
        count.fetch_add(1, Ordering::Release);
    }
    if let Some(alarm) = Machine::get().and_then(|machine| Registers::of_device(machine, RTC)) {
        alarm.write32(CLEAR, 1);
    }
}

fn taken() -> [u32; 2] {
    [TAKEN[0].load(Ordering::Acquire), TAKEN[1].load(Ordering::Acquire)]
}

fn expect(what: &'static str, wanted: [u32; 2]) -> Result<(), Failure> {
    let deadline = timer::now() + timer::microseconds(PATIENCE_US);
    while taken() != wanted {
        if timer::now() > deadline {
            return Err(Failure { what, taken: taken() });
        }
        cpu::relax();
    }
    Ok(())
}
