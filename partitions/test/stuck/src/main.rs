// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Hangs or fails in the way that it is told, for `bulkhead why` to say which.
//!
//! The way is the argument `how=`, or a line that is typed. It prints `hangs: WAY` and never says
//! anything more; [`WAYS`] has all of them. It wants two vPEs and a real-time clock (PL031), whose
//! interrupt it uses without the clock; `receive` wants a channel.
#![no_std]
#![no_main]

use core::arch::asm;
use core::sync::atomic::{AtomicBool, Ordering};

use rt::interrupts::{self, IntId};
use rt::mmio::Registers;
use rt::{Machine, Outcome, channel, console, cpu, gic, println, psci, ring, smp, timer};

rt::entry!(main);

const NO_WAY: u32 = 2;
const MISSING: u32 = 3;
const TOLD_TO: u32 = 7;
/// Bytes of a way's name.
const LONGEST: usize = 32;

const GICD_CTLR: u64 = 0;
const GICD_ISPENDR: u64 = 0x200;
/// Affinity routing without groups.
const GROUPS_OFF: u32 = 0x10;
/// The clock's interrupt.
const CLOCK: &str = "arm,pl031";
/// A byte of the UART's flags, which no short path of EL2's answers.
const UARTFR: u64 = 0x18;

type Way = fn(&'static Machine) -> Outcome;

const WAYS: [(&str, Way); 19] = [
    ("masked", |machine| {
        fire(machine);
        cpu::disable_interrupts();
        spin()
    }),
    ("nothing", |_| sleep()),
    ("unarmed", |machine| {
        timer::init(machine);
        sleep()
    }),
    ("timer-off", |machine| {
        fire(machine);
        interrupts::disable(IntId::new(machine.timer_intid()));
        sleep()
    }),
    ("imask", |machine| {
        timer::init(machine);
        // SAFETY: the timer of this vPE, which nobody waits for.
        unsafe { asm!("msr CNTV_CTL_EL0, {}", "isb", in(reg) 3u64) };
        sleep()
    }),
    ("spi-off", |machine| {
        if raise(machine, false).is_none() {
            return Outcome::Failed(MISSING);
        }
        sleep()
    }),
    ("spi-lost", |machine| {
        if raise(machine, true).is_none() {
            return Outcome::Failed(MISSING);
        }
        sleep()
    }),
    ("spi-silent", |machine| {
        let Some(clock) = machine.device_interrupt(CLOCK, 0) else {
            return Outcome::Failed(MISSING);
        };
        interrupts::enable(IntId::new(clock));
        sleep()
    }),
    ("group", |machine| {
        if let Some((distributor, _)) = gic::frames(machine) {
            distributor.write32(GICD_CTLR, GROUPS_OFF);
        }
        fire(machine);
        sleep()
    }),
    ("interface", |machine| {
        // SAFETY: ICC_IGRPEN1_EL1 of this vPE.
        unsafe { asm!("msr S3_0_C12_C12_7, xzr", "isb") };
        fire(machine);
        sleep()
    }),
    ("priority", |machine| {
        // SAFETY: ICC_PMR_EL1 of this vPE.
        unsafe { asm!("msr S3_0_C4_C6_0, xzr", "isb") };
        fire(machine);
        sleep()
    }),
    ("other", |_| {
        static DONE: AtomicBool = AtomicBool::new(false);
        while !DONE.load(Ordering::Acquire) {
            cpu::relax();
        }
        Outcome::Passed
    }),
    ("event", |_| {
        loop {
            // SAFETY: a hint.
            unsafe { asm!("wfe", options(nostack, nomem)) };
        }
    }),
    ("poll", |_| {
        while smp::power(1) != Ok(psci::Power::On) {}
        Outcome::Passed
    }),
    ("read", |machine| {
        let Some(uart) = Registers::of_device(machine, "arm,pl011") else {
            return Outcome::Failed(MISSING);
        };
        while uart.read8(UARTFR) != 0xff {}
        Outcome::Passed
    }),
    ("exception", |_| again()),
    ("load", |_| load()),
    ("panic", |_| panic!("told to")),
    ("fail", |_| Outcome::Failed(TOLD_TO)),
];

fn main(machine: &'static Machine) -> Outcome {
    let mut buffer = [0; LONGEST];
    let told = match machine.argument("how") {
        Some(how) => how.as_bytes(),
        None => typed(machine, &mut buffer),
    };
    if told == b"receive" {
        return receive(machine);
    }
    let Some((name, way)) = WAYS.iter().find(|(name, _)| name.as_bytes() == told) else {
        return Outcome::Failed(NO_WAY);
    };
    println!("hangs: {name}");
    way(machine)
}

/// The line that is typed. Afterwards no interrupt is enabled.
fn typed<'a>(machine: &Machine, buffer: &'a mut [u8; LONGEST]) -> &'a [u8] {
    if !console::listen(machine) {
        return &[];
    }
    cpu::enable_interrupts();
    println!("how?");
    let mut length = 0;
    loop {
        let mut byte = None;
        cpu::wait_until(|| {
            byte = console::read();
            byte.is_some()
        });
        match byte {
            Some(byte) if !byte.is_ascii_control() && length < LONGEST => {
                buffer[length] = byte;
                length += 1;
            }
            _ => break,
        }
    }
    if let Some((_, Some(intid))) = machine.device("arm,pl011") {
        interrupts::disable(IntId::new(intid));
    }
    &buffer[..length]
}

/// The timer's time has passed, and its interrupt is enabled; this vPE keeps it out.
fn fire(machine: &Machine) {
    cpu::disable_interrupts();
    timer::init(machine);
    timer::set(timer::now());
}

/// The clock's interrupt is pending: not enabled, or `enabled` and routed to a vPE that is off.
fn raise(machine: &Machine, enabled: bool) -> Option<()> {
    let clock = machine.device_interrupt(CLOCK, 0)?;
    let (distributor, _) = gic::frames(machine)?;
    if enabled {
        interrupts::enable(IntId::new(clock));
        interrupts::route(IntId::new(clock), 1);
    }
    distributor.write32(GICD_ISPENDR + u64::from(clock / 32) * 4, 1 << (clock % 32));
    Some(())
}

/// Waits for a message that does not come.
fn receive(machine: &Machine) -> Outcome {
    let Some(Ok((_, mut receiver))) = machine.channels().next().map(|end| channel::open(&end))
    else {
        return Outcome::Failed(MISSING);
    };
    cpu::enable_interrupts();
    println!("hangs: receive");
    match receiver.receive(&mut [0; ring::LONGEST]) {
        Ok(_) => Outcome::Passed,
        Err(_) => Outcome::Failed(MISSING),
    }
}

fn spin() -> ! {
    loop {
        cpu::relax();
    }
}

fn sleep() -> ! {
    loop {
        cpu::wait_for_interrupt();
    }
}

// An exception from EL1 with SP_EL1 takes the next one. The NOPs are for emulators that count time
// by instructions.
core::arch::global_asm!(
    ".balign 2048",
    "vectors_that_fault:",
    ".rept 8",
    "nop",
    "nop",
    "udf #0",
    ".balign 128",
    ".endr",
);

fn again() -> ! {
    cpu::disable_interrupts();
    // SAFETY: nothing of this partition runs afterwards.
    unsafe {
        asm!(
            "adrp x0, vectors_that_fault",
            "add x0, x0, :lo12:vectors_that_fault",
            "msr vbar_el1, x0",
            "isb",
            "udf #0",
            options(noreturn),
        )
    }
}

/// A load from where nothing is, with nobody but EL2 to take the abort.
fn load() -> ! {
    cpu::disable_interrupts();
    // SAFETY: nothing of this partition runs afterwards; code is mapped where it lies, so that the
    // MMU can go off under it.
    unsafe {
        asm!(
            "mrs x0, sctlr_el1",
            "bic x0, x0, #1",
            "msr sctlr_el1, x0",
            "msr vbar_el1, xzr",
            "isb",
            "mov x1, xzr",
            "ldr x0, [x1]",
            "b .",
            options(noreturn),
        )
    }
}
