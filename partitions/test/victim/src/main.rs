// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Watches every byte of its memory and of its channels while others misbehave.
//!
//! All memory that neither image nor device tree uses, and its channels, which it must be allowed
//! to write, get a pattern in which each word is its own address, mixed. For `seconds=` (1) it
//! compares them again and again. A word that changed was written by somebody else: it fails, and
//! says what it found.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use rt::dma::Arena;
use rt::{Machine, Outcome, channel, figure, println, timer};

use core::sync::atomic::Ordering::Relaxed;

rt::entry!(main);

const NO_MEMORY: u32 = 1;
const CHANGED: u32 = 2;

/// No two words have the same, and none is zero.
fn pattern(address: u64) -> u64 {
    (address | 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn main(machine: &'static Machine) -> Outcome {
    let bytes = machine.free_memory().bytes & !0xfff;
    let Some(own) = Arena::take(machine).and_then(|mut arena| arena.allocate(bytes)) else {
        return Outcome::Failed(NO_MEMORY);
    };
    for offset in (0..bytes).step_by(8) {
        own.write64(offset, pattern(own.address() + offset));
    }
    let mut words = bytes / 8;
    for end in machine.channels() {
        for (n, word) in (0..).zip(channel::memory(&end)) {
            word.store(pattern(end.memory.base + 8 * n), Relaxed);
            words += 1;
        }
    }
    println!("{words} words are watched");
    let end =
        timer::now() + timer::microseconds(machine.number("seconds").unwrap_or(1) * 1_000_000);
    let mut rounds: u64 = 0;
    while timer::now() < end {
        for offset in (0..bytes).step_by(8) {
            let address = own.address() + offset;
            if !same(address, own.read64(offset)) {
                return Outcome::Failed(CHANGED);
            }
        }
        for end in machine.channels() {
            for (n, word) in (0..).zip(channel::memory(&end)) {
                if !same(end.memory.base + 8 * n, word.load(Relaxed)) {
                    return Outcome::Failed(CHANGED);
                }
            }
        }
        rounds += 1;
    }
    figure!("words", words);
    figure!("rounds", rounds);
    Outcome::Passed
}

fn same(address: u64, found: u64) -> bool {
    let wanted = pattern(address);
    if found != wanted {
        println!("{address:#x} holds {found:#x}, not {wanted:#x}");
    }
    found == wanted
}
