// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The end that is rung.

use core::sync::atomic::{AtomicU64, Ordering};

use rt::interrupts::{self, IntId};
use rt::timer::Periodic;
use rt::{Machine, Outcome, channel, cpu, figure, println, timer};
use spin::Once;

use crate::{DONE, GIVEN, TAKEN};

static WORDS: Once<&'static [AtomicU64]> = Once::new();
static TWICE: AtomicU64 = AtomicU64::new(0);
static LOST: AtomicU64 = AtomicU64::new(0);

const WRONG: u32 = 1;
const NO_CHANNEL: u32 = 3;

fn count(cell: &AtomicU64, more: u64) {
    cell.fetch_add(more, Ordering::Relaxed);
}

fn rung(_: IntId) {
    let Some(words) = WORDS.get() else { return };
    let done = words[DONE].load(Ordering::Acquire) != 0;
    let given = words[GIVEN].load(Ordering::Acquire);
    let taken = words[TAKEN].load(Ordering::Relaxed);
    match given.wrapping_sub(taken) {
        1 => {}
        0 if done => {}
        0 => count(&TWICE, 1),
        more => count(&LOST, more - 1),
    }
    words[TAKEN].store(given, Ordering::Release);
}

/// Takes rings until the source is done.
pub fn run(machine: &'static Machine) -> Outcome {
    let Some(end) = machine.channels().next() else {
        println!("this VM has no channel");
        return Outcome::Failed(NO_CHANNEL);
    };
    let words = *WORDS.call_once(|| channel::memory(&end));
    interrupts::set_handler(IntId::new(end.vintid), rung);
    timer::init(machine);
    cpu::enable_interrupts();
    let done = || words[DONE].load(Ordering::Acquire) != 0;
    let mut periods = 0;
    match machine.number("timer-us") {
        None => cpu::wait_until(done),
        Some(period) => {
            let mut deadlines = Periodic::new(timer::microseconds(period));
            while !done() {
                deadlines.wait();
                periods += 1;
            }
        }
    }
    let (twice, lost) = (TWICE.load(Ordering::Relaxed), LOST.load(Ordering::Relaxed));
    figure!("rings-taken", words[TAKEN].load(Ordering::Relaxed));
    figure!("rings-twice", twice);
    figure!("rings-lost", lost);
    if periods != 0 {
        figure!("periods", periods);
    }
    if twice == 0 && lost == 0 && interrupts::unexpected() == 0 {
        Outcome::Passed
    } else {
        Outcome::Failed(WRONG)
    }
}
