// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Resets itself again and again, and says what its memory held.
//!
//! In its first life it counts the 64-bit words that are not 0 in all of its memory that nothing
//! was loaded to, and in the channels it has: what others left there. How often it has lived is
//! kept in that memory, which a restart leaves as it is. It resets itself until the counter has
//! passed `ms=` (0) milliseconds, `lives=` times at most.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU64, Ordering};

use rt::machine::Region;
use rt::{Machine, Outcome, channel, figure, psci, timer};

rt::entry!(main);

/// Words of the memory that is kept: lives so far, and what the first one found.
const LIVES: usize = 0;
const LEFT: usize = 1;
const LEFT_IN_CHANNELS: usize = 2;
/// Not 0 in a memory that was not cleared, but hardly this.
const MARK: usize = 3;
const MARKED: u64 = 0x6c69_7665_735f_6f6b;

const FORGOTTEN: u32 = 2;

fn words(region: Region) -> &'static [AtomicU64] {
    // SAFETY: memory that nothing else of this program uses, and that only this looks at.
    unsafe {
        core::slice::from_raw_parts(region.base as *const AtomicU64, (region.bytes / 8) as usize)
    }
}

fn left(words: &[AtomicU64]) -> u64 {
    words.iter().filter(|word| word.load(Ordering::Relaxed) != 0).count() as u64
}

fn main(machine: &'static Machine) -> Outcome {
    let memory = words(machine.free_memory());
    let get = |word: usize| memory[word].load(Ordering::Relaxed);
    let set = |word: usize, value| memory[word].store(value, Ordering::Relaxed);
    if get(MARK) != MARKED {
        let own = left(memory);
        let shared = machine.channels().map(|end| left(channel::memory(&end))).sum();
        set(LIVES, 0);
        set(LEFT, own);
        set(LEFT_IN_CHANNELS, shared);
        set(MARK, MARKED);
    }
    let lives = get(LIVES) + 1;
    set(LIVES, lives);
    let end = timer::microseconds(machine.number("ms").unwrap_or(0) * 1000);
    if timer::now() < end && lives < machine.number("lives").unwrap_or(u64::MAX) {
        psci::system_reset();
    }
    figure!("lives", lives);
    figure!("words-left", get(LEFT));
    figure!("words-left-in-channels", get(LEFT_IN_CHANNELS));
    // A second life that found its memory cleared would count as a first one, for ever.
    if machine.number("lives").is_none_or(|wanted| lives == wanted) {
        Outcome::Passed
    } else {
        Outcome::Failed(FORGOTTEN)
    }
}
