//! Asks for more of the physical ITS, and of other CPUs, than a guest may have. What it gets must all arrive, and be all it gets.
//!
//! | `what=` | does |
//! |---|---|
//! | int | commands INT to its virtual ITS, one after the other, for its own events |
//! | pending | switches LPIs on with a bit in the pending table for each of its events, `times=` (4) times |
//!
//! For `ms=` (50) milliseconds unless it says otherwise; `seed=` (1).
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod its;

use rt::{Machine, Outcome, println, timer};

rt::entry!(main);

const NO_WHAT: u32 = 2;

fn main(machine: &'static Machine) -> Outcome {
    timer::init(machine);
    match machine.argument("what") {
        Some("int") => its::int(machine).into(),
        Some("pending") => its::pending(machine).into(),
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
