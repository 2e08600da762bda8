// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Causes every exception that a guest can, and is still there.
//!
//! First what has an answer of its own (`known`), each compared with what the architecture does:
//! coprocessor accesses of AArch32 programs, accesses of the debug channel with and without the
//! kernel's trap, fetches where there is no memory, tables that are nowhere, single steps,
//! misaligned and illegal states, caches by set and way. Then, in an order that `seed=` (1)
//! decides, all coprocessor registers and all system registers from EL0 (`sweep`), `rounds=` (8000)
//! times. Whatever is tried comes back to EL1 by its synchronous vector, or the VM is not there any
//! more to say so.
#![no_std]
#![no_main]

mod known;
mod stub;
mod sweep;

use rt::{Machine, Outcome, cpu, figure, println, timer};

rt::entry!(main);

const WRONG: u32 = 2;

fn main(machine: &'static Machine) -> Outcome {
    timer::init(machine);
    cpu::disable_interrupts();
    let seed = machine.number("seed").unwrap_or(1);
    let rounds = machine.number("rounds").unwrap_or(8_000);
    println!("exceptions, seed {seed}");
    let wrong = known::all();
    let (tried, astray) = sweep::all(seed, rounds);
    figure!("wrong", wrong);
    figure!("tried", tried);
    figure!("astray", astray);
    if wrong + astray == 0 { Outcome::Passed } else { Outcome::Failed(WRONG) }
}
