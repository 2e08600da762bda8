// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An SMMU's registers: is it what was expected, abort everything, enable.
//!
//! Called by one CPU at boot. Follows IHI 0070 6.3 and 3.11 (reset, enable and initialization).
//!
//! 1. `abort_all`, first of all: SMMU_GBPA.ABORT, then SMMU_CR0 = 0. At reset an SMMU that is not
//!    enabled lets every transaction through, and firmware may have left it enabled. ABORT stays
//!    set for ever: it rules again whenever SMMUEN is clear.
//! 2. `verify`: identification registers against what the tables were made for.
//! 3. `enable`: attributes; stream table and queues, each read back; errors of earlier users
//!    acknowledged; interrupts on wires; CMDQEN; everything that a cache may hold invalidated;
//!    EVTQEN and SMMUEN. What a reset leaves in caches is unknown, so that SMMUEN comes last.
//!
//! Each register that the SMMU follows later (GBPA, CR0, IRQ_CTRL) is waited for, with a bound.

use crate::command::Command;
use crate::error::{Error, Illegal, Wait, placed, poll, within};
use crate::frame::Frame;
use crate::gerror::{ActiveErrors, GlobalError};
use crate::queue::{CommandMemory, CommandQueue};
use crate::regs::{self, ALLOCATE, SMMU_AIDR, SMMU_CR0, SMMU_CR1, SMMU_CR2};
use crate::regs::{SMMU_GBPA, SMMU_IDR0, SMMU_IDR1, SMMU_IDR5, SMMU_IRQ_CTRL};
use crate::ste::{Granule, address_bits};
use crate::table::StreamTable;
use tock_registers::LocalRegisterCopy;

/// Inner shareable, write-back inner and outer: how a coherent SMMU reads tables and queues.
const CR1_COHERENT: u32 = SMMU_CR1::QUEUE_IC.val(1).value
    | SMMU_CR1::QUEUE_OC.val(1).value
    | SMMU_CR1::QUEUE_SH.val(3).value
    | SMMU_CR1::TABLE_IC.val(1).value
    | SMMU_CR1::TABLE_OC.val(1).value
    | SMMU_CR1::TABLE_SH.val(3).value;
/// Not cacheable: the CPUs clean what the SMMU is to read.
const CR1_INCOHERENT: u32 = 0;
/// StreamIDs beyond the stream table are not recorded: no entry could be made that stops one of
/// them, so that its device would interrupt EL2 for ever.
const CR2: u32 = SMMU_CR2::PTM::SET.value;
const IRQ_CTRL: u32 =
    SMMU_IRQ_CTRL::GERROR_IRQEN::SET.value | SMMU_IRQ_CTRL::EVENTQ_IRQEN::SET.value;

/// What tables, entries and commands rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expect {
    /// StreamID bits at least: those of the stream table.
    pub stream_bits: u8,
    pub two_level: bool,
    /// The largest VMID in use.
    pub highest_vmid: u16,
    /// Bits of physical addresses that devices must reach.
    pub pa_bits: u8,
    pub granule: Granule,
    /// Commands that the queue holds, as a power of two.
    pub command_bits: u8,
    /// Records that the event queue holds, as a power of two.
    pub event_bits: u8,
    /// The SMMU's own accesses are coherent; if not expected, they need not be.
    pub coherent: bool,
}

/// Memory of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    address: u64,
    bits: u8,
    /// Bytes of an entry.
    entry: u64,
}

impl Ring {
    /// A command queue of `1 << bits` commands, at a multiple of its size and of 32.
    pub const fn commands(address: u64, bits: u8) -> Result<Self, Illegal> {
        Self::new("the command queue", address, bits, crate::command::COMMAND_BYTES)
    }
    /// An event queue of `1 << bits` records, at a multiple of its size.
    pub const fn events(address: u64, bits: u8) -> Result<Self, Illegal> {
        Self::new("the event queue", address, bits, crate::event::EVENT_BYTES)
    }
    /// IHI 0070 6.3, SMMU_CMDQ_BASE and SMMU_EVTQ_BASE: LOG2SIZE is at most 19.
    const fn new(what: &'static str, address: u64, bits: u8, entry: u64) -> Result<Self, Illegal> {
        if let Err(illegal) = within(what, bits as u64, 0, 19) {
            return Err(illegal);
        }
        let bytes = entry << bits;
        match placed(what, address, if bytes < 32 { 32 } else { bytes }) {
            Ok(()) => Ok(Self { address, bits, entry }),
            Err(illegal) => Err(illegal),
        }
    }
    pub const fn address(self) -> u64 {
        self.address
    }
    pub const fn bits(self) -> u8 {
        self.bits
    }
    pub const fn bytes(self) -> u64 {
        self.entry << self.bits
    }
    /// SMMU_CMDQ_BASE or SMMU_EVTQ_BASE.
    pub const fn base_register(self) -> u64 {
        self.address | self.bits as u64 | ALLOCATE
    }
}

/// What to enable an SMMU on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup<'a> {
    /// Written already, and visible to the SMMU.
    pub table: StreamTable<'a>,
    pub commands: Ring,
    pub events: Ring,
    pub coherent: bool,
}

/// An SMMU.
#[derive(Clone, Copy, Debug)]
pub struct Unit<F> {
    frame: F,
}

impl<F: Frame + Clone> Unit<F> {
    pub const fn new(frame: F) -> Self {
        Self { frame }
    }

    /// From here on no transaction passes, until [`Self::enable`] has translation on.
    pub fn abort_all(&self, polls: u32) -> Result<(), Error> {
        let found = self.settled_bypass(polls)?;
        let wanted = found.get() | SMMU_GBPA::ABORT::SET.value;
        self.frame.write32(regs::GBPA, wanted | SMMU_GBPA::Update::SET.value);
        let found = self.settled_bypass(polls)?;
        if !found.is_set(SMMU_GBPA::ABORT) {
            return Err(differs("SMMU_GBPA", "ABORT", 1, 0));
        }
        self.control(0, polls)
    }

    /// Compares the identification registers with what is expected; the first difference is the
    /// error.
    pub fn verify(&self, expect: &Expect) -> Result<(), Error> {
        let idr0 = LocalRegisterCopy::<u32, SMMU_IDR0::Register>::new(self.read(regs::IDR0));
        let idr1 = LocalRegisterCopy::<u32, SMMU_IDR1::Register>::new(self.read(regs::IDR1));
        let idr5 = LocalRegisterCopy::<u32, SMMU_IDR5::Register>::new(self.read(regs::IDR5));
        let aidr = LocalRegisterCopy::<u32, SMMU_AIDR::Register>::new(self.read(regs::AIDR));
        let (granule, granule_found) = match expect.granule {
            Granule::Kib4 => ("GRAN4K", idr5.read(SMMU_IDR5::GRAN4K)),
            Granule::Kib16 => ("GRAN16K", idr5.read(SMMU_IDR5::GRAN16K)),
            Granule::Kib64 => ("GRAN64K", idr5.read(SMMU_IDR5::GRAN64K)),
        };
        let oas = address_bits(idr5.read(SMMU_IDR5::OAS).into()).unwrap_or(0);
        let vmid16 = u32::from(expect.highest_vmid > 0xff);
        // ST_LEVEL 0b01 is the only value beyond 0.
        let st_level = u32::from(expect.two_level);
        for (register, field, least, found) in [
            ("SMMU_IDR0", "S2P", 1, idr0.read(SMMU_IDR0::S2P)),
            ("SMMU_IDR0", "TTF, bit 1,", 1, idr0.read(SMMU_IDR0::TTF) >> 1),
            ("SMMU_IDR0", "COHACC", expect.coherent.into(), idr0.read(SMMU_IDR0::COHACC)),
            ("SMMU_IDR0", "VMID16", vmid16, idr0.read(SMMU_IDR0::VMID16)),
            ("SMMU_IDR0", "ST_LEVEL", st_level, idr0.read(SMMU_IDR0::ST_LEVEL)),
            ("SMMU_IDR1", "SIDSIZE", expect.stream_bits.into(), idr1.read(SMMU_IDR1::SIDSIZE)),
            ("SMMU_IDR1", "CMDQS", expect.command_bits.into(), idr1.read(SMMU_IDR1::CMDQS)),
            ("SMMU_IDR1", "EVTQS", expect.event_bits.into(), idr1.read(SMMU_IDR1::EVTQS)),
            ("SMMU_IDR5", granule, 1, granule_found),
            ("SMMU_IDR5", "OAS, in bits,", expect.pa_bits.into(), oas),
        ] {
            if found < least {
                return Err(differs(register, field, least, found));
            }
        }
        // Not supported: always stalling, big-endian tables alone, fixed bases, a later SMMU.
        for (register, field, refused, found) in [
            ("SMMU_IDR0", "STALL_MODEL", 0b10, idr0.read(SMMU_IDR0::STALL_MODEL)),
            ("SMMU_IDR0", "TTENDIAN", 0b11, idr0.read(SMMU_IDR0::TTENDIAN)),
            ("SMMU_IDR1", "QUEUES_PRESET", 1, idr1.read(SMMU_IDR1::QUEUES_PRESET)),
            ("SMMU_IDR1", "TABLES_PRESET", 1, idr1.read(SMMU_IDR1::TABLES_PRESET)),
        ] {
            if found == refused {
                return Err(differs(register, field, 0, found));
            }
        }
        match aidr.read(SMMU_AIDR::ArchMajorRev) {
            0 => Ok(()),
            major => Err(differs("SMMU_AIDR", "ArchMajorRev", 0, major)),
        }
    }

    /// Puts an SMMU that aborts everything on its tables, and translation on.
    pub fn enable<M: CommandMemory>(
        &self,
        setup: &Setup<'_>,
        memory: M,
        polls: u32,
    ) -> Result<CommandQueue<F, M>, Error> {
        self.interrupts(0, polls)?;
        let cr1 = if setup.coherent { CR1_COHERENT } else { CR1_INCOHERENT };
        self.frame.write32(regs::CR1, cr1);
        self.frame.write32(regs::CR2, CR2);
        let (table, config) = (setup.table.base_register(), setup.table.config_register());
        self.base("SMMU_STRTAB_BASE", regs::STRTAB_BASE, table)?;
        self.frame.write32(regs::STRTAB_BASE_CFG, config);
        let found = self.read(regs::STRTAB_BASE_CFG);
        if found != config {
            return Err(differs("SMMU_STRTAB_BASE_CFG", "readback", config, found));
        }
        self.base("SMMU_CMDQ_BASE", regs::CMDQ_BASE, setup.commands.base_register())?;
        self.frame.write32(regs::CMDQ_PROD, 0);
        self.frame.write32(regs::CMDQ_CONS, 0);
        self.base("SMMU_EVTQ_BASE", regs::EVTQ_BASE, setup.events.base_register())?;
        self.frame.write32(regs::EVTQ_PROD, 0);
        self.frame.write32(regs::EVTQ_CONS, 0);

        let errors = self.errors();
        if errors.contains(GlobalError::ServiceFailure) {
            return Err(differs("SMMU_GERROR", "SFM_ERR", 0, 1));
        }
        self.acknowledge(errors);
        let idr0 = LocalRegisterCopy::<u32, SMMU_IDR0::Register>::new(self.read(regs::IDR0));
        if idr0.is_set(SMMU_IDR0::MSI) {
            self.frame.write64(regs::GERROR_IRQ_CFG0, 0);
            self.frame.write64(regs::EVTQ_IRQ_CFG0, 0);
        }
        self.interrupts(IRQ_CTRL, polls)?;

        let commands = SMMU_CR0::CMDQEN::SET.value;
        self.control(commands, polls)?;
        let mut queue = CommandQueue::new(self.frame.clone(), memory, setup.commands.bits(), polls);
        queue.run([Command::CfgiAll])?;
        queue.run([Command::TlbiNsnhAll])?;
        // Without the check an SMMU lets addresses through that a device says were translated by
        // ATS, whatever the stream's entry is (6.3, SMMU_CR0.ATSCHK). Entries here grant no ATS.
        let check = if idr0.is_set(SMMU_IDR0::ATS) { SMMU_CR0::ATSCHK::SET.value } else { 0 };
        let events = commands | check | SMMU_CR0::EVTQEN::SET.value;
        self.control(events, polls)?;
        self.control(events | SMMU_CR0::SMMUEN::SET.value, polls)?;
        Ok(queue)
    }

    /// Global errors that are active.
    pub fn errors(&self) -> ActiveErrors {
        ActiveErrors::new(self.read(regs::GERROR), self.read(regs::GERRORN))
    }

    /// Acknowledges these. The command queue's own error is for
    /// [`CommandQueue::recover`] once the queue is in use.
    pub fn acknowledge(&self, errors: ActiveErrors) {
        if !errors.none() {
            self.frame.write32(regs::GERRORN, errors.acknowledged(self.read(regs::GERRORN)));
        }
    }

    fn read(&self, offset: usize) -> u32 {
        self.frame.read32(offset)
    }

    /// SMMU_GBPA with no update under way.
    fn settled_bypass(
        &self,
        polls: u32,
    ) -> Result<LocalRegisterCopy<u32, SMMU_GBPA::Register>, Error> {
        poll(polls, Wait::GlobalBypass, || {
            let found = LocalRegisterCopy::new(self.read(regs::GBPA));
            if found.is_set(SMMU_GBPA::Update) { Err(found.get()) } else { Ok(found) }
        })
    }

    /// Writes SMMU_CR0 and waits until the SMMU follows.
    fn control(&self, value: u32, polls: u32) -> Result<(), Error> {
        self.frame.write32(regs::CR0, value);
        self.follows(regs::CR0ACK, value, polls, Wait::Control)
    }

    fn interrupts(&self, value: u32, polls: u32) -> Result<(), Error> {
        self.frame.write32(regs::IRQ_CTRL, value);
        self.follows(regs::IRQ_CTRLACK, value, polls, Wait::Interrupts)
    }

    fn follows(&self, register: usize, value: u32, polls: u32, wait: Wait) -> Result<(), Error> {
        poll(polls, wait, || match self.read(register) {
            found if found == value => Ok(()),
            found => Err(found),
        })
    }

    /// Writes a base register and reads it back; the allocation hint is a hint.
    fn base(&self, register: &'static str, offset: usize, value: u64) -> Result<(), Error> {
        self.frame.write64(offset, value);
        let found = self.frame.read64(offset);
        if (found ^ value) & !ALLOCATE == 0 {
            Ok(())
        } else {
            Err(Error::Differs { register, field: "readback", expected: value, found })
        }
    }
}

fn differs(register: &'static str, field: &'static str, expected: u32, found: u32) -> Error {
    Error::Differs { register, field, expected: expected.into(), found: found.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_as_the_manual_draws_them() {
        assert_eq!(CR1_COHERENT, 0xd75);
        assert_eq!((CR2, IRQ_CTRL), (4, 5));
        let ring = Ring::commands(0x4010_0000, 8).unwrap();
        assert_eq!(ring.base_register(), 0x4000_0000_4010_0008);
    }

    #[test]
    fn queues_are_aligned_to_their_size() {
        assert!(Ring::commands(0x4010_0020, 0).is_ok());
        assert!(Ring::commands(0x4010_0010, 0).is_err());
        assert!(Ring::commands(0x4010_0800, 8).is_err(), "4 KiB");
        assert!(Ring::events(0x4010_1000, 7).is_ok());
        assert!(Ring::events(0x4010_1000, 8).is_err(), "8 KiB");
        assert!(Ring::events(1 << 52, 4).is_err());
        let illegal = Illegal::Size { what: "the event queue", value: 20, least: 0, most: 19 };
        assert_eq!(Ring::events(0, 20), Err(illegal));
    }
}
