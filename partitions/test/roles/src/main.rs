// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Tells memory of each role apart by what reads and stores of it do.
//!
//! Arguments: `rom=ADDRESS`, whose first 8 bytes are `begins=NUMBER` and whose next page reads 0;
//! `hidden=ADDRESS`, the same. A store to the first is refused and changes nothing, a store to the
//! second stays, and neither is in /memory.
#![no_std]
#![no_main]

use rt::probe::{self, Width};
use rt::{Machine, Outcome, println};

rt::entry!(main);

fn read(address: u64) -> Option<u64> {
    // SAFETY: nothing of this program lies there, whatever it is.
    unsafe { probe::read(address, Width::Double) }.ok()
}

/// Whether a store is refused by the abort that the guest ABI promises for memory that cannot be
/// written.
fn refused(address: u64, value: u64) -> bool {
    // SAFETY: nothing of this program lies there, whatever it is.
    unsafe { probe::write(address, value, Width::Double) }
        .is_err_and(|syndrome| syndrome.is_external_abort())
}

fn main(machine: &'static Machine) -> Outcome {
    let number = |key| machine.number(key).unwrap_or(u64::MAX);
    let (rom, hidden, begins) = (number("rom"), number("hidden"), number("begins"));
    let mut wrong = 0;
    let mut expect = |what: &str, holds: bool| {
        println!("{what}: {}", if holds { "yes" } else { "NO" });
        wrong += u32::from(!holds);
    };
    expect("ROM begins with its file", read(rom) == Some(begins));
    expect("ROM is zero behind its file", read(rom + 0x1000) == Some(0));
    expect("a store to ROM is refused", refused(rom, 1) && refused(rom + 0x1000, 1));
    expect("ROM is as before", read(rom) == Some(begins) && read(rom + 0x1000) == Some(0));
    expect("hidden memory begins with its file", read(hidden) == Some(begins));
    expect("a store to hidden memory stays", !refused(hidden, 5) && read(hidden) == Some(5));
    let told = |address: u64| machine.memory().any(|ram| (ram.base..ram.end()).contains(&address));
    expect("neither is in /memory", !told(rom) && !told(hidden));
    match wrong {
        0 => Outcome::Passed,
        wrong => Outcome::Failed(wrong),
    }
}
