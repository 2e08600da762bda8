// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A small NVMe driver for partitions: admin queue, I/O queues, one MSI-X vector each.
//!
//! Why NVMe: it is a real device with a real protocol, whose every interrupt answers for work that
//! can be checked. A command travels by DMA in both directions, its completion names the command,
//! carries a phase bit, and the data of a read proves that the write before it happened; several
//! queues have vectors of their own; and both QEMU and real boards have one.
//!
//! 1. Find the function that an event belongs to, turn MSI-X on, each vector that has an event
//!    programmed with that event.
//! 2. Disable, give it the admin queues, enable (NVMe Base 3.5.1); ask for the size of namespace 1.
//! 3. For each I/O queue pair: completion queue with its vector, then submission queue.
//! 4. `submit`, wait for the queue's interrupt in whatever way suits the payload, `take`
//!    completions until there is none.
//!
//! Admin commands are polled; their interrupts on vector 0 are the payload's to count or to mask.
//! Not supported: PRP lists (transfers are one page at most), several namespaces, asynchronous
//! events, error recovery.
#![no_std]
#![cfg(target_os = "none")]
#![forbid(unsafe_code)]

mod command;
mod queue;

use core::fmt;

use rt::dma::{Arena, Buffer};
use rt::machine::Event;
use rt::mmio::Registers;
use rt::pci::{Function, Msix};
use rt::{Machine, cpu, timer};

pub use command::{Command, Completion};
pub use queue::Queue;

const BAR_BYTES: u64 = 0x4000;
const CAP: u64 = 0x00;
const INTMS: u64 = 0x0c;
const CC: u64 = 0x14;
const CSTS: u64 = 0x1c;
const AQA: u64 = 0x24;
const ASQ: u64 = 0x28;
const ACQ: u64 = 0x30;
const ENABLE: u32 = 1;
const READY: u32 = 1;
/// Submission entries of 64 bytes, completion entries of 16, 4 KiB pages, NVM command set.
const ENTRY_SIZES: u32 = 6 << 16 | 4 << 20;
const NAMESPACE: u32 = 1;
const PAGE: u64 = 4096;
/// How long an admin command may take.
const PATIENCE_US: u64 = 5_000_000;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The device tree has no event of a function that is there.
    NoDevice,
    NoMsix,
    NoMemory,
    /// CSTS.RDY did not become what it should.
    NotReady(u32),
    /// A command was not answered.
    Timeout,
    /// A command was answered with a status.
    Status(Completion),
    /// A completion that answers no command.
    Stray(Completion),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoDevice => f.write_str("no NVMe function with events"),
            Error::NoMsix => f.write_str("the function has no MSI-X"),
            Error::NoMemory => f.write_str("no memory left for queues"),
            Error::NotReady(csts) => write!(f, "the controller is stuck, CSTS {csts:#x}"),
            Error::Timeout => f.write_str("a command was not answered"),
            Error::Status(completion) => write!(f, "a command failed: {completion:?}"),
            Error::Stray(completion) => write!(f, "a completion without a command: {completion:?}"),
        }
    }
}

/// The controller: registers, admin queue, vectors.
#[derive(Debug)]
pub struct Controller {
    registers: Registers,
    msix: Msix,
    admin: Queue,
    /// Bytes from one doorbell to the next.
    stride: u64,
    /// Bytes of a logical block.
    pub block_bytes: u64,
    /// Logical blocks of the namespace.
    pub blocks: u64,
    next_queue: u16,
}

impl Controller {
    /// Steps 1 and 2: the controller that `event` belongs to. `queues`: I/O queue pairs that will
    /// be made.
    pub fn new(
        machine: &Machine,
        arena: &mut Arena,
        event: &Event,
        queues: u16,
    ) -> Result<Self, Error> {
        let function = event.function.and_then(|address| Function::at(machine, address));
        let function = function.ok_or(Error::NoDevice)?;
        let registers = function.bar(0, BAR_BYTES).ok_or(Error::NoDevice)?;
        let translater = machine.its_translater().ok_or(Error::NoDevice)?;
        function.enable();
        registers.write32(CC, 0);
        wait_ready(&registers, 0)?;
        registers.write32(INTMS, u32::MAX);
        let msix = function.enable_msix().ok_or(Error::NoMsix)?;
        for own in machine.events().filter(|own| own.device_id == event.device_id) {
            if u64::from(own.event_id) < msix.entries() {
                msix.set(u64::from(own.event_id), translater, own.event_id);
            }
        }

        let stride = 4 << (registers.read64(CAP) >> 32 & 0xf);
        let admin = Queue::new(0, arena, stride).ok_or(Error::NoMemory)?;
        let last = u32::from(Queue::DEPTH - 1);
        registers.write32(AQA, last << 16 | last);
        registers.write64(ASQ, admin.submissions());
        registers.write64(ACQ, admin.completions());
        registers.write32(CC, ENTRY_SIZES | ENABLE);
        wait_ready(&registers, READY)?;

        let page = arena.allocate(PAGE).ok_or(Error::NoMemory)?;
        let mut controller =
            Self { registers, msix, admin, stride, block_bytes: 0, blocks: 0, next_queue: 1 };
        controller.identify(&page)?;
        controller.administer(Command::set_queue_count(queues))?;
        Ok(controller)
    }

    /// Step 3: the next I/O queue pair, which interrupts by `event`.
    pub fn create_queue(&mut self, arena: &mut Arena, event: &Event) -> Result<Queue, Error> {
        let id = self.next_queue;
        let queue = Queue::new(id, arena, self.stride).ok_or(Error::NoMemory)?;
        let vector = event.event_id as u16;
        self.administer(Command::create_completion_queue(
            id,
            Queue::DEPTH,
            queue.completions(),
            vector,
        ))?;
        self.administer(Command::create_submission_queue(id, Queue::DEPTH, queue.submissions()))?;
        self.next_queue += 1;
        Ok(queue)
    }

    /// Step 4: puts a command into a queue and rings its doorbell; the command's identifier. None:
    /// the queue is full.
    pub fn submit(&self, queue: &mut Queue, command: Command) -> Option<u16> {
        queue.submit(&self.registers, command)
    }

    /// Step 4: the next completion, taken out of the queue. None: there is none.
    pub fn take(&self, queue: &mut Queue) -> Option<Completion> {
        queue.take(&self.registers)
    }

    /// Reads `buffer`'s first block from the disk.
    pub fn read(&self, block: u64, buffer: &Buffer) -> Command {
        Command::read(NAMESPACE, block, buffer.address())
    }

    /// Reads a block from the disk to wherever `address` is: within one page, for a guest that
    /// wants to see what becomes of that.
    pub fn read_to(&self, block: u64, address: u64) -> Command {
        Command::read(NAMESPACE, block, address)
    }

    /// Writes a block to the disk from wherever `address` is, likewise.
    pub fn write_from(&self, block: u64, address: u64) -> Command {
        Command::write(NAMESPACE, block, address)
    }

    /// Rings a queue's doorbell again, though nothing was added.
    pub fn ring(&self, queue: &Queue) {
        queue.ring(&self.registers);
    }

    /// Writes `buffer`'s first block to the disk.
    pub fn write(&self, block: u64, buffer: &Buffer) -> Command {
        Command::write(NAMESPACE, block, buffer.address())
    }

    /// Returns when every interrupt of a completion that is already in memory has been sent: the
    /// answer to a read of the device's registers does not overtake what the device wrote before
    /// (PCIe Base 2.4.1).
    pub fn settle(&self) {
        self.registers.read32(CSTS);
        cpu::barrier();
    }

    /// The vectors, to mask and unmask.
    pub fn vectors(&self) -> &Msix {
        &self.msix
    }

    fn identify(&mut self, page: &Buffer) -> Result<(), Error> {
        self.administer(Command::identify_namespace(NAMESPACE, page.address()))?;
        self.blocks = page.read64(0);
        // FLBAS 3:0 chooses the LBA format; LBADS is its bits 23:16.
        let format = page.read32(24) >> 16 & 0xf;
        self.block_bytes = 1 << (page.read32(128 + u64::from(format) * 4) >> 16 & 0x1f);
        Ok(())
    }

    /// Gives an admin command and polls for its completion.
    fn administer(&mut self, command: Command) -> Result<u32, Error> {
        let id = self.admin.submit(&self.registers, command).ok_or(Error::Timeout)?;
        let deadline = timer::now() + timer::microseconds(PATIENCE_US);
        loop {
            match self.admin.take(&self.registers) {
                Some(completion) if completion.command != id => {
                    return Err(Error::Stray(completion));
                }
                Some(completion) if completion.status != 0 => {
                    return Err(Error::Status(completion));
                }
                Some(completion) => return Ok(completion.result),
                None if timer::now() > deadline => return Err(Error::Timeout),
                None => cpu::relax(),
            }
        }
    }
}

fn wait_ready(registers: &Registers, wanted: u32) -> Result<(), Error> {
    let deadline = timer::now() + timer::microseconds(PATIENCE_US);
    loop {
        let status = registers.read32(CSTS);
        if status & READY == wanted {
            return Ok(());
        }
        if timer::now() > deadline {
            return Err(Error::NotReady(status));
        }
        cpu::relax();
    }
}
