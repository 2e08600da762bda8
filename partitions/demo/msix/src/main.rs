// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Drives NVMe disks by MSI-X and proves that no interrupt leaves the guest.
//!
//! Blocks are written and read back, one command at a time in each of two queues, each queue with a
//! vector of its own; between them the vPE waits by WFI. Both queues are one disk's, or those of
//! two disks if there are two. Every completion is taken because its interrupt came, exactly once,
//! and checked: identifier, queue, phase, status, and for a read every byte against what was
//! written. (`nvme` says why it is this device.)
//!
//! The counters that the hypervisor keeps of this vPE are read before and after. The run passes
//! when, the reading itself aside, they did not move: no exits, no injections. Arguments: `count=`
//! interrupts (10000); with `cpu=shared`, where WFI and every window cost exits, it passes when no
//! interrupt was injected.
//!
//! Without a hypervisor underneath (no counters) only the disk is checked.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod counters;
mod disks;
mod traffic;

use nvme::Error;
use rt::dma::Arena;
use rt::machine::Event;
use rt::{Machine, Outcome, cpu, figure, println, timer};

use counters::Counters;
use disks::Disks;
use traffic::{Fault, Traffic};

rt::entry!(main);

/// Queues, each with its vector.
const QUEUES: usize = 2;
const DATA_WRONG: u32 = 3;
const EXITS_SEEN: u32 = 4;

fn main(machine: &'static Machine) -> Outcome {
    let count = machine.number("count").unwrap_or(10_000);
    match drive(machine, count) {
        Ok(outcome) => outcome,
        Err(Fault::Driver(error)) => {
            println!("{error}");
            Outcome::Failed(1)
        }
        Err(Fault::Data(error)) => {
            println!("{error}");
            Outcome::Failed(DATA_WRONG)
        }
    }
}

fn drive(machine: &'static Machine, count: u64) -> Result<Outcome, Fault> {
    let events = pick(machine)?;
    let mut arena = Arena::take(machine).ok_or(Error::NoMemory)?;
    let mut disks = Disks::new(machine, &mut arena, &events)?;
    let mut traffic = Traffic::new(&mut disks, &mut arena, events)?;
    cpu::enable_interrupts();
    // Interrupts of admin commands come in here; what follows starts from a quiet device.
    traffic.warm_up()?;

    let before = Counters::read();
    let began = timer::now();
    traffic.run(count)?;
    let ticks = timer::now() - began;
    let after = Counters::read();

    let taken = traffic.taken();
    figure!("interrupts", taken);
    figure!("completions", traffic.completions());
    figure!("interrupts-per-second", per_second(taken, ticks));
    let (Some(before), Some(after)) = (before, after) else {
        println!("no counters here: nothing is proved about exits");
        return Ok(Outcome::Passed);
    };
    let moved = after.since(&before);
    figure!("exits", moved.exits);
    figure!("injections", moved.injections);
    figure!("listed", moved.listed);
    figure!("doorbells", moved.doorbells);
    figure!("residency-changes", moved.residency);
    if machine.argument("cpu") == Some("shared") {
        println!("{taken} interrupts, {} exits, {} injections", moved.exits, moved.injections);
        return Ok(if moved.injections == 0 {
            Outcome::Passed
        } else {
            Outcome::Failed(EXITS_SEEN)
        });
    }
    // Without direct injection each costs one exit, and nothing else does.
    if moved.exits <= moved.listed && moved.injections == 0 && moved.doorbells == 0 {
        println!("{taken} interrupts, {} exits, 0 injections", moved.exits);
        Ok(Outcome::Passed)
    } else {
        println!("{taken} interrupts were not free: {moved:?}");
        Ok(Outcome::Failed(EXITS_SEEN))
    }
}

/// The events of the two queues: vector 0 is the admin queue's too, so it is left out where a disk
/// has one more.
fn pick(machine: &Machine) -> Result<[Event; QUEUES], Error> {
    let first = machine.events().next().ok_or(Error::NoDevice)?.device_id;
    let other = machine.events().map(|event| event.device_id).find(|&device| device != first);
    let of = |device: u32, queues: usize, n: usize| {
        let own = || machine.events().filter(move |event| event.device_id == device);
        own().nth(n + usize::from(own().count() > queues))
    };
    let picked = match other {
        Some(other) => [of(first, 1, 0), of(other, 1, 0)],
        None => [of(first, QUEUES, 0), of(first, QUEUES, 1)],
    };
    match picked {
        [Some(one), Some(two)] => Ok([one, two]),
        _ => Err(Error::NoDevice),
    }
}

fn per_second(count: u64, ticks: u64) -> u64 {
    (u128::from(count) * u128::from(timer::frequency()) / u128::from(ticks.max(1))) as u64
}
