//! The end that rings.

use core::sync::atomic::{AtomicU64, Ordering};

use rt::random::Random;
use rt::{Machine, Outcome, channel, cpu, figure, hypercall, println, timer};

use crate::{DONE, GIVEN, TAKEN};

/// Channels at most.
const SINKS: usize = 16;
/// How long an acknowledgement may take.
const PATIENCE_US: u64 = 20_000_000;

const NEVER: u32 = 1;
const REFUSED: u32 = 4;

#[derive(Clone, Copy)]
struct Sink {
    words: &'static [AtomicU64],
    index: u32,
    given: u64,
    since: u64,
}

impl Sink {
    fn acknowledged(&self) -> bool {
        self.words[TAKEN].load(Ordering::Acquire) == self.given
    }

    /// Rings; waits while the other VM has not begun yet.
    fn ring(&mut self) -> bool {
        self.since = timer::now();
        while hypercall::ring(self.index).is_err() {
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

/// Rings until all is given and acknowledged.
pub fn run(machine: &'static Machine) -> Outcome {
    let count = machine.number("count").unwrap_or(10_000);
    let gap = timer::microseconds(machine.number("gap-us").unwrap_or(20));
    let mut random = Random::new(machine.number("seed").unwrap_or(1));
    let mut sinks: [Option<Sink>; SINKS] = [None; SINKS];
    let mut many = 0;
    for (sink, end) in sinks.iter_mut().zip(machine.channels()) {
        *sink = Some(Sink { words: channel::memory(&end), index: end.index, given: 0, since: 0 });
        many += 1;
    }
    if many == 0 {
        println!("this VM has no channel");
        return Outcome::Failed(NEVER);
    }
    timer::init(machine);
    cpu::enable_interrupts();
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
                    return Outcome::Failed(REFUSED);
                }
            }
            next_switch = given + 1 + random.below(2 * every);
        }
        if sink.acknowledged() {
            sink.given += 1;
            given += 1;
            sink.words[GIVEN].store(sink.given, Ordering::Release);
            if sink.ring() {
                continue;
            }
        } else if !sink.overdue() {
            continue;
        }
        println!("ring {} of channel {pick} was never acknowledged", sink.given);
        return Outcome::Failed(NEVER);
    }
    for (pick, sink) in sinks.iter_mut().flatten().enumerate() {
        while !sink.acknowledged() {
            if sink.overdue() {
                println!("the last ring of channel {pick} was never acknowledged");
                return Outcome::Failed(NEVER);
            }
            timer::sleep(1);
        }
        sink.words[DONE].store(1, Ordering::Release);
        sink.ring();
    }
    figure!("rings-given", given);
    if modes != 0 {
        figure!("mode-switches", switches);
    }
    figure!("ring-mean-ns", timer::nanoseconds(timer::now() - began) / given.max(1), "ns");
    Outcome::Passed
}
