// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The victim: its memory stays what it made of it, and its periods come.

use core::sync::atomic::Ordering;

use rt::dma::Arena;
use rt::timer::{self, Periodic};
use rt::{Machine, Outcome, channel, cpu, figure, println};

use crate::{FORGED, ON_GUARD};

const CHANGED: u32 = 3;
const PERIOD_US: u64 = 1000;
const PATTERN: u64 = 0x5a5a_a5a5_c3c3_3c3c;
/// Words that are compared in one period.
const SLICE: u64 = 4096;

pub fn run(machine: &'static Machine) -> Outcome {
    timer::init(machine);
    cpu::enable_interrupts();
    let bytes = machine.free_memory().bytes & !0xfff;
    let Some(memory) = Arena::take(machine).and_then(|mut arena| arena.allocate(bytes)) else {
        return Outcome::Failed(CHANGED);
    };
    let Some(end) = machine.channels().next() else { return Outcome::Failed(CHANGED) };
    let shared = channel::memory(&end);
    let words = bytes / 8;
    for word in 0..words {
        memory.write64(8 * word, PATTERN ^ word);
    }
    println!("on guard over {bytes} bytes");
    shared[ON_GUARD].store(1, Ordering::Release);
    let mut period = Periodic::new(timer::microseconds(PERIOD_US));
    let (mut next, mut periods, mut changed) = (0, 0u64, 0u64);
    while shared[FORGED].load(Ordering::Acquire) == 0 {
        period.wait();
        periods += 1;
        for word in next..(next + SLICE).min(words) {
            changed += u64::from(memory.read64(8 * word) != PATTERN ^ word);
        }
        next = if next + SLICE < words { next + SLICE } else { 0 };
    }
    for word in 0..words {
        changed += u64::from(memory.read64(8 * word) != PATTERN ^ word);
    }
    figure!("periods", periods);
    figure!("changed", changed);
    println!("off guard: {periods} periods, {changed} words changed");
    if changed == 0 { Outcome::Passed } else { Outcome::Failed(CHANGED) }
}
