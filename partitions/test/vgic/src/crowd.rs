// SPDX-License-Identifier: Apache-2.0 OR MIT
//! SGIs between all vPEs of a VM with more than sixteen, by target list, and to all others.
//!
//! 1. Every vPE is started and answers for itself: its number by its affinity, its redistributor.
//! 2. `count=` (50) tokens go around: each vPE that takes SGI 1 sends it to the next one, the last
//!    one to vPE 0.
//! 3. SGI 2 to all others: each takes it once. SGI 3 to each vPE from vPE 0, and from the last vPE
//!    to vPE 0: nobody else has it.
//! 4. GICR_ISACTIVER0 and GICR_ISPENDR0 of another vPE show what it has in its list registers.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rt::interrupts::{self, IntId};
use rt::{Machine, cpu, figure, println, smp, timer};

use crate::{Failure, Frames, check};

const MOST: usize = 40;
const TOKEN: u32 = 1;
const ALL: u32 = 2;
const ONE: u32 = 3;
const STAY: u32 = 4;
const PATIENCE_US: u64 = 20_000_000;

static TAKEN: [[AtomicU32; 8]; MOST] = [const { [const { AtomicU32::new(0) }; 8] }; MOST];
static READY: AtomicU32 = AtomicU32::new(0);
static VPES: AtomicU32 = AtomicU32::new(0);
static STOP: AtomicBool = AtomicBool::new(false);
/// The handler of `STAY` goes on until this is set.
static LEAVE: AtomicBool = AtomicBool::new(false);

pub fn run(machine: &'static Machine, frames: &Frames) -> Result<(), Failure> {
    let vpes = machine.vpes();
    VPES.store(vpes, Ordering::Release);
    timer::init(machine);
    listen();
    cpu::enable_interrupts();
    for vpe in 1..vpes {
        let started = smp::start(vpe, other).is_ok();
        check("CPU_ON", vpe, started.into(), 1)?;
    }
    wait("vPEs began", 0, || READY.load(Ordering::Acquire), vpes - 1)?;
    println!("{vpes} vPEs");

    let count = machine.number("count").unwrap_or(50) as u32;
    for n in 1..=count {
        interrupts::send(TOKEN, 1);
        wait("token is back", n, || taken(0, TOKEN), n)?;
    }
    for vpe in 0..vpes {
        check("tokens", vpe, taken(vpe, TOKEN).into(), count.into())?;
    }
    figure!("tokens", count * vpes);

    interrupts::send_others(ALL);
    for vpe in 1..vpes {
        wait("to all others", vpe, || taken(vpe, ALL), 1)?;
    }
    for vpe in 1..vpes {
        interrupts::send(ONE, vpe);
        wait("to one", vpe, || taken(vpe, ONE), 1)?;
    }
    // The last one sends it back.
    wait("from the last one", 0, || taken(0, ONE), 1)?;
    for vpe in 0..vpes {
        check("to others but oneself", vpe, taken(vpe, ALL).into(), u64::from(vpe != 0))?;
        check("one each", vpe, taken(vpe, ONE).into(), 1)?;
    }
    println!("SGIs reach whom they name");
    views(frames, vpes)?;
    println!("list registers of others are seen");

    STOP.store(true, Ordering::Release);
    interrupts::send_others(0);
    for vpe in 1..vpes {
        wait("off", vpe, || u32::from(smp::power(vpe) == Ok(rt::psci::Power::Off)), 1)?;
    }
    match interrupts::unexpected() {
        0 => Ok(()),
        count => check("unexpected interrupts", 0, count.into(), 0),
    }
}

/// What vPE 0 sees of the last vPE, which stays in a handler.
fn views(frames: &Frames, vpes: u32) -> Result<(), Failure> {
    let last = vpes - 1;
    let active = || frames.private(last, 0x300) & 0xffff;
    let pending = || frames.private(last, 0x200) & 0xffff;
    check("active before", last, active().into(), 0)?;
    interrupts::send(STAY, last);
    wait("in the handler", last, || taken(last, STAY), 1)?;
    interrupts::send(ONE, last);
    let seen = (active() == 1 << STAY) as u32;
    check("active in another one's list register", last, seen.into(), 1)?;
    wait("pending in another one's list register", last, pending, 1 << ONE)?;
    LEAVE.store(true, Ordering::Release);
    wait("taken at last", last, || taken(last, ONE), 2)?;
    wait("active at last", last, active, 0)
}

fn other() {
    listen();
    READY.fetch_add(1, Ordering::AcqRel);
    cpu::wait_until(|| STOP.load(Ordering::Acquire));
}

fn listen() {
    for sgi in 0..5 {
        interrupts::set_handler(IntId::new(sgi), take);
        interrupts::enable(IntId::new(sgi));
    }
}

fn take(intid: IntId) {
    let (vpe, vpes) = (cpu::vpe(), VPES.load(Ordering::Acquire));
    let sgi = intid.value();
    let last = vpe + 1 == vpes;
    if let Some(count) = TAKEN.get(vpe as usize).and_then(|row| row.get(sgi as usize)) {
        count.fetch_add(1, Ordering::AcqRel);
    }
    match sgi {
        TOKEN if vpe != 0 => interrupts::send(TOKEN, if last { 0 } else { vpe + 1 }),
        ONE if last && !LEAVE.load(Ordering::Acquire) => interrupts::send(ONE, 0),
        STAY => {
            while !LEAVE.load(Ordering::Acquire) {
                cpu::relax();
            }
        }
        _ => {}
    }
}

fn taken(vpe: u32, sgi: u32) -> u32 {
    TAKEN[vpe as usize % MOST][sgi as usize].load(Ordering::Acquire)
}

fn wait(
    what: &'static str,
    number: u32,
    got: impl Fn() -> u32,
    wanted: u32,
) -> Result<(), Failure> {
    let deadline = timer::now() + timer::microseconds(PATIENCE_US);
    // Others may need this CPU.
    while got() != wanted && timer::now() < deadline {
        timer::sleep(100);
    }
    check(what, number, got().into(), wanted.into())
}
