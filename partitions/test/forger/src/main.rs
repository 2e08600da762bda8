// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Makes its devices send messages to where it may not, beside a guard who looks after its memory.
//!
//! With an edu device (MSI) and an NVMe disk (MSI-X) of its own, from `seed=` (1) on:
//!
//! * the message's address becomes a word of its own memory, words all over the guard's (`victim=`,
//!   of `bytes=`) and the hypervisor's (`hypervisor=`, likewise), and others at random: before and
//!   after messages are turned on, by words and in pieces;
//! * the message's data becomes an EventID that it does not have;
//! * random words go to random registers of the MSI capability and of the MSI-X table.
//!
//! After each the device is made to interrupt. A message that arrives in its own memory, an address
//! that can be read back, or messages that are on with such an address or such data are a hole. In
//! the end both devices must interrupt properly.
//!
//! Without devices it is the guard: it fills its memory with a pattern, and compares it every
//! millisecond until the forger has done. A channel between them says so.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod guard;
mod msi;
mod msix;

use core::sync::atomic::{AtomicU64, Ordering};

use rt::dma::{Arena, Buffer};
use rt::interrupts::{self, IntId};
use rt::machine::Event;
use rt::random::Random;
use rt::{Machine, Outcome, channel, cpu, figure, println, timer};

rt::entry!(main);

const HOLE: u32 = 2;
const NO_DEVICE: u32 = 5;
/// Words that are tried in the memory of each victim.
const WORDS: u64 = 48;
/// Words of the channel's memory: the guard is there, and the forger has done.
const ON_GUARD: usize = 0;
const FORGED: usize = 1;
/// How long a message may take, and a disk: long, for the host may be busy.
const PATIENCE_US: u64 = 30_000_000;

/// Interrupts taken.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// What messages may not do, and what was seen of it.
struct Forger {
    random: Random,
    translater: u64,
    /// A word of its own that a message would change.
    own: Buffer,
    victims: [(u64, u64); 2],
    tries: u64,
    holes: u64,
}

fn main(machine: &'static Machine) -> Outcome {
    if machine.events().next().is_none() {
        return guard::run(machine);
    }
    match forge(machine) {
        Some(0) => Outcome::Passed,
        Some(_) => Outcome::Failed(HOLE),
        None => {
            println!("an event, a device or memory is missing");
            Outcome::Failed(NO_DEVICE)
        }
    }
}

fn forge(machine: &'static Machine) -> Option<u64> {
    let mut arena = Arena::take(machine)?;
    let seed = machine.number("seed").unwrap_or(1);
    let victim = |key, bytes| Some((machine.number(key)?, machine.number(bytes)?));
    let mut forger = Forger {
        random: Random::new(seed),
        translater: machine.its_translater()?,
        own: arena.allocate(8)?,
        victims: [victim("victim", "bytes")?, victim("hypervisor", "hypervisor-bytes")?],
        tries: 0,
        holes: 0,
    };
    println!("seed {seed}");
    let shared = channel::memory(&machine.channels().next()?);
    while shared[ON_GUARD].load(Ordering::Acquire) == 0 {
        cpu::relax();
    }
    for event in machine.events() {
        interrupts::set_handler(IntId::new(event.vintid), |_| {
            TAKEN.fetch_add(1, Ordering::Relaxed);
        });
        interrupts::enable(IntId::new(event.vintid));
    }
    cpu::enable_interrupts();
    let of = |device: &str, number: u32| {
        machine.events().find(|event| event.device == device && event.event_id == number)
    };
    let (edu, nvme): (Event, Event) = (of("edu0", 0)?, of("nvme0", 1)?);
    msi::run(machine, &edu, &mut forger)?;
    msix::run(machine, &nvme, &mut arena, &mut forger)?;
    shared[FORGED].store(1, Ordering::Release);
    figure!("tries", forger.tries);
    figure!("holes", forger.holes);
    println!("done: {} tries, {} holes", forger.tries, forger.holes);
    Some(forger.holes)
}

impl Forger {
    /// The next of all addresses that messages may not go to.
    fn target(&mut self, number: u64) -> u64 {
        let (base, bytes) = match number % 4 {
            0 => return self.own.address(),
            1 => self.victims[0],
            2 => self.victims[1],
            _ => return self.random.below(1 << 40) & !3,
        };
        base + (self.random.below(bytes) & !3)
    }

    fn targets(&self) -> u64 {
        4 * WORDS
    }

    /// A message has come to where it may not.
    fn look(&mut self, what: &str) {
        self.tries += 1;
        if self.own.read64(0) != 0 {
            self.own.write64(0, 0);
            self.hole(what);
        }
    }

    fn hole(&mut self, what: &str) {
        self.holes += 1;
        if self.holes < 10 {
            println!("hole: {what}");
        }
    }

    /// Something makes an interrupt, within a time.
    fn interrupts(&self, make: impl FnOnce()) -> bool {
        let before = TAKEN.load(Ordering::Relaxed);
        make();
        let end = timer::now() + timer::microseconds(PATIENCE_US);
        while timer::now() < end {
            if TAKEN.load(Ordering::Relaxed) != before {
                return true;
            }
        }
        false
    }
}
