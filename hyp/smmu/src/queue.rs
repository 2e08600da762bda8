// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The command queue: post, wait, notice errors, never for ever.
//!
//! Owns the queue's memory, SMMU_CMDQ_PROD and the CMDQ_ERR bit of SMMU_GERRORN. One writer at a
//! time: several CPUs share it behind their own lock. Follows IHI 0070 3.5 and 7.1.
//!
//! 1. Find room: PROD and CONS have a wrap bit above the slot, so that a full queue is not empty.
//! 2. Write the commands, then a barrier, so that the SMMU cannot read a slot before its contents.
//! 3. Write PROD.
//! 4. Poll CONS until it equals PROD, or CMDQ_ERR is active, or the bound is reached. CONS passes
//!    a CMD_SYNC only when everything before it is complete.
//!
//! Not supported: CMD_SYNC's interrupt, event or MSI (every wait here is a short poll), ECMDQs.

use crate::command::{Command, Encoded};
use crate::error::{CommandFault, Error, Wait, poll};
use crate::frame::Frame;
use crate::gerror::{ActiveErrors, GlobalError};
use crate::regs::{self, SMMU_CMDQ_CONS};

/// The memory of a command queue.
pub trait CommandMemory {
    /// Writes a command to a slot.
    fn store(&mut self, slot: u32, command: &Encoded);
    /// Makes all that was stored visible to the SMMU.
    fn publish(&mut self);
}

/// The command queue of an SMMU that consumes commands; [`crate::unit::Unit::enable`] makes it.
#[derive(Debug)]
pub struct CommandQueue<F, M> {
    frame: F,
    memory: M,
    bits: u8,
    /// SMMU_CMDQ_PROD: the next slot to write, and the wrap bit above it.
    next: u32,
    polls: u32,
}

impl<F: Frame, M: CommandMemory> CommandQueue<F, M> {
    /// `1 << bits` slots, empty, with PROD and CONS 0. A wait gives up after `polls` reads of CONS
    /// without progress.
    pub(crate) const fn new(frame: F, memory: M, bits: u8, polls: u32) -> Self {
        Self { frame, memory, bits, next: 0, polls }
    }

    /// Posts the commands and a CMD_SYNC, and waits until all of them are complete.
    pub fn run(&mut self, commands: impl IntoIterator<Item = Command>) -> Result<(), Error> {
        for command in commands {
            self.post(&command)?;
        }
        self.post(&Command::Sync)?;
        self.wait()
    }

    /// After [`Error::Command`]: a CMD_SYNC takes the place of the command that failed, the error
    /// is acknowledged, and what stands behind it is consumed. `None`: nothing had failed.
    pub fn recover(&mut self) -> Result<Option<CommandFault>, Error> {
        let Some((slot, fault)) = self.failed() else { return Ok(None) };
        self.memory.store(slot, &Command::Sync.encode());
        self.memory.publish();
        let acknowledged = self.frame.read32(regs::GERRORN) ^ GlobalError::CommandQueue.bit();
        self.frame.write32(regs::GERRORN, acknowledged);
        self.wait()?;
        Ok(Some(fault))
    }

    fn post(&mut self, command: &Command) -> Result<(), Error> {
        let full = 1 << self.bits;
        if self.used(self.reader()) == full {
            let reader = self.reader();
            self.wait_for_progress(reader, Wait::QueueSpace)?;
        }
        self.memory.store(self.slot(self.next), &command.encode());
        self.memory.publish();
        self.next = (self.next + 1) & self.mask();
        self.frame.write32(regs::CMDQ_PROD, self.next);
        Ok(())
    }

    fn wait(&mut self) -> Result<(), Error> {
        let mut reader = self.reader();
        while reader != self.next {
            reader = self.wait_for_progress(reader, Wait::CommandsConsumed)?;
        }
        Ok(())
    }

    /// The SMMU's new position, which is not `from`.
    fn wait_for_progress(&self, from: u32, wait: Wait) -> Result<u32, Error> {
        poll(self.polls, wait, || match self.reader() {
            reader if reader != from => Ok(Ok(reader)),
            reader => match self.failed() {
                Some((slot, fault)) => Ok(Err(Error::Command { slot, fault })),
                None => Err(reader),
            },
        })?
    }

    /// The slot of the command that stopped the queue, and why.
    fn failed(&self) -> Option<(u32, CommandFault)> {
        let (error, acknowledged) =
            (self.frame.read32(regs::GERROR), self.frame.read32(regs::GERRORN));
        if !ActiveErrors::new(error, acknowledged).contains(GlobalError::CommandQueue) {
            return None;
        }
        let cons = self.frame.read32(regs::CMDQ_CONS);
        let code = SMMU_CMDQ_CONS::ERR.read(cons) as u8;
        Some((self.slot(cons), CommandFault::from_code(code)))
    }

    /// The position that the SMMU reads next, wrap bit included.
    fn reader(&self) -> u32 {
        self.frame.read32(regs::CMDQ_CONS) & self.mask()
    }
    fn used(&self, reader: u32) -> u32 {
        self.next.wrapping_sub(reader) & self.mask()
    }
    fn slot(&self, position: u32) -> u32 {
        position & (self.mask() >> 1)
    }
    const fn mask(&self) -> u32 {
        (2 << self.bits) - 1
    }
}
