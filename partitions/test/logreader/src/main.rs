// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reads the hypervisor's log on a board without a console: finds the first line, and who it is
//! from.
//!
//! With the argument `write` it writes there instead, which must end it.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use abi::log::{HEAD, MAGIC, RING, SIZE};
use rt::mmio::Registers;
use rt::{Machine, Outcome};

rt::entry!(main);

fn main(machine: &'static Machine) -> Outcome {
    let Some(log) = Registers::of_log(machine) else { return Outcome::Failed(1) };
    if machine.argument("write").is_some() {
        log.write64(HEAD, 0);
        return Outcome::Failed(2);
    }
    let (size, head) = (log.read64(SIZE), log.read64(HEAD));
    if log.read64(0) != MAGIC || size == 0 || head > size {
        return Outcome::Failed(3);
    }
    let begins = |at: u64| {
        let text = b"bulkhead: system ".iter().chain(machine.system().as_bytes());
        (at..head)
            .map(|at| log.read8(RING + at))
            .zip(text)
            .filter(|(found, own)| found == *own)
            .count()
            == 17 + machine.system().len()
    };
    if (0..head).any(begins) { Outcome::Passed } else { Outcome::Failed(4) }
}
