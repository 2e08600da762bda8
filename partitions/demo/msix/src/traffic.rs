// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Blocks written and read back, one command in flight in each queue.
//!
//! A queue alternates: write block b with bytes that follow from the step's number, then read it
//! into another buffer and compare. The handlers only count; the loop goes on when a count moved,
//! so no completion is looked at before its interrupt.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use nvme::{Completion, Controller, Error, Queue};
use rt::cpu;
use rt::dma::{Arena, Buffer};
use rt::interrupts::{self, IntId};
use rt::machine::Event;
use rt::random::Random;

use crate::QUEUES;
use crate::disks::Disks;

const PAGE: u64 = 4096;
/// Blocks that one queue uses.
const BLOCKS: u64 = 512;
/// Turns of a loop in which an interrupt that the ITS has gets here.
const SETTLING: u32 = 10_000;
/// What a read buffer holds before the read.
const STALE: u64 = 0xdead_beef_dead_beef;

/// Interrupts taken, by queue, and the INTIDs by which they come.
static TAKEN: [AtomicU64; QUEUES] = [const { AtomicU64::new(0) }; QUEUES];
static INTIDS: [AtomicU64; QUEUES] = [const { AtomicU64::new(0) }; QUEUES];

/// Why the traffic stopped.
#[derive(Debug)]
pub enum Fault {
    Driver(Error),
    Data(DataError),
}

#[derive(Debug)]
pub enum DataError {
    /// An interrupt without a completion.
    Nothing { queue: usize },
    /// More completions than commands.
    TooMany(Completion),
    /// Another command's, another queue's, or one that failed.
    Wrong { got: Completion, wanted: u16 },
    /// A block does not hold what was written.
    Content { block: u64, offset: u64, got: u64, wanted: u64 },
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Driver(error)
    }
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataError::Nothing { queue } => {
                write!(f, "queue {queue}: an interrupt without a completion")
            }
            DataError::TooMany(completion) => {
                write!(f, "more completions than commands: {completion:?}")
            }
            DataError::Wrong { got, wanted } => {
                write!(f, "not the completion of command {wanted}: {got:?}")
            }
            DataError::Content { block, offset, got, wanted } => {
                write!(f, "block {block} holds {got:#x} at {offset:#x}, not {wanted:#x}")
            }
        }
    }
}

/// One queue and the command in it.
#[derive(Debug)]
struct Lane<'a> {
    disk: &'a Controller,
    queue: Queue,
    out: Buffer,
    back: Buffer,
    first_block: u64,
    step: u64,
    command: u16,
    /// Interrupts that this lane has answered.
    seen: u64,
}

/// All lanes.
#[derive(Debug)]
pub struct Traffic<'a> {
    lanes: [Lane<'a>; QUEUES],
    completions: u64,
}

impl<'a> Traffic<'a> {
    pub fn new(
        disks: &'a mut Disks,
        arena: &mut Arena,
        events: [Event; QUEUES],
    ) -> Result<Self, Error> {
        let mut queue = |n: usize| disks.of_mut(&events, n)?.create_queue(arena, &events[n]);
        let queues = [queue(0)?, queue(1)?];
        let disks: &'a Disks = disks;
        let mut lane = |n: usize, queue: Queue| -> Result<Lane<'a>, Error> {
            let event = &events[n];
            INTIDS[n].store(u64::from(event.vintid), Ordering::Relaxed);
            interrupts::set_handler(IntId::new(event.vintid), taken);
            Ok(Lane {
                disk: disks.of(&events, n)?,
                queue,
                out: arena.allocate(PAGE).ok_or(Error::NoMemory)?,
                back: arena.allocate(PAGE).ok_or(Error::NoMemory)?,
                first_block: n as u64 * BLOCKS,
                step: 0,
                command: 0,
                seen: 0,
            })
        };
        let [one, two] = queues;
        Ok(Self { lanes: [lane(0, one)?, lane(1, two)?], completions: 0 })
    }

    /// Interrupts taken so far since the last `warm_up`.
    pub fn taken(&self) -> u64 {
        TAKEN.iter().map(|taken| taken.load(Ordering::Acquire)).sum()
    }

    /// Completions checked so far since the last `warm_up`.
    pub fn completions(&self) -> u64 {
        self.completions
    }

    /// One write and one read in each queue, polled; afterwards all counts are zero.
    pub fn warm_up(&mut self) -> Result<(), Fault> {
        for lane in &mut self.lanes {
            for _ in 0..2 {
                lane.submit()?;
                while !lane.queue.ready() {
                    cpu::relax();
                }
                lane.complete()?;
            }
        }
        // The interrupts of these, and of the admin commands before them, have all been sent then
        // and are taken here.
        self.lanes.iter().for_each(|lane| lane.disk.settle());
        for _ in 0..SETTLING {
            cpu::relax();
        }
        for taken in &TAKEN {
            taken.store(0, Ordering::Release);
        }
        self.completions = 0;
        Ok(())
    }

    /// Goes on until `count` interrupts were taken and every command was answered.
    pub fn run(&mut self, count: u64) -> Result<(), Fault> {
        for lane in &mut self.lanes {
            lane.seen = 0;
            lane.submit()?;
        }
        let mut under_way = QUEUES as u64;
        while under_way != 0 {
            let lanes = &self.lanes;
            cpu::wait_until(|| lanes.iter().enumerate().any(|(n, lane)| lane.rung(n)));
            for (n, lane) in self.lanes.iter_mut().enumerate() {
                if !lane.rung(n) {
                    continue;
                }
                lane.seen += 1;
                if !lane.queue.ready() {
                    return Err(Fault::Data(DataError::Nothing { queue: n }));
                }
                lane.complete()?;
                self.completions += 1;
                if self.completions + under_way <= count {
                    lane.submit()?;
                } else {
                    under_way -= 1;
                }
            }
        }
        Ok(())
    }
}

impl Lane<'_> {
    /// Whether an interrupt waits for an answer.
    fn rung(&self, n: usize) -> bool {
        TAKEN[n].load(Ordering::Acquire) > self.seen
    }

    fn block(&self) -> u64 {
        self.first_block + self.step / 2 % BLOCKS
    }

    /// The next command: a write on even steps, a read of the same block on odd ones.
    fn submit(&mut self) -> Result<(), Error> {
        let disk = self.disk;
        let words = disk.block_bytes / 8;
        let command = if self.step.is_multiple_of(2) {
            let mut random = self.content(self.step);
            for word in 0..words {
                self.out.write64(word * 8, random.draw());
            }
            disk.write(self.block(), &self.out)
        } else {
            for word in 0..words {
                self.back.write64(word * 8, STALE);
            }
            disk.read(self.block(), &self.back)
        };
        self.command = disk.submit(&mut self.queue, command).ok_or(Error::Timeout)?;
        Ok(())
    }

    /// Takes the one completion that must be there, and checks it and the data.
    fn complete(&mut self) -> Result<(), Fault> {
        let wanted = self.command;
        let got = self.disk.take(&mut self.queue).ok_or(Error::Timeout)?;
        if got.command != wanted || got.queue != self.queue.id() || got.status != 0 {
            return Err(Fault::Data(DataError::Wrong { got, wanted }));
        }
        if self.queue.ready() {
            return Err(Fault::Data(DataError::TooMany(got)));
        }
        if !self.step.is_multiple_of(2) {
            self.compare(self.disk.block_bytes / 8)?;
        }
        self.step += 1;
        Ok(())
    }

    fn compare(&self, words: u64) -> Result<(), Fault> {
        let mut random = self.content(self.step - 1);
        for word in 0..words {
            let (got, wanted) = (self.back.read64(word * 8), random.draw());
            if got != wanted {
                let (block, offset) = (self.block(), word * 8);
                return Err(Fault::Data(DataError::Content { block, offset, got, wanted }));
            }
        }
        Ok(())
    }

    fn content(&self, step: u64) -> Random {
        Random::new((self.first_block + 1) << 40 | step)
    }
}

fn taken(intid: IntId) {
    for (taken, mine) in TAKEN.iter().zip(&INTIDS) {
        if mine.load(Ordering::Relaxed) == u64::from(intid.value()) {
            taken.fetch_add(1, Ordering::Release);
        }
    }
}
