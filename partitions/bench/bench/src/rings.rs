// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a channel's ring costs, from one VM to another.
//!
//! | figure | from | to |
//! |---|---|---|
//! | ring | HVC with RING | the peer's handler, or the sender's next instruction if that is later |
//! | ring-send | HVC with RING | the sender's next instruction |
//!
//! The peer waits by WFI, and the sender right after it has rung: as in sgi-other, no CPU computes
//! but these two, one after the other. The channel's first word is when the peer's handler began,
//! the second how often it has waited.

use core::sync::atomic::{AtomicU64, Ordering};

use rt::machine::ChannelEnd;
use rt::{Machine, channel, cpu, timer};

use crate::paths;
use crate::samples::{MOST, Samples};

const SETTLING_US: u64 = 200;

fn words(end: &ChannelEnd) -> Option<[&'static AtomicU64; 2]> {
    match channel::memory(end) {
        [arrived, waits, ..] => Some([arrived, waits]),
        _ => None,
    }
}

/// Rings. None: there is no channel.
pub fn ring(machine: &'static Machine, samples: usize, unit: &str) -> Option<()> {
    let end = machine.channels().next()?;
    let [arrived, waits] = words(&end)?;
    timer::init(machine);
    cpu::enable_interrupts();
    let mut sends = [0; MOST];
    let mut count = 0;
    let all = Samples::take(samples, || {
        count += 1;
        while waits.load(Ordering::Acquire) < count {
            timer::sleep(SETTLING_US);
        }
        timer::sleep(SETTLING_US);
        arrived.store(0, Ordering::Release);
        cpu::disable_interrupts();
        timer::set(timer::now() + timer::microseconds(SETTLING_US));
        let (began, ended) = paths::ring(end.index);
        cpu::enable_interrupts();
        while arrived.load(Ordering::Acquire) == 0 {
            timer::sleep(SETTLING_US);
        }
        sends[(count as usize - 1) % MOST] = ended - began;
        arrived.load(Ordering::Acquire).max(ended) - began
    });
    all.print("ring", unit);
    let mut sends = sends.into_iter();
    Samples::take(samples, || sends.next().unwrap_or(0)).print("ring-send", unit);
    Some(())
}

/// Is rung.
pub fn rung(machine: &'static Machine, samples: usize) -> Option<()> {
    let [arrived, waits] = words(&machine.channels().next()?)?;
    let samples = samples.clamp(1, MOST) as u32;
    paths::take_each(samples, arrived, |number| waits.store(number.into(), Ordering::Release));
    Some(())
}
