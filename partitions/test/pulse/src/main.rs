// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Rings others at random, and counts: no ring is lost, none comes twice.
//!
//! `role=source`: picks one of its channels at random, waits a random time, and rings it if the
//! last ring there was acknowledged. Before ringing it writes how often it has, so that the other
//! end knows what each ring is. Arguments: `count=` rings in all (10000), `gap-us=` the longest
//! wait between two (20). With `modes=`, the number of the system's modes, it also asks for one of
//! them at random, after `every=` (100) rings on average.
//!
//! `role=sink`: at each interrupt the number must be the next one; the same again is a ring taken
//! twice, a later one a loss. It acknowledges and waits by WFI. With `timer-us=` it also has a
//! periodic deadline, none of which may be left out.
//!
//! `role=devices`: the same inside one VM, with devices instead of channels (devices.rs). vPE 0
//! rings, by a store that makes an edu device send its MSI; each other vPE takes the interrupts of
//! its own device.
//!
//! A ring that is never acknowledged ends the source's run. Both ends fail if anything is wrong.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod devices;
mod sink;
mod source;

use rt::{Machine, Outcome, println};

rt::entry!(main);

/// Words of a channel's memory: rings given, rings taken, the source is done.
const GIVEN: usize = 0;
const TAKEN: usize = 8;
const DONE: usize = 16;

const NO_ROLE: u32 = 2;

fn main(machine: &'static Machine) -> Outcome {
    match machine.argument("role") {
        Some("source") => source::run(machine),
        Some("sink") => sink::run(machine),
        Some("devices") => devices::run(machine),
        _ => {
            println!("role=source, role=sink or role=devices?");
            Outcome::Failed(NO_ROLE)
        }
    }
}
