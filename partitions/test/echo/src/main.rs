// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Repeats each line that is typed, until it is told to quit.
//!
//! With `prompt=`, that text stands in front of what is typed. Between bytes the vPE waits by WFI
//! for the UART's interrupt. `quit` powers the VM off as passed; `reset` resets it, and `fail` ends
//! it with a failure, for those who want to see what becomes of that.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use rt::{Machine, Outcome, console, cpu, print, println, psci};

rt::entry!(main);

const NO_CONSOLE: u32 = 2;
const TOLD_TO: u32 = 3;
/// Bytes of a line; more are dropped.
const LONGEST: usize = 80;

fn main(machine: &'static Machine) -> Outcome {
    if !console::listen(machine) {
        return Outcome::Failed(NO_CONSOLE);
    }
    cpu::enable_interrupts();
    println!("{} listens", machine.name());
    let mut buffer = [0; LONGEST];
    loop {
        print!("{}", machine.argument("prompt").unwrap_or_default());
        match line(&mut buffer) {
            b"quit" => return Outcome::Passed,
            b"fail" => return Outcome::Failed(TOLD_TO),
            b"reset" => psci::system_reset(),
            line => println!("heard {}", line.escape_ascii()),
        }
    }
}

/// The next line, without its end.
fn line(buffer: &mut [u8; LONGEST]) -> &[u8] {
    let mut length = 0;
    loop {
        let mut byte = None;
        cpu::wait_until(|| {
            byte = console::read();
            byte.is_some()
        });
        match byte {
            Some(b'\r' | b'\n') => return &buffer[..length],
            Some(byte) if length < LONGEST => {
                buffer[length] = byte;
                length += 1;
            }
            _ => {}
        }
    }
}
