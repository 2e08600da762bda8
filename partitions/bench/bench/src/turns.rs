// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What it costs that vPEs share a CPU: waking one by its doorbell, switching to another, moving
//! them in a mode switch.
//!
//! vPE 0 has a CPU of its own and asks; vPE 1 shares another CPU with the others and has the
//! highest priority there, vPE 2 the lowest.
//!
//! | figure | from | to |
//! |---|---|---|
//! | doorbell-idle | store by vPE 0 that makes the edu device send its MSI, nobody runs on the shared CPU | vPE 1's handler |
//! | doorbell-busy | the same store by vPE 2, which has the shared CPU | vPE 1's handler |
//! | wait-to-next | vPE 1's WFI | vPE 2's next instruction |
//! | mode-switch | MODE_SWITCH | the first instruction of vPE 1, spinning, on its new CPU |
//!
//! Under `-icount` the counter counts the instructions of all CPUs, and no other executes any: vPE
//! 0 waits by WFI right after it has asked.

use core::arch::asm;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rt::interrupts::{self, IntId};
use rt::pci::Function;
use rt::{Machine, cpu, hypercall, println, smp, timer};

use crate::paths::{self, Release};
use crate::samples::{MOST, Samples};
use crate::{EDU, EDU_ACKNOWLEDGE, EDU_BYTES, EDU_RAISE, EDU_STATUS};

const LISTENER: u32 = 1;
const WORKER: u32 = 2;
const GO: u32 = 3;
const SETTLING_US: u64 = 200;
/// A gap between two readings of the counter that is a mode switch.
const GAP: u64 = 600;

static RAISE: AtomicU64 = AtomicU64::new(0);
static ACKNOWLEDGE: AtomicU64 = AtomicU64::new(0);
static LOOK: AtomicU64 = AtomicU64::new(0);
/// Counter at vPE 1's handler, and before its WFI.
static ARRIVED: AtomicU64 = AtomicU64::new(0);
static LEFT: AtomicU64 = AtomicU64::new(0);
/// What vPE 2 is to do, and its readings before and after.
static COMMANDS: AtomicU32 = AtomicU32::new(0);
static DONE: AtomicU32 = AtomicU32::new(0);
static BEGAN: AtomicU64 = AtomicU64::new(0);
static ENDED: AtomicU64 = AtomicU64::new(0);
/// The last gap that vPE 1 has seen: its end.
static MOVED: AtomicU64 = AtomicU64::new(0);

/// Doorbells and switches. None: something is missing.
pub fn doorbells(machine: &'static Machine, samples: usize, unit: &str) -> Option<()> {
    let device = Function::find(machine, EDU)?;
    let event = machine.events().find(|event| event.vpe == LISTENER)?;
    let registers = device.bar(0, EDU_BYTES)?;
    device.enable();
    device.enable_msi(machine.its_translater()?, event.event_id)?;
    RAISE.store(registers.base() + EDU_RAISE, Ordering::Release);
    ACKNOWLEDGE.store(registers.base() + EDU_ACKNOWLEDGE, Ordering::Release);
    LOOK.store(registers.base() + EDU_STATUS, Ordering::Release);
    timer::init(machine);
    interrupts::set_handler(IntId::new(GO), |_| {});
    for (vpe, main) in [(LISTENER, listen as fn()), (WORKER, work as fn())] {
        if let Err(error) = smp::start(vpe, main) {
            println!("CPU_ON of vPE {vpe}: {error}");
            return None;
        }
    }
    cpu::enable_interrupts();
    let raise = RAISE.load(Ordering::Acquire);
    let idle = Samples::take(samples, || {
        settle();
        cpu::disable_interrupts();
        timer::set(timer::now() + timer::microseconds(SETTLING_US));
        // SAFETY: the register that makes the edu device interrupt; it is this VM's.
        let began = unsafe { store_and_wait(raise) };
        cpu::enable_interrupts();
        settle();
        ARRIVED.load(Ordering::Acquire) - began
    });
    idle.print("doorbell-idle", unit);
    let mut waits = [0; MOST];
    let mut sample = 0;
    let busy = Samples::take(samples, || {
        settle();
        COMMANDS.fetch_add(1, Ordering::Release);
        interrupts::send(GO, WORKER);
        while DONE.load(Ordering::Acquire) != COMMANDS.load(Ordering::Acquire) {
            settle();
        }
        waits[sample % MOST] = ENDED.load(Ordering::Acquire) - LEFT.load(Ordering::Acquire);
        sample += 1;
        ARRIVED.load(Ordering::Acquire) - BEGAN.load(Ordering::Acquire)
    });
    busy.print("doorbell-busy", unit);
    let mut waits = waits.into_iter();
    Samples::take(samples, || waits.next().unwrap_or(0)).print("wait-to-next", unit);
    Some(())
}

/// Everybody on the shared CPU waits.
fn settle() {
    timer::sleep(SETTLING_US);
}

/// vPE 1: waits for the event, again and again.
fn listen() {
    let release = Release {
        address: ACKNOWLEDGE.load(Ordering::Acquire),
        value: 1,
        look: LOOK.load(Ordering::Acquire),
    };
    paths::listen(release, &ARRIVED, &LEFT)
}

/// vPE 2: makes the event happen when told to.
fn work() {
    interrupts::enable(IntId::new(GO));
    cpu::enable_interrupts();
    let raise = RAISE.load(Ordering::Acquire);
    loop {
        cpu::wait_until(|| DONE.load(Ordering::Acquire) != COMMANDS.load(Ordering::Acquire));
        cpu::disable_interrupts();
        let (began, ended): (u64, u64);
        // SAFETY: as in `doorbells`.
        unsafe {
            asm!(
                "mrs x8, cntvct_el0", "str {value:w}, [{address}]", "mrs x9, cntvct_el0",
                address = in(reg) raise, value = in(reg) 1u32, out("x8") began, out("x9") ended, options(nostack),
            );
        }
        BEGAN.store(began, Ordering::Release);
        ENDED.store(ended, Ordering::Release);
        DONE.fetch_add(1, Ordering::Release);
        cpu::enable_interrupts();
    }
}

/// The counter before a store, after which this CPU executes nothing more until its timer.
///
/// # Safety
/// `address` is a device register, and the timer is set.
unsafe fn store_and_wait(address: u64) -> u64 {
    let began: u64;
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "mrs x8, cntvct_el0", "str {value:w}, [{address}]", "wfi",
            address = in(reg) address, value = in(reg) 1u32, out("x8") began, options(nostack),
        );
    }
    began
}

/// Between the system's first two modes and back, with vPE 1 spinning and all others of the VM
/// waiting. None: refused.
pub fn modes(machine: &'static Machine, samples: usize, unit: &str) -> Option<()> {
    timer::init(machine);
    interrupts::set_handler(IntId::new(GO), |_| {});
    for vpe in LISTENER..machine.vpes() {
        let main = if vpe == LISTENER { spin as fn() } else { wait as fn() };
        smp::start(vpe, main).ok()?;
    }
    cpu::enable_interrupts();
    settle();
    let mut mode = 0;
    let mut refused = false;
    let all = Samples::take(samples, || {
        settle();
        mode = 1 - mode;
        cpu::disable_interrupts();
        timer::set(timer::now() + timer::microseconds(SETTLING_US));
        let before = timer::now();
        refused |= hypercall::switch_mode(mode) != Ok(true);
        cpu::wait_for_interrupt();
        cpu::enable_interrupts();
        settle();
        MOVED.load(Ordering::Acquire).wrapping_sub(before)
    });
    all.print("mode-switch", unit);
    (!refused).then_some(())
}

fn spin() {
    loop {
        let (before, after): (u64, u64);
        // SAFETY: reads the counter until it jumps.
        unsafe {
            asm!(
                "mrs x9, cntvct_el0", "2: mov x8, x9", "yield", "mrs x9, cntvct_el0", "sub x10, x9, x8", "cmp x10, {gap}", "b.lo 2b",
                gap = in(reg) GAP, out("x8") before, out("x9") after, out("x10") _, options(nostack, nomem),
            );
        }
        let _ = before;
        MOVED.store(after, Ordering::Release);
    }
}

fn wait() {
    interrupts::enable(IntId::new(GO));
    cpu::enable_interrupts();
    loop {
        cpu::wait_until(|| false);
    }
}

/// All vPEs of the VM wait for `ms` milliseconds, and it ends.
pub fn idle(machine: &'static Machine, ms: u64) {
    for vpe in 1..machine.vpes() {
        if smp::start(vpe, wait).is_err() {
            println!("CPU_ON of vPE {vpe} failed");
        }
    }
    timer::init(machine);
    cpu::enable_interrupts();
    timer::sleep(ms * 1000);
}
