// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Floods by way of another vPE of the VM, which shares its CPU with somebody else.

use core::sync::atomic::{AtomicU64, Ordering};

use rt::interrupts::{self, IntId};
use rt::random::Random;
use rt::{Machine, Outcome, cpu, figure, gic, smp, timer};

const FRAME: u64 = 0x1_0000;
/// vPE 1's SGI frame.
const SGIS: u64 = 3 * FRAME;
const ISENABLER: u64 = SGIS + 0x100;
const ICENABLER: u64 = SGIS + 0x180;
const ISPENDR: u64 = SGIS + 0x200;
const ICPENDR: u64 = SGIS + 0x280;
const ICACTIVER: u64 = SGIS + 0x380;

const NO_GIC: u32 = 3;
const DEAF: u32 = 4;

static STARTS: AtomicU64 = AtomicU64::new(0);
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// Everything that makes vPE 1's CPU look, at random: its redistributor's registers, SGIs, CPU_ON.
pub fn storm(machine: &'static Machine) -> Outcome {
    let Some((_, redistributors)) = gic::frames(machine) else { return Outcome::Failed(NO_GIC) };
    let mut random = Random::new(machine.number("seed").unwrap_or(1));
    for sgi in 0..16 {
        interrupts::set_handler(IntId::new(sgi), |_| {
            TAKEN.fetch_add(1, Ordering::Relaxed);
        });
    }
    let timer = 1 << machine.timer_intid();
    let until = super::end(machine);
    let mut actions = 0u64;
    while timer::now() < until {
        actions += 1;
        let sgis = random.below(0x1_0000) as u32;
        match random.below(8) {
            0 => redistributors.write32(ISENABLER, timer | sgis),
            1 => redistributors.write32(ICENABLER, timer | sgis),
            2 => redistributors.write32(ISPENDR, sgis),
            3 => redistributors.write32(ICPENDR, sgis),
            4 => redistributors.write32(ICACTIVER, timer | sgis),
            5 | 6 => interrupts::send(random.below(16) as u32, 1),
            // It is on already, or on its way.
            _ => drop(smp::start(1, second)),
        }
    }
    figure!("actions", actions);
    figure!("starts", STARTS.load(Ordering::Relaxed));
    // In the end it still hears, at once or when it has its turn.
    redistributors.write32(ISENABLER, timer | 0xffff);
    redistributors.write32(ICPENDR, 0xffff);
    let deadline = timer::now() + timer::microseconds(2_000_000);
    while smp::start(1, patient).is_err() && timer::now() < deadline {
        interrupts::send(0, 1);
    }
    let before = TAKEN.load(Ordering::Relaxed);
    while TAKEN.load(Ordering::Relaxed) == before {
        interrupts::send(1, 1);
        if timer::now() > deadline {
            return Outcome::Failed(DEAF);
        }
    }
    Outcome::Passed
}

/// vPE 1 goes off at once, or sleeps until it is interrupted.
fn second() {
    let starts = STARTS.fetch_add(1, Ordering::Relaxed);
    cpu::enable_interrupts();
    for _ in 0..starts % 4 {
        cpu::wait_for_interrupt();
    }
}

/// vPE 1 stays.
fn patient() {
    cpu::enable_interrupts();
    cpu::wait_until(|| false);
}
