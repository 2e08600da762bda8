// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The ITS command queue: post, wait, notice stalls, never for ever.
//!
//! Owns the queue's memory and GITS_CWRITER. One writer at a time: several CPUs share a `Queue`
//! behind their own lock, and the boot script goes through the same functions as one command at run
//! time. Follows IHI 0069H 5.3 and 12.19 (CBASER, CWRITER, CREADR).
//!
//! 1. Find room: CREADR says how far the ITS is; one slot stays free, or a full queue would look
//!    empty.
//! 2. Write the commands, then a barrier, so that the ITS cannot read a slot before its contents.
//! 3. Write CWRITER.
//! 4. Poll CREADR until it equals CWRITER, or Stalled is set, or the bound is reached.
//!
//! Not supported: completion interrupts (an INT command at the end of a batch); every wait here is
//! a short poll.

use crate::error::{Error, Wait, poll};
use crate::frame::{Frame, Its};
use crate::given::Vetted;
use crate::layout::COMMAND_BYTES;
use crate::regs::gits::{self, GITS_CREADR};

/// The memory of a command queue.
pub trait QueueMemory {
    /// How many commands it holds.
    fn slots(&self) -> u32;
    /// Writes a command to a slot below `slots`. Any other slot is ignored.
    fn store(&mut self, slot: u32, command: &Vetted);
    /// Makes all that was stored visible to the ITS.
    fn publish(&self);
}

/// A command queue and the ITS control frame that consumes it.
#[derive(Debug)]
pub struct Queue<F, M> {
    frame: F,
    memory: M,
    /// The next slot to write; GITS_CWRITER when nothing is being posted.
    next: u32,
    polls: u32,
}

impl<F: Frame<Block = Its>, M: QueueMemory> Queue<F, M> {
    /// The queue of an ITS that was just enabled with GITS_CWRITER 0 ([`crate::its::Its::enable`]
    /// does that). Every wait gives up after `polls` reads of CREADR without progress.
    pub const fn new(frame: F, memory: M, polls: u32) -> Self {
        Self { frame, memory, next: 0, polls }
    }

    /// Posts the commands and waits until the ITS has consumed them.
    pub fn run(&mut self, commands: &[Vetted]) -> Result<(), Error> {
        self.post(commands)?;
        self.wait()
    }

    /// Posts the commands without waiting for more than room. A list longer than the queue goes in
    /// pieces. After an error some of the list may have been posted.
    pub fn post(&mut self, commands: &[Vetted]) -> Result<(), Error> {
        let mut rest = commands;
        while !rest.is_empty() {
            let room = self.wait_for_room()?;
            let (now, later) = rest.split_at(rest.len().min(room as usize));
            for command in now {
                self.memory.store(self.next, command);
                self.next = self.after(self.next);
            }
            self.memory.publish();
            self.frame.write(gits::CWRITER, u64::from(self.next) * COMMAND_BYTES);
            rest = later;
        }
        Ok(())
    }

    /// Waits until the ITS has consumed all that was posted. `polls` bounds the reads between two
    /// steps forward of the ITS.
    pub fn wait(&mut self) -> Result<(), Error> {
        let mut last = self.reader()?;
        loop {
            if last == self.next {
                return Ok(());
            }
            last = self.wait_for_progress(last, Wait::CommandsConsumed)?;
        }
    }

    /// Makes a stalled ITS try the same command again (GITS_CWRITER.Retry), after its cause was
    /// removed.
    pub fn retry(&mut self) {
        self.frame.write(gits::CWRITER, (u64::from(self.next) * COMMAND_BYTES) | 1);
    }

    /// True if the ITS has consumed all that was posted.
    pub fn is_idle(&self) -> Result<bool, Error> {
        Ok(self.reader()? == self.next)
    }

    /// At least 1.
    fn wait_for_room(&mut self) -> Result<u32, Error> {
        let reader = self.reader()?;
        match self.room(reader) {
            0 => self.wait_for_progress(reader, Wait::QueueSpace).map(|reader| self.room(reader)),
            room => Ok(room),
        }
    }

    fn wait_for_progress(&self, from: u32, wait: Wait) -> Result<u32, Error> {
        poll(self.polls, wait, || match self.reader() {
            Ok(slot) if slot == from => Err(u64::from(slot) * COMMAND_BYTES),
            other => Ok(other),
        })?
    }

    /// The slot that the ITS reads next.
    fn reader(&self) -> Result<u32, Error> {
        let value = self.frame.fields(gits::CREADR);
        let slot = value.read(GITS_CREADR::Offset) as u32;
        if value.is_set(GITS_CREADR::Stalled) { Err(Error::Stalled { slot }) } else { Ok(slot) }
    }

    /// Free slots, but one.
    fn room(&self, reader: u32) -> u32 {
        let slots = self.memory.slots();
        let used = if self.next >= reader {
            self.next - reader
        } else {
            (slots + self.next).saturating_sub(reader)
        };
        slots.saturating_sub(1).saturating_sub(used)
    }

    fn after(&self, slot: u32) -> u32 {
        if slot.saturating_add(1) >= self.memory.slots() { 0 } else { slot + 1 }
    }
}
