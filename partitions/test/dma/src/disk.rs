// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The same with an NVMe disk, whose commands name the memory that it reads and writes.
//!
//! For each of `targets=` one command has the disk read a block from there, another one write a
//! block there. The former block must then hold what it held before, or zeros: QEMU's disk takes
//! zeros for what it cannot read, and says that all went well. EL2's lines show that it was
//! refused, and victims watch their memory, from `wait-ms=` on. What the blocks hold is EventIDs,
//! `message=` in each word: at the ITS they would be events. Last the queue's own vector sends that
//! EventID, `interrupts=` times, then its own: only the latter may arrive here. (A message of
//! QEMU's disk has the disk's DeviceID; a block that it writes to the ITS has DeviceID 0.)

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use nvme::{Command, Controller, Error, Queue};
use rt::dma::{Arena, Buffer};
use rt::interrupts::{self, IntId};
use rt::machine::Event;
use rt::{Machine, Outcome, cpu, figure, println, timer};

const PAGE: u64 = 4096;
const BLOCK: u64 = 512;
/// Blocks: one that is written to targets, one that targets may be read into.
const GIVEN: u64 = 1;
const TAKEN: u64 = 2;
const PATIENCE_US: u64 = 5_000_000;
/// Turns of a loop in which an interrupt that the ITS has gets here.
const SETTLING: u32 = 100_000;

const BROKEN: u32 = 1;
const OWN_MEMORY: u32 = 2;
const HOLE: u32 = 3;
const INTERRUPTS: u32 = 6;

static INTERRUPTED: AtomicU64 = AtomicU64::new(0);

struct Disk {
    controller: Controller,
    queue: Queue,
    translater: u64,
    /// Its queue's.
    own: Event,
}

impl Disk {
    fn new(machine: &'static Machine, arena: &mut Arena) -> Result<Self, Error> {
        let mut events = machine.events();
        let admin = events.next().ok_or(Error::NoDevice)?;
        let own = events.next().ok_or(Error::NoDevice)?;
        let mut controller = Controller::new(machine, arena, &admin, 1)?;
        let queue = controller.create_queue(arena, &own)?;
        let translater = machine.its_translater().ok_or(Error::NoDevice)?;
        Ok(Self { controller, queue, translater, own })
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

    /// How many interrupts come when the queue's vector sends this EventID so many times.
    fn interrupts(&mut self, event: u32, count: u64, to: u64) -> Result<u64, Error> {
        let vector = self.own.event_id.into();
        self.controller.vectors().mask(vector);
        self.controller.vectors().set(vector, self.translater, event);
        self.settle();
        let before = INTERRUPTED.load(Relaxed);
        for _ in 0..count {
            self.read(GIVEN, to)?;
            self.settle();
        }
        Ok(INTERRUPTED.load(Relaxed).wrapping_sub(before))
    }

    /// What was sent has arrived.
    fn settle(&self) {
        self.controller.settle();
        (0..SETTLING).for_each(|_| cpu::relax());
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
    let Some(count) = machine.number("interrupts") else { return Ok(Outcome::Passed) };
    let own = disk.own.event_id;
    interrupts::set_handler(IntId::new(disk.own.vintid), |_| _ = INTERRUPTED.fetch_add(1, Relaxed));
    cpu::enable_interrupts();
    let others = disk.interrupts(event as u32, count, sink.address())?;
    let mine = disk.interrupts(own, count, sink.address())?;
    println!("of {count} messages each, {others} of event {event} came, {mine} of event {own}");
    let right = others == 0 && mine == count;
    Ok(if right { Outcome::Passed } else { Outcome::Failed(INTERRUPTS) })
}

/// The words of a block.
fn words(buffer: &Buffer) -> impl Iterator<Item = u64> {
    (0..BLOCK).step_by(8).map(|at| buffer.read64(at))
}
