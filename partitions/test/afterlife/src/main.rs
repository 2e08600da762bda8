// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Dies with its disk at work, and looks whether its next life gets any of that.
//!
//! A life begins with bus mastering on and memory of zeros, exactly where the last life's reads had
//! been going; for a while nothing may arrive there. Then it drives the disk: block 0 holds how
//! many lives there were, the next ones a pattern, and reads of those are under way when it resets
//! itself. `lives=` (2) of them.
//!
//! With `forbidden=` (hexadecimal) each life but the last has the disk write there until EL2 cuts
//! it off, and then rings its doorbell `rings=` (0) times, each of which makes it fetch a command.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use nvme::{Command, Controller, Error, Queue};
use rt::dma::Arena;
use rt::machine::Event;
use rt::pci::Function;
use rt::{Machine, Outcome, cpu, figure, println, psci, timer};

rt::entry!(main);

const PAGE: u64 = 4096;
/// Reads under way at the end of a life, each into a page of its own.
const READS: u64 = 24;
/// How long nothing may arrive.
const QUIET_US: u64 = 3000;
/// How long a command may take, and one of a disk that may be cut off.
const PATIENCE_US: u64 = 5_000_000;
const SHORT_US: u64 = 300_000;
/// More faults than any device may have.
const FAULTS: u64 = 200;
const PATTERN: u64 = 0x5a5a_a5a5_c3c3_3c3c;

const BROKEN: u32 = 1;
const LEFT_OVER: u32 = 2;
const NOT_CUT_OFF: u32 = 3;

/// Why a life was the last.
enum End {
    Driver(Error),
    Failed(u32),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        End::Driver(error)
    }
}

fn main(machine: &'static Machine) -> Outcome {
    match live(machine) {
        Ok(lives) => {
            figure!("lives", lives);
            Outcome::Passed
        }
        Err(End::Driver(error)) => {
            println!("{error}");
            Outcome::Failed(BROKEN)
        }
        Err(End::Failed(code)) => Outcome::Failed(code),
    }
}

/// One life; what it returns, it returns in the last one.
fn live(machine: &'static Machine) -> Result<u64, End> {
    let event = machine.events().next().ok_or(Error::NoDevice)?;
    let mut arena = Arena::take(machine).ok_or(Error::NoMemory)?;
    let sink = arena.allocate(READS * PAGE).ok_or(Error::NoMemory)?;
    let function = event.function.and_then(|address| Function::at(machine, address));
    function.ok_or(Error::NoDevice)?.enable();
    wait(QUIET_US);
    if let Some(at) = (0..sink.bytes()).step_by(8).find(|&at| sink.read64(at) != 0) {
        println!("a former life's read arrived at {:#x}", sink.address() + at);
        return Err(End::Failed(LEFT_OVER));
    }

    let page = arena.allocate(PAGE).ok_or(Error::NoMemory)?;
    let disk = Controller::new(machine, &mut arena, &event, 1)?;
    let own = machine.events().filter(|own| own.device_id == event.device_id).nth(1);
    let mut lane = Lane::new(disk, &mut arena, &own.unwrap_or(event))?;
    lane.run(|disk| disk.read(0, &page))?;
    let lives = page.read64(0) + 1;
    if lives >= machine.number("lives").unwrap_or(2) {
        return Ok(lives);
    }
    if lives == 1 {
        (0..PAGE).step_by(8).for_each(|at| page.write64(at, PATTERN));
        for block in 1..=READS {
            lane.run(|disk| disk.write(block, &page))?;
        }
    }
    page.write64(0, lives);
    lane.run(|disk| disk.write(0, &page))?;
    if let Some(text) = machine.argument("forbidden") {
        let address = u64::from_str_radix(text, 16).unwrap_or(0);
        lane.misbehave(address, machine.number("rings").unwrap_or(0))?;
    } else {
        for n in 0..READS {
            lane.start(|disk| disk.read_to(1 + n, sink.address() + n * PAGE))?;
        }
    }
    psci::system_reset()
}

/// The disk and its one queue.
struct Lane {
    disk: Controller,
    queue: Queue,
}

impl Lane {
    fn new(mut disk: Controller, arena: &mut Arena, event: &Event) -> Result<Self, Error> {
        let queue = disk.create_queue(arena, event)?;
        Ok(Self { disk, queue })
    }

    fn start(&mut self, command: impl Fn(&Controller) -> Command) -> Result<(), Error> {
        let command = command(&self.disk);
        self.disk.submit(&mut self.queue, command).ok_or(Error::Timeout).map(|_| ())
    }

    /// Until it is done. False: it failed.
    fn finish(&mut self, patience: u64) -> Result<bool, Error> {
        let deadline = timer::now() + timer::microseconds(patience);
        while !self.queue.ready() {
            if timer::now() > deadline {
                return Err(Error::Timeout);
            }
            cpu::relax();
        }
        Ok(self.disk.take(&mut self.queue).is_some_and(|completion| completion.status == 0))
    }

    fn run(&mut self, command: impl Fn(&Controller) -> Command) -> Result<(), Error> {
        self.start(command)?;
        if self.finish(PATIENCE_US)? { Ok(()) } else { Err(Error::Timeout) }
    }

    /// Has the disk write where it must not until it answers no more, then rings it all the same.
    fn misbehave(&mut self, address: u64, rings: u64) -> Result<(), End> {
        let mut faults = 0;
        loop {
            if faults == FAULTS {
                println!("not cut off after {faults} faults");
                return Err(End::Failed(NOT_CUT_OFF));
            }
            self.start(|disk| disk.read_to(1, address + PAGE * faults))?;
            match self.finish(SHORT_US) {
                Ok(_) => faults += 1,
                Err(_) => break,
            }
        }
        println!("cut off after {faults} faults");
        for _ in 0..rings {
            self.disk.ring(&self.queue);
            self.disk.settle();
        }
        figure!("rings", rings);
        Ok(())
    }
}

fn wait(microseconds: u64) {
    let end = timer::now() + timer::microseconds(microseconds);
    while timer::now() < end {
        cpu::relax();
    }
}
