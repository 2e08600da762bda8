// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The ITS, as a driver uses it: LPI tables, command queue, and the commands of a GICv3 (IHI 0069
//! chapter 5, 6).
//!
//! 1. `Its::new`: property table with everything disabled, GITS_BASERn, queue, GITS_CTLR.Enabled.
//! 2. `enable_lpis` for each vPE, once it runs: its property and pending tables,
//!    GICR_CTLR.EnableLPIs.
//! 3. Commands, one after the other; `sync` waits until the ITS has executed them.
//! 4. `configure` changes an LPI's byte in the property table; INV or INVALL makes it known.
//!
//! Redistributors are named by vPE number (GITS_TYPER.PTA = 0). Not supported: a queue of more than
//! 128 commands that nobody waits for, two-level tables.

use crate::dma::{Arena, Buffer};
use crate::mmio::Registers;
use crate::{Machine, cpu, gic, timer};

const FRAME: u64 = 0x1_0000;
const CTLR: u64 = 0x0;
const TYPER: u64 = 0x8;
const CBASER: u64 = 0x80;
const CWRITER: u64 = 0x88;
const CREADR: u64 = 0x90;
const BASER: u64 = 0x100;

const GICR_CTLR: u64 = 0x0;
const GICR_PROPBASER: u64 = 0x70;
const GICR_PENDBASER: u64 = 0x78;
const ENABLE: u32 = 1;
const PENDING_ZERO: u64 = 1 << 62;

const VALID: u64 = 1 << 63;
/// Inner shareable, inner write-back.
const CACHED: u64 = 1 << 10 | 7 << 59;
const QUEUE_BYTES: u64 = 4096;
const COMMAND: u64 = 32;
const FIRST_LPI: u32 = 8192;
/// INTID bits of the property table.
const ID_BITS: u64 = 14;
const TABLE_BYTES: u64 = 0x1_0000;
/// How long the ITS may take.
const PATIENCE_US: u64 = 5_000_000;

/// One of a VM's ITS commands, each four doublewords.
pub mod command {
    const VALID: u64 = 1 << 63;

    pub fn mapd(device: u32, bits: u32, table: u64, valid: bool) -> [u64; 4] {
        let v = if valid { VALID } else { 0 };
        [u64::from(device) << 32 | 0x08, u64::from(bits - 1), v | table, 0]
    }
    pub fn mapc(collection: u16, vpe: u32, valid: bool) -> [u64; 4] {
        let v = if valid { VALID } else { 0 };
        [0x09, 0, v | u64::from(vpe) << 16 | u64::from(collection), 0]
    }
    pub fn mapti(device: u32, event: u32, intid: u32, collection: u16) -> [u64; 4] {
        let second = u64::from(intid) << 32 | u64::from(event);
        [u64::from(device) << 32 | 0x0a, second, u64::from(collection), 0]
    }
    pub fn movi(device: u32, event: u32, collection: u16) -> [u64; 4] {
        [u64::from(device) << 32 | 0x01, u64::from(event), u64::from(collection), 0]
    }
    pub fn invall(collection: u16) -> [u64; 4] {
        [0x0d, 0, u64::from(collection), 0]
    }
    pub fn sync(vpe: u32) -> [u64; 4] {
        [0x05, 0, u64::from(vpe) << 16, 0]
    }
    fn of_event(opcode: u64, device: u32, event: u32) -> [u64; 4] {
        [u64::from(device) << 32 | opcode, u64::from(event), 0, 0]
    }
    pub fn int(device: u32, event: u32) -> [u64; 4] {
        of_event(0x03, device, event)
    }
    pub fn clear(device: u32, event: u32) -> [u64; 4] {
        of_event(0x04, device, event)
    }
    pub fn inv(device: u32, event: u32) -> [u64; 4] {
        of_event(0x0c, device, event)
    }
    pub fn discard(device: u32, event: u32) -> [u64; 4] {
        of_event(0x0f, device, event)
    }
}

/// The ITS did not execute its commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stuck {
    pub cwriter: u64,
    pub creadr: u64,
}

/// The control frame, for whoever knows better. None: there is no ITS.
pub fn frame(machine: &Machine) -> Option<Registers> {
    let region = machine.its()?;
    // SAFETY: the device tree says that the control frame is there.
    Some(unsafe { Registers::new(region.base, FRAME) })
}

/// The ITS and its tables.
#[derive(Debug)]
pub struct Its {
    registers: Registers,
    queue: Buffer,
    writer: u64,
    properties: Buffer,
    /// For whoever needs memory of a table that the ITS alone uses.
    spare: Buffer,
}

impl Its {
    /// Step 1. None: there is no ITS, or no memory.
    pub fn new(machine: &Machine, arena: &mut Arena) -> Option<Self> {
        let registers = frame(machine)?;
        let queue = arena.allocate(QUEUE_BYTES)?;
        let properties = arena.allocate((1 << ID_BITS) - u64::from(FIRST_LPI))?;
        let spare = arena.allocate(2 * TABLE_BYTES)?;
        let mut its = Self { registers, queue, writer: 0, properties, spare };
        for intid in FIRST_LPI..1 << ID_BITS {
            its.configure(intid, 0xa0, false);
        }
        for n in 0..8 {
            let baser = its.registers.read64(BASER + 8 * n);
            if baser >> 56 & 7 != 0 {
                let table =
                    arena.allocate(2 * TABLE_BYTES)?.address().next_multiple_of(TABLE_BYTES);
                let fixed = baser & (7 << 56 | 0x1f << 48 | 3 << 8);
                its.registers.write64(BASER + 8 * n, VALID | CACHED | fixed | table);
            }
        }
        its.registers.write64(CBASER, VALID | CACHED | its.queue.address());
        its.registers.write64(CWRITER, 0);
        its.registers.write32(CTLR, ENABLE);
        Some(its)
    }

    /// GITS_TYPER.
    pub fn type_register(&self) -> u64 {
        self.registers.read64(TYPER)
    }

    /// Begins again with an empty queue, whatever became of it.
    pub fn restart(&mut self) {
        self.registers.write32(CTLR, 0);
        self.registers.write64(CBASER, VALID | CACHED | self.queue.address());
        self.registers.write64(CWRITER, 0);
        self.registers.write32(CTLR, ENABLE);
        self.writer = 0;
    }

    /// Memory for a device's translation table.
    pub fn table(&self) -> u64 {
        self.spare.address().next_multiple_of(TABLE_BYTES)
    }

    /// Step 2, on any vPE, for one that has started. None: it has not found its redistributor.
    pub fn enable_lpis(&self, vpe: u32, pending: Option<&Buffer>) -> Option<()> {
        let redistributor = gic::redistributor_of(vpe)?;
        let table = CACHED & !(7 << 59) | 7 << 7 | self.properties.address() | (ID_BITS - 1);
        redistributor.write64(GICR_PROPBASER, table);
        let pending = match pending {
            Some(table) => table.address().next_multiple_of(TABLE_BYTES),
            None => self.table() | PENDING_ZERO,
        };
        redistributor.write64(GICR_PENDBASER, 1 << 10 | 7 << 7 | pending);
        cpu::barrier();
        redistributor.write32(GICR_CTLR, ENABLE);
        Some(())
    }

    /// Step 3: puts a command into the queue.
    pub fn give(&mut self, words: [u64; 4]) {
        for (n, word) in (0..).zip(words) {
            self.queue.write64(self.writer + 8 * n, word);
        }
        self.writer = (self.writer + COMMAND) % QUEUE_BYTES;
    }

    /// Lets the ITS begin with what is in the queue.
    pub fn kick(&self) {
        cpu::barrier();
        self.registers.write64(CWRITER, self.writer);
    }

    /// Step 3: waits until what is in the queue has been executed.
    pub fn sync(&mut self) -> Result<(), Stuck> {
        self.kick();
        let deadline = timer::now() + timer::microseconds(PATIENCE_US);
        loop {
            let creadr = self.registers.read64(CREADR);
            if creadr == self.writer {
                return Ok(());
            }
            if timer::now() > deadline {
                return Err(Stuck { cwriter: self.writer, creadr });
            }
            cpu::relax();
        }
    }

    /// Gives one command and waits.
    pub fn run(&mut self, words: [u64; 4]) -> Result<(), Stuck> {
        self.give(words);
        self.sync()
    }

    /// Step 4: the byte of an LPI in the property table. An INTID without a byte is ignored.
    pub fn configure(&mut self, intid: u32, priority: u8, enabled: bool) {
        let index = u64::from(intid.wrapping_sub(FIRST_LPI));
        if index >= self.properties.bytes() {
            return;
        }
        let (word, shift) = (index & !3, 8 * (index & 3));
        let byte = u32::from(priority & 0xfc | 2 | u8::from(enabled));
        let others = self.properties.read32(word) & !(0xff << shift);
        self.properties.write32(word, others | byte << shift);
        cpu::barrier();
    }
}
