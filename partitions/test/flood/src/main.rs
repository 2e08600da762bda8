// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Asks for more of the physical ITS, and of other CPUs, than a guest may have. What it gets must
//! all arrive, and be all it gets.
//!
//! | `what=` | does |
//! |---|---|
//! | int | commands INT to its virtual ITS, one after the other, for its own events |
//! | enable | enables an event that is pending, by INV, INVALL and MAPC, `times=` (30) times: its vPE, which sleeps, must hear of it |
//! | pending | switches LPIs on with a bit in the pending table for each of its events, `times=` (4) times |
//! | ring | rings its channels at random; its peers are `hear`, which must hear the last ring of each |
//! | kick  | does everything that makes the CPU of its vPE 1 look |
//!
//! For `ms=` (50) milliseconds unless it says otherwise; `seed=` (1).
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod its;
mod kicks;
mod rings;

use rt::{Machine, Outcome, println, timer};

rt::entry!(main);

const NO_WHAT: u32 = 2;

fn main(machine: &'static Machine) -> Outcome {
    timer::init(machine);
    match machine.argument("what") {
        Some("enable") => its::enable(machine).into(),
        Some("hear") => rings::hear(machine),
        Some("int") => its::int(machine).into(),
        Some("kick") => kicks::storm(machine),
        Some("pending") => its::pending(machine).into(),
        Some("ring") => rings::ring(machine),
        _ => {
            println!("what= says nothing that is known");
            Outcome::Failed(NO_WHAT)
        }
    }
}

/// When what goes on for a time is to end.
fn end(machine: &Machine) -> u64 {
    timer::now() + timer::microseconds(machine.number("ms").unwrap_or(50) * 1000)
}
