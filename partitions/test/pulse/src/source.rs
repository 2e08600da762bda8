// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The end that rings.

use core::sync::atomic::{AtomicU64, Ordering};

use rt::random::Random;
use rt::{Machine, Outcome, channel, cpu, figure, hypercall, println, timer};

use crate::{DONE, GIVEN, TAKEN};

/// Bells at most.
const SINKS: usize = 16;
/// How long an acknowledgement may take.
const PATIENCE_US: u64 = 2_000_000;

const NEVER: u32 = 1;
const REFUSED: u32 = 4;

/// What can be rung.
pub trait Bell {
    /// The number of the last ring that was taken.
    fn taken(&self) -> u64;
    /// Rings with this number. False: nobody is there to take it yet.
    fn ring(&self, number: u64) -> bool;
}

struct Sink<B> {
    bell: B,
    given: u64,
    since: u64,
}

impl<B: Bell> Sink<B> {
    fn acknowledged(&self) -> bool {
        self.bell.taken() == self.given
    }

    /// Rings; waits while the other end has not begun yet.
    fn ring(&mut self) -> bool {
        self.since = timer::now();
        while !self.bell.ring(self.given) {
            if self.overdue() {
                return false;
            }
            cpu::relax();
        }
        true
    }

    fn overdue(&self) -> bool {
        timer::now() - self.since > timer::microseconds(PATIENCE_US)
    }
}

/// The other end of a channel.
struct Peer {
    words: &'static [AtomicU64],
    index: u32,
}

impl Bell for Peer {
    fn taken(&self) -> u64 {
        self.words[TAKEN].load(Ordering::Acquire)
    }

    fn ring(&self, number: u64) -> bool {
        self.words[GIVEN].store(number, Ordering::Release);
        hypercall::ring(self.index).is_ok()
    }
}

/// Rings the VM's channels until all is given and acknowledged.
pub fn run(machine: &'static Machine) -> Outcome {
    let peers =
        machine.channels().map(|end| Peer { words: channel::memory(&end), index: end.index });
    timer::init(machine);
    cpu::enable_interrupts();
    if let Err(outcome) = give(machine, peers) {
        return outcome;
    }
    for end in machine.channels() {
        channel::memory(&end)[DONE].store(1, Ordering::Release);
        // One whose VM has ended by itself does not wait.
        let _ = hypercall::ring(end.index);
    }
    Outcome::Passed
}

/// Rings bells at random until `count=` rings are given and acknowledged.
pub fn give<B: Bell>(
    machine: &'static Machine,
    bells: impl Iterator<Item = B>,
) -> Result<(), Outcome> {
    let count = machine.number("count").unwrap_or(10_000);
    let gap = timer::microseconds(machine.number("gap-us").unwrap_or(20));
    let mut random = Random::new(machine.number("seed").unwrap_or(1));
    let mut sinks: [Option<Sink<B>>; SINKS] = [const { None }; SINKS];
    let mut many = 0;
    for (sink, bell) in sinks.iter_mut().zip(bells) {
        *sink = Some(Sink { bell, given: 0, since: 0 });
        many += 1;
    }
    if many == 0 {
        println!("this VM has nothing to ring");
        return Err(Outcome::Failed(NEVER));
    }
    let began = timer::now();
    let mut given = 0;
    let (mut switches, mut next_switch) = (0, 0);
    let every = machine.number("every").unwrap_or(100);
    let modes = machine.number("modes").unwrap_or(0);
    while given < count {
        timer::wait(timer::now() + random.below(gap));
        let pick = random.below(many) as usize;
        let Some(Some(sink)) = sinks.get_mut(pick) else { continue };
        if modes != 0 && given >= next_switch {
            match hypercall::switch_mode(random.below(modes)) {
                Ok(agreed) => switches += u64::from(agreed),
                Err(error) => {
                    println!("{error}");
                    return Err(Outcome::Failed(REFUSED));
                }
            }
            next_switch = given + 1 + random.below(2 * every);
        }
        if sink.acknowledged() {
            sink.given += 1;
            given += 1;
            if sink.ring() {
                continue;
            }
        } else if !sink.overdue() {
            continue;
        }
        println!("ring {} of bell {pick} was never acknowledged", sink.given);
        return Err(Outcome::Failed(NEVER));
    }
    for (pick, sink) in sinks.iter().flatten().enumerate() {
        while !sink.acknowledged() {
            if sink.overdue() {
                println!("the last ring of bell {pick} was never acknowledged");
                return Err(Outcome::Failed(NEVER));
            }
            timer::sleep(1);
        }
    }
    figure!("rings-given", given);
    if modes != 0 {
        figure!("mode-switches", switches);
    }
    figure!("ring-mean-ns", timer::nanoseconds(timer::now() - began) / given.max(1), "ns");
    Ok(())
}
