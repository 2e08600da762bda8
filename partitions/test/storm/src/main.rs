// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Keeps the hypervisor as busy as a guest can, for the neighbours to notice if they could.
//!
//! At random, again and again: hypercalls of every length, interrupts to itself by SGI and by a
//! timer that is always late, emulated registers, rings of its channel, waits that end at once.
//! Argument: `ms=` (100) how long, `seed=` (1).
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering};

use rt::hypercall::{self, Counter};
use rt::interrupts::{self, IntId};
use rt::psci::{self, Power};
use rt::random::Random;
use rt::{Machine, Outcome, cpu, figure, smp, timer};

rt::entry!(main);

const SGIS: u32 = 8;

static TAKEN: AtomicU64 = AtomicU64::new(0);

/// Not that the neighbour has ended before.
fn denied(error: hypercall::Error) -> bool {
    error != hypercall::Error::Denied
}

fn taken(_: IntId) {
    TAKEN.fetch_add(1, Ordering::Relaxed);
}

fn main(machine: &'static Machine) -> Outcome {
    timer::init(machine);
    for sgi in 0..SGIS {
        interrupts::set_handler(IntId::new(sgi), taken);
        interrupts::enable(IntId::new(sgi));
    }
    cpu::enable_interrupts();
    let mut random = Random::new(machine.number("seed").unwrap_or(1));
    let end = timer::now() + timer::microseconds(machine.number("ms").unwrap_or(100) * 1000);
    let channel = machine.channels().next();
    let mut turns = 0u64;
    let mut wrong = 0u64;
    while timer::now() < end {
        turns += 1;
        match random.below(8) {
            0 => wrong += u64::from(hypercall::nothing().is_err()),
            1 => wrong += u64::from(hypercall::counter(0, Counter::Exits).is_err()),
            2 => interrupts::send(random.below(SGIS.into()) as u32, 0),
            3 => interrupts::send_others(1),
            4 => timer::set(timer::now()),
            5 => {
                let sgi = IntId::new(random.below(SGIS.into()) as u32);
                interrupts::disable(sgi);
                interrupts::enable(sgi);
            }
            6 => wrong += u64::from(smp::power(0) != Ok::<_, psci::Error>(Power::On)),
            _ => match &channel {
                Some(end) => wrong += u64::from(hypercall::ring(end.index).is_err_and(denied)),
                None => timer::sleep(1),
            },
        }
    }
    figure!("turns", turns);
    figure!("interrupts-to-itself", TAKEN.load(Ordering::Relaxed));
    if wrong == 0 { Outcome::Passed } else { Outcome::Failed(1) }
}
