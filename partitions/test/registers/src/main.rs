// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Writes every system register that it can, and finds all of them as it left them.
//!
//! It reads every encoding of EL1 and EL0 with op0 2 and 3, and writes a pattern of its own
//! (`tag=`) to those that answer, but for those that it lives by. What of the pattern stays is
//! noted, and what the others read as. For `ms=` (30) milliseconds all of them are read again and
//! again: whoever shares the CPU must have changed none, nor be seen in any. `figure registers` is
//! how many can be read, `kept` how many bits of them can be written.
#![no_std]
#![no_main]

mod list;

use rt::probe;
use rt::{Machine, Outcome, cpu, figure, println, timer};

use list::{Register, Registers};

rt::entry!(main);

const DISTURBED: u32 = 2;

fn main(machine: &'static Machine) -> Outcome {
    cpu::disable_interrupts();
    let tag = machine.number("tag").unwrap_or(1);
    let length = timer::microseconds(machine.number("ms").unwrap_or(30) * 1000);
    let registers = Registers::find(tag);
    let end = timer::now() + length;
    let (mut rounds, mut disturbed) = (0u64, 0u64);
    while timer::now() < end {
        rounds += 1;
        for register in registers.all() {
            let now = register.read();
            if now == Some(register.value) {
                continue;
            }
            disturbed += 1;
            if disturbed <= 8 {
                println!("{register:x?} reads {now:x?}");
            }
        }
    }
    figure!("registers", registers.all().len());
    figure!("kept", registers.all().iter().map(|register| u64::from(register.bits)).sum::<u64>());
    figure!("rounds", rounds);
    figure!("registers-disturbed", disturbed);
    if disturbed == 0 { Outcome::Passed } else { Outcome::Failed(DISTURBED) }
}

/// Runs one instruction with x0; None: UNDEFINED.
fn run(instruction: u32, value: u64) -> Option<u64> {
    // SAFETY: `list` leaves out what would change this vPE's translation, stack, masks or flow; the
    // register is x0.
    unsafe { probe::run(instruction, value) }.ok()
}

impl Register {
    fn read(&self) -> Option<u64> {
        run(self.mrs(), 0)
    }
}
