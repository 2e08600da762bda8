// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Floods by way of channels.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rt::interrupts::{self, IntId};
use rt::random::Random;
use rt::{Machine, Outcome, channel, cpu, figure, hypercall, println, timer};
use spin::Once;

/// Channels at most.
const ENDS: usize = 4;
/// Words of a channel's memory: rings given; the last one is.
const GIVEN: usize = 0;
const LAST: usize = 8;
const PATIENCE_US: u64 = 2_000_000;

const WRONG: u32 = 1;

static BELLS: Once<[Option<Bell>; ENDS]> = Once::new();
static TAKEN: AtomicU64 = AtomicU64::new(0);

struct Bell {
    index: u32,
    vintid: u32,
    words: &'static [AtomicU64],
    /// The last ring has come.
    heard: AtomicBool,
}

fn bells(machine: &'static Machine) -> &'static [Option<Bell>; ENDS] {
    BELLS.call_once(|| {
        let mut bells = [const { None }; ENDS];
        for (bell, end) in bells.iter_mut().zip(machine.channels()) {
            *bell = Some(Bell {
                index: end.index,
                vintid: end.vintid,
                words: channel::memory(&end),
                heard: AtomicBool::new(false),
            });
        }
        bells
    })
}

/// Rings its channels at random, as often as it can; then each once more, and then it sleeps for
/// `linger-ms=` or goes off at once.
pub fn ring(machine: &'static Machine) -> Outcome {
    let bells = bells(machine);
    let count = bells.iter().flatten().count() as u64;
    let mut random = Random::new(machine.number("seed").unwrap_or(1));
    let (mut rings, mut longest) = (0u64, 0);
    if !bells.iter().flatten().all(answers) {
        println!("nobody is there to be rung");
        return Outcome::Failed(WRONG);
    }
    cpu::enable_interrupts();
    let until = super::end(machine);
    while timer::now() < until {
        let Some(bell) = bells.iter().flatten().nth(random.below(count) as usize) else { break };
        rings += 1;
        bell.words[GIVEN].store(rings, Ordering::Release);
        let began = timer::now();
        if hypercall::ring(bell.index).is_err() {
            println!("ring {rings} was refused");
            return Outcome::Failed(WRONG);
        }
        longest = longest.max(timer::now() - began);
    }
    for bell in bells.iter().flatten() {
        bell.words[LAST].store(1, Ordering::Release);
        if hypercall::ring(bell.index).is_err() {
            return Outcome::Failed(WRONG);
        }
    }
    if let Some(milliseconds) = machine.number("linger-ms") {
        timer::sleep(milliseconds * 1000);
    }
    figure!("rings", rings);
    figure!("ring-max", longest, "ticks");
    Outcome::Passed
}

/// The peer's VM may not have begun.
fn answers(bell: &Bell) -> bool {
    let deadline = timer::now() + timer::microseconds(PATIENCE_US);
    while hypercall::ring(bell.index).is_err() {
        if timer::now() > deadline {
            return false;
        }
    }
    true
}

/// Is rung until the last ring of each channel has come.
pub fn hear(machine: &'static Machine) -> Outcome {
    let bells = bells(machine);
    for bell in bells.iter().flatten() {
        interrupts::set_handler(IntId::new(bell.vintid), rung);
    }
    cpu::enable_interrupts();
    cpu::wait_until(|| bells.iter().flatten().all(|bell| bell.heard.load(Ordering::Acquire)));
    figure!("taken", TAKEN.load(Ordering::Relaxed));
    Outcome::Passed
}

fn rung(intid: IntId) {
    TAKEN.fetch_add(1, Ordering::Relaxed);
    for bell in BELLS.get().into_iter().flatten().flatten() {
        if IntId::new(bell.vintid) == intid && bell.words[LAST].load(Ordering::Acquire) != 0 {
            bell.heard.store(true, Ordering::Release);
        }
    }
}
