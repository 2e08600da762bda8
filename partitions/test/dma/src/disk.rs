// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The same with an NVMe disk, whose commands name the memory that it reads and writes.
//!
//! For each of `targets=` one command has the disk read a block from there, another one write a
//! block there. The former block must then hold what it held before, or zeros: QEMU's disk takes
//! zeros for what it cannot read, and says that all went well. EL2's lines show that it was
//! refused, and victims watch their memory, from `wait-ms=` on. What the blocks hold is EventIDs,
//! `message=` in each word: at the ITS they would be events.

use nvme::{Command, Controller, Error, Queue};
use rt::dma::{Arena, Buffer};
use rt::{Machine, Outcome, cpu, figure, println, timer};

const PAGE: u64 = 4096;
const BLOCK: u64 = 512;
/// Blocks: one that is written to targets, one that targets may be read into.
const GIVEN: u64 = 1;
const TAKEN: u64 = 2;
const PATIENCE_US: u64 = 5_000_000;

const BROKEN: u32 = 1;
const OWN_MEMORY: u32 = 2;
const HOLE: u32 = 3;

struct Disk {
    controller: Controller,
    queue: Queue,
}

impl Disk {
    fn new(machine: &'static Machine, arena: &mut Arena) -> Result<Self, Error> {
        let mut events = machine.events();
        let admin = events.next().ok_or(Error::NoDevice)?;
        let own = events.next().ok_or(Error::NoDevice)?;
        let mut controller = Controller::new(machine, arena, &admin, 1)?;
        let queue = controller.create_queue(arena, &own)?;
        Ok(Self { controller, queue })
    }

    /// Returns whether the disk says that it did it.
    fn run(&mut self, command: Command) -> Result<bool, Error> {
        self.controller.submit(&mut self.queue, command).ok_or(Error::Timeout)?;
        let deadline = timer::now() + timer::microseconds(PATIENCE_US);
        while !self.queue.ready() {
            if timer::now() > deadline {
                return Err(Error::Timeout);
            }
            cpu::relax();
        }
        Ok(self.controller.take(&mut self.queue).is_some_and(|done| done.status == 0))
    }

    fn write(&mut self, block: u64, from: u64) -> Result<bool, Error> {
        let command = self.controller.write_from(block, from);
        self.run(command)
    }

    fn read(&mut self, block: u64, to: u64) -> Result<bool, Error> {
        let command = self.controller.read_to(block, to);
        self.run(command)
    }
}

pub fn run(machine: &'static Machine, targets: impl Iterator<Item = u64>) -> Outcome {
    match reach(machine, targets) {
        Ok(outcome) => outcome,
        Err(error) => {
            println!("{error}");
            Outcome::Failed(BROKEN)
        }
    }
}

fn reach(machine: &'static Machine, targets: impl Iterator<Item = u64>) -> Result<Outcome, Error> {
    let mut arena = Arena::take(machine).ok_or(Error::NoMemory)?;
    let source = arena.allocate(PAGE).ok_or(Error::NoMemory)?;
    let sink = arena.allocate(PAGE).ok_or(Error::NoMemory)?;
    let mut disk = Disk::new(machine, &mut arena)?;
    let event = machine.number("message").unwrap_or(0);
    (0..BLOCK).step_by(8).for_each(|at| source.write64(at, event << 32 | event));
    let written = disk.write(GIVEN, source.address())? && disk.write(TAKEN, source.address())?;
    sink.write64(0, !0);
    if !(written && disk.read(GIVEN, sink.address())? && words(&sink).eq(words(&source))) {
        println!("its own memory is out of reach");
        return Ok(Outcome::Failed(OWN_MEMORY));
    }
    println!("its own memory is reached");
    // Until those who watch do so.
    let begin = timer::now() + timer::microseconds(machine.number("wait-ms").unwrap_or(0) * 1000);
    while timer::now() < begin {
        cpu::relax();
    }
    let mut tried = 0;
    for target in targets {
        disk.write(TAKEN, target)?;
        (0..BLOCK).step_by(8).for_each(|at| sink.write64(at, !0));
        disk.read(TAKEN, sink.address())?;
        if words(&sink).zip(words(&source)).any(|(found, own)| found != 0 && found != own) {
            println!("a hole at {target:#x}");
            return Ok(Outcome::Failed(HOLE));
        }
        disk.read(GIVEN, target)?;
        tried += 1;
    }
    figure!("targets", tried);
    Ok(Outcome::Passed)
}

/// The words of a block.
fn words(buffer: &Buffer) -> impl Iterator<Item = u64> {
    (0..BLOCK).step_by(8).map(|at| buffer.read64(at))
}
