// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Works for a while, then jumps where there is no memory.
//!
//! With its MMU off and no memory at its vectors nothing but EL2 is left to take the abort: the VM
//! fails. Argument: `after-ms=` (100), how long it works. Its last exits before that are a
//! hypercall and the abort. With `mode=` it asks for that mode of the system first.
#![no_std]
#![no_main]

use core::arch::asm;

use rt::{Machine, Outcome, cpu, hypercall, println, timer};

rt::entry!(main);

fn main(machine: &'static Machine) -> Outcome {
    timer::init(machine);
    cpu::enable_interrupts();
    for _ in 0..machine.number("after-ms").unwrap_or(100) {
        timer::sleep(1000);
    }
    if let Some(mode) = machine.number("mode") {
        println!("mode {mode}: {:?}", hypercall::switch_mode(mode));
    }
    println!("jumping to nowhere");
    // Only for the exit.
    let _ = hypercall::revision();
    cpu::disable_interrupts();
    // SAFETY: this VM ends here; code is mapped where it lies, so that the MMU can go off under it.
    unsafe {
        asm!(
            "mrs x0, sctlr_el1",
            "bic x0, x0, #1",
            "msr sctlr_el1, x0",
            "msr vbar_el1, xzr",
            "isb",
            "br xzr",
            options(noreturn),
        );
    }
}
