// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Takes interrupts by wires: the pins of PCI functions, and the SPIs of small devices in one page.
//!
//! * `pins=N`: the N edu devices of this VM interrupt by INTx, `rounds=` (100) times each, alone
//!   and all at once. The SPI of each is what the device tree's interrupt-map says. Devices that
//!   share a line share its handler.
//! * `slots=N`: one device has the registers and interrupts of N virtio-mmio slots, each with an
//!   entropy source. Each fills a buffer and interrupts, `rounds=` times.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod pins;
mod slots;

use rt::{Machine, Outcome, cpu, interrupts, println, timer};

rt::entry!(main);

const LOST: u32 = 2;
const MISSING: u32 = 5;
/// How long an interrupt may take: long, for the host may be busy.
const PATIENCE_US: u64 = 30_000_000;

/// What is wrong.
#[derive(Debug)]
enum Failure {
    /// Something that the test needs is not there.
    Missing(&'static str),
    Lost {
        what: &'static str,
        number: usize,
        got: u64,
        wanted: u64,
    },
}

fn main(machine: &'static Machine) -> Outcome {
    timer::init(machine);
    cpu::enable_interrupts();
    match run(machine) {
        Ok(()) => Outcome::Passed,
        Err(Failure::Missing(what)) => {
            println!("{what} is missing");
            Outcome::Failed(MISSING)
        }
        Err(Failure::Lost { what, number, got, wanted }) => {
            println!("{what} {number}: {got} interrupts, not {wanted}");
            Outcome::Failed(LOST)
        }
    }
}

fn run(machine: &'static Machine) -> Result<(), Failure> {
    let rounds = machine.number("rounds").unwrap_or(100);
    if let Some(count) = machine.number("pins") {
        pins::run(machine, count as usize, rounds)?;
    }
    if let Some(count) = machine.number("slots") {
        slots::run(machine, count as usize, rounds)?;
    }
    match interrupts::unexpected() {
        0 => Ok(()),
        got => Err(Failure::Lost { what: "nobody's", number: 0, got: got.into(), wanted: 0 }),
    }
}

/// `done` becomes true in time.
fn soon(done: impl Fn() -> bool) -> bool {
    let end = timer::now() + timer::microseconds(PATIENCE_US);
    while !done() {
        if timer::now() > end {
            return false;
        }
        cpu::relax();
    }
    true
}
