// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The ITS's control frame: tables, and the command queue being consumed.

use super::report::{Cause, CommandError, Violation};
use super::state::State;
use super::{Config, Gic, OnError, TableRegister, Version};
use crate::command::{Command, DecodeError, Encoded};
use crate::frame::{self, Frame, Readable, Register, Width, Writable};
use crate::intid::DeviceId;
use crate::layout::{PageSize, TableKind, baser_address};
use crate::regs::gits::{
    self, GITS_BASER, GITS_CBASER, GITS_CREADR, GITS_CTLR, GITS_CWRITER, GITS_PIDR2, GITS_TYPER,
    offset,
};
use tock_registers::LocalRegisterCopy;

const BASER_NAMES: [&str; 8] = [
    "GITS_BASER0",
    "GITS_BASER1",
    "GITS_BASER2",
    "GITS_BASER3",
    "GITS_BASER4",
    "GITS_BASER5",
    "GITS_BASER6",
    "GITS_BASER7",
];
/// Type and Entry_Size.
const BASER_READ_ONLY: u64 = GITS_BASER::Type::SET.value | GITS_BASER::EntrySize::SET.value;

#[derive(Debug)]
pub(super) struct Its {
    typer: u64,
    pub(super) enabled: bool,
    pub(super) hung: bool,
    pub(super) basers: [u64; 8],
    cbaser: u64,
    writer: u32,
    reader: u32,
    stalled: bool,
    /// Reads of CREADR until the next command is consumed.
    wait: u32,
    /// GITS_CTLR.ITS_Number.
    number: u32,
    tables: &'static [TableRegister],
    incoherent: bool,
}

impl Its {
    pub(super) fn new(config: &Config) -> Self {
        let v41 = config.version == Version::V4_1;
        let mut basers = [0; 8];
        for (baser, table) in basers.iter_mut().zip(config.tables) {
            *baser = GITS_BASER::Type.val(table.kind.field()).value
                | GITS_BASER::EntrySize.val(u64::from(table.entry_bytes) - 1).value
                | GITS_BASER::PageSize.val(table.page.unwrap_or(PageSize::Kib64).field()).value;
        }
        let typer = GITS_TYPER::Physical::SET.value
            | GITS_TYPER::Virtual::SET.value
            | GITS_TYPER::ITTEntrySize.val(u64::from(config.entry_bytes) - 1).value
            | GITS_TYPER::IDbits.val(u64::from(config.event_id_bits) - 1).value
            | GITS_TYPER::Devbits.val(u64::from(config.device_id_bits) - 1).value
            | GITS_TYPER::PTA.val(u64::from(config.redistributor_addresses)).value
            | GITS_TYPER::CIDbits.val(u64::from(config.collection_id_bits) - 1).value
            | GITS_TYPER::CIL::SET.value
            | GITS_TYPER::HCC.val(u64::from(config.held_collections)).value
            | GITS_TYPER::VMOVP.val(u64::from(config.single_vmovp)).value
            | GITS_TYPER::VMAPP.val(u64::from(v41)).value
            | GITS_TYPER::SVPET.val(u64::from(config.shared_vpe_table)).value
            | GITS_TYPER::INV.val(u64::from(config.invalidation_registers)).value
            | GITS_TYPER::VSGI.val(u64::from(config.virtual_sgis)).value;
        Self {
            typer,
            enabled: false,
            hung: false,
            basers,
            cbaser: 0,
            writer: 0,
            reader: 0,
            stalled: false,
            wait: 0,
            number: 0,
            tables: config.tables,
            incoherent: config.incoherent,
        }
    }

    /// GITS_BASERn keeps what it can: Type and Entry_Size are read-only, and so may be others. An
    /// unimplemented one is RAZ/WI.
    fn write_baser(&mut self, n: usize, value: u64) {
        let Some(table) = self.tables.get(n) else { return };
        let mut next = (self.basers[n] & BASER_READ_ONLY) | (value & !BASER_READ_ONLY);
        if let Some(page) = table.page {
            next &= !GITS_BASER::PageSize::SET.value;
            next |= GITS_BASER::PageSize.val(page.field()).value;
        }
        if self.incoherent {
            next &= !GITS_BASER::Shareability::SET.value;
        }
        self.basers[n] = next;
    }

    /// GITS_CTLR.ITS_Number as a bit of VMOVP's ITSList.
    pub(super) const fn list_bit(&self) -> u16 {
        1 << self.number
    }

    /// Slots of the command queue.
    fn slots(&self) -> u32 {
        (LocalRegisterCopy::<u64, GITS_CBASER::Register>::new(self.cbaser).read(GITS_CBASER::Size)
            as u32
            + 1)
            * 128
    }
}

impl State {
    /// Whether the table of `kind` has an entry for `id`.
    fn table_holds(&self, kind: TableKind, id: u64) -> bool {
        self.its.basers.iter().any(|value| {
            let baser = LocalRegisterCopy::<u64, GITS_BASER::Register>::new(*value);
            let page = match baser.read(GITS_BASER::PageSize) {
                0 => PageSize::Kib4,
                1 => PageSize::Kib16,
                _ => PageSize::Kib64,
            };
            if !baser.is_set(GITS_BASER::Valid) || baser.read(GITS_BASER::Type) != kind.field() {
                return false;
            }
            let bytes = (baser.read(GITS_BASER::Size) + 1) * page.bytes();
            let per_page = page.bytes() / (baser.read(GITS_BASER::EntrySize) + 1);
            if !baser.is_set(GITS_BASER::Indirect) {
                return id < bytes / (baser.read(GITS_BASER::EntrySize) + 1);
            }
            let level1 = id / per_page;
            level1 < bytes / 8 && self.memory.read64(baser_address(*value) + 8 * level1) >> 63 != 0
        })
    }

    pub(super) fn device_in_range(&self, device: DeviceId) -> bool {
        u64::from(device.value()) < 1 << self.config.device_id_bits
            && self.table_holds(TableKind::Devices, u64::from(device.value()))
    }
    pub(super) fn collection_in_range(&self, collection: u16) -> bool {
        u64::from(collection) < 1 << self.config.collection_id_bits
            && (collection < u16::from(self.config.held_collections)
                || self.table_holds(TableKind::Collections, u64::from(collection)))
    }
    pub(super) fn vpe_in_range(&self, vpe: u16) -> bool {
        self.table_holds(TableKind::Vpes, u64::from(vpe))
    }

    // The queue
    // ---------------------------------------------------------------------------------------------

    fn write_writer(&mut self, value: u64) {
        let register = LocalRegisterCopy::<u64, GITS_CWRITER::Register>::new(value);
        self.its.writer = register.read(GITS_CWRITER::Offset) as u32;
        if register.is_set(GITS_CWRITER::Retry) {
            self.its.stalled = false;
        }
        self.its.wait = self.config.command_polls;
        if !self.its.enabled {
            return;
        }
        let cause = if self.its.cbaser >> 63 == 0 {
            Some(Cause::QueueInvalid)
        } else if self.its.writer >= self.its.slots() {
            Some(Cause::WriterOutOfRange)
        } else {
            None
        };
        if let Some(cause) = cause {
            self.errors.push(CommandError {
                cause,
                slot: self.its.writer,
                command: None,
                words: [0; 4],
            });
            return;
        }
        while self.config.command_polls == 0 && self.consume() {}
    }

    fn read_reader(&mut self) -> u64 {
        if self.config.command_polls > 0 {
            self.its.wait = self.its.wait.saturating_sub(1);
            if self.its.wait == 0 {
                self.consume();
                self.its.wait = self.config.command_polls;
            }
        } else {
            // Only after hanging is there anything left.
            while self.consume() {}
        }
        GITS_CREADR::Offset.val(u64::from(self.its.reader)).value
            | GITS_CREADR::Stalled.val(u64::from(self.its.stalled)).value
    }

    /// One command; tells whether there was one.
    fn consume(&mut self) -> bool {
        let its = &self.its;
        if its.reader == its.writer
            || its.stalled
            || its.hung
            || !its.enabled
            || its.cbaser >> 63 == 0
        {
            return false;
        }
        let base = self.its.cbaser & GITS_CBASER::PhysicalAddress::SET.value;
        let address = base + 32 * u64::from(self.its.reader);
        let words = core::array::from_fn(|n| self.memory.read64(address + 8 * n as u64));
        if let Ok(Command::Sync { redistributor }) = Command::decode_for(words, self.config.version)
            && self.cpu_of(redistributor).is_ok_and(|cpu| !self.redists[cpu].powered)
        {
            // It waits for an answer that never comes.
            return false;
        }
        if let Err((cause, command)) = self.execute_words(words) {
            self.errors.push(CommandError { cause, slot: self.its.reader, command, words });
            if self.config.on_error == OnError::Stall {
                self.its.stalled = true;
                return false;
            }
        }
        self.its.reader = (self.its.reader + 1) % self.its.slots();
        true
    }

    fn execute_words(&mut self, words: Encoded) -> Result<(), (Cause, Option<Command>)> {
        if let Err(error @ DecodeError::Reserved { .. }) =
            Command::decode_strict(words, self.config.version)
        {
            self.violate(Violation::ReservedBits(error));
        }
        let command =
            Command::decode_for(words, self.config.version).map_err(|_| (Cause::Unknown, None))?;
        self.execute(command).map_err(|cause| (cause, Some(command)))
    }

    // Registers
    // ---------------------------------------------------------------------------------------------

    fn its_unknown(&mut self, offset: usize) {
        self.violate(Violation::UnknownRegister { frame: "GITS", offset });
    }

    fn its_read(&mut self, at: usize) -> u64 {
        match (at, baser_index(at)) {
            (offset::CTLR, _) => {
                let control = u32::from(self.its.enabled)
                    | GITS_CTLR::Quiescent::SET.value
                    | GITS_CTLR::ITS_Number.val(self.its.number).value;
                control.into()
            }
            (offset::IIDR, _) => 0,
            (offset::PIDR2, _) => GITS_PIDR2::ArchRev.val(4).value.into(),
            (offset::TYPER, _) => self.its.typer,
            (offset::MPIDR, _) if self.is_v41() => {
                self.config.affinity(0, self.config.shared_vpe_table).into()
            }
            (offset::CBASER, _) => self.its.cbaser,
            (offset::CWRITER, _) => GITS_CWRITER::Offset.val(u64::from(self.its.writer)).value,
            (offset::CREADR, _) => self.read_reader(),
            (_, Some(n)) => self.its.basers[n],
            _ => {
                self.its_unknown(at);
                0
            }
        }
    }

    fn its_write(&mut self, at: usize, value: u64) {
        match (at, baser_index(at)) {
            (offset::CTLR, _) => {
                let control = LocalRegisterCopy::<u32, GITS_CTLR::Register>::new(value as u32);
                self.its.enabled = control.is_set(GITS_CTLR::Enabled);
                if !self.config.single_vmovp {
                    self.its.number = control.read(GITS_CTLR::ITS_Number);
                }
            }
            (offset::CWRITER, _) => self.write_writer(value),
            (offset::CBASER, _) => self.write_base("GITS_CBASER", |its| {
                let lost = if its.incoherent { GITS_CBASER::Shareability::SET.value } else { 0 };
                its.cbaser = value & !lost;
                its.reader = 0;
                its.stalled = false;
            }),
            (_, Some(n)) => self.write_base(BASER_NAMES[n], |its| its.write_baser(n, value)),
            _ => self.its_unknown(at),
        }
    }

    fn write_base(&mut self, register: &'static str, write: impl FnOnce(&mut Its)) {
        if self.its.enabled {
            self.violate(Violation::WriteWhileEnabled { register });
        } else {
            write(&mut self.its);
        }
    }
}

fn baser_index(at: usize) -> Option<usize> {
    let n = at.checked_sub(offset::BASER)? / 8;
    (n < gits::BASER.count() && at.is_multiple_of(8)).then_some(n)
}

/// The model's GITS control frame.
#[derive(Clone, Debug)]
pub struct ItsFrame(pub(super) Gic);

impl Frame for ItsFrame {
    type Block = frame::Its;

    fn read<W: Width, A: Readable, L>(&self, register: Register<frame::Its, W, A, L>) -> W {
        W::from_bits(self.0.state().its_read(register.offset()))
    }
    fn write<W: Width, A: Writable<W, L>, L>(
        &self,
        register: Register<frame::Its, W, A, L>,
        value: A::Value,
    ) {
        self.0.state().its_write(register.offset(), A::bits(value).bits());
    }
}

/// The model's virtual SGI frame; only a GICv4.1 has it.
#[derive(Clone, Debug)]
pub struct ItsSgiFrame(pub(super) Gic);

impl Frame for ItsSgiFrame {
    type Block = frame::ItsSgis;

    fn read<W: Width, A: Readable, L>(&self, register: Register<frame::ItsSgis, W, A, L>) -> W {
        self.0.state().its_unknown(gits::sgi::FROM_GITS_BASE + register.offset());
        W::from_bits(0)
    }
    fn write<W: Width, A: Writable<W, L>, L>(
        &self,
        register: Register<frame::ItsSgis, W, A, L>,
        value: A::Value,
    ) {
        let (mut state, value) = (self.0.state(), A::bits(value).bits());
        match register.offset() {
            gits::sgi::offset::SGIR if state.config.virtual_sgis => {
                state.send_sgi((value >> 32) as u16, (value & 0xf) as u8);
            }
            other => state.its_unknown(gits::sgi::FROM_GITS_BASE + other),
        }
    }
}
