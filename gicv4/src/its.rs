// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The ITS: is it what was expected, and bringing it up on tables that somebody laid out.
//!
//! Owns GITS_CTLR, BASERn and CBASER while enabling; afterwards the [`crate::queue::Queue`] is all
//! there is. Called by one CPU. Follows IHI 0069H 5.2, 5.3 and 12.19.
//!
//! 1. `verify`: GITS_TYPER against what the tables were sized for.
//! 2. `enable`: GITS_CTLR.Enabled = 0, wait for Quiescent: base registers are read-only before
//!    that.
//! 3. Each table: find the GITS_BASERn of its Type, which may be any; compare its Entry_Size; write
//!    it and read it back with each page size that the memory allows, since the ITS may have only
//!    one. Registers that no table needs get 0.
//! 4. GITS_CBASER, read back; GITS_CWRITER = 0 (CREADR follows CBASER to 0).
//! 5. GITS_CTLR.Enabled = 1.
//!
//! Not supported: several ITSs with GITS_TYPER.VMOVP = 0 (the command is there, the coordination is
//! not), firmware's tables (they are replaced).

use crate::error::Expected::{AtLeast, AtMost, Exactly};
use crate::error::{Error, Wait, poll};
use crate::frame::{self, Frame};
use crate::given::{Base, Memory};
use crate::layout::{self, Attributes, PageSize, Room, TableKind};
use crate::redist;
use crate::regs::gits::QueueBase;
use crate::regs::gits::{self, GITS_BASER, GITS_CBASER, GITS_CTLR, GITS_PIDR2, GITS_TYPER};
use tock_registers::LocalRegisterCopy;

/// What the tables and commands rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expect {
    /// DeviceID bits at least.
    pub device_id_bits: u8,
    /// EventID bits at least.
    pub event_id_bits: u8,
    /// ICID bits at least.
    pub collection_id_bits: u8,
    /// Most bytes of an interrupt translation entry.
    pub entry_bytes: u8,
    /// Virtual LPIs are used.
    pub virtual_lpis: bool,
    /// Commands are in GICv4.1 form; exact.
    pub v41: Option<ExpectV41>,
    /// Redistributors are named by address rather than processor number; exact.
    pub redistributor_addresses: bool,
    /// vPEs move by VMOVP, with sequence number 0 and no ITSList: GITS_TYPER.VMOVP must be 1.
    pub moves: bool,
}

/// What is relied on of a GICv4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectV41 {
    /// The ITS and the redistributors have one vPE table (GITS_TYPER.SVPET is not 0); exact.
    pub shared_vpe_table: bool,
    /// Virtual SGIs are used.
    pub virtual_sgis: bool,
    /// MPIDR_EL1 of a CPU whose redistributor shares the table.
    pub mpidr: u64,
}

/// Memory for a table of the ITS: flat, and zero.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// What it holds.
    pub kind: TableKind,
    /// Room for `entries` of `entry_bytes` each, and a multiple of every page size that the ITS
    /// may demand.
    pub memory: Memory,
    /// Entries that commands name: 0..entries.
    pub entries: u64,
    /// Bytes of an entry, at most: the ITS's own may be smaller.
    pub entry_bytes: u8,
    /// Shareability and cacheability of the ITS's accesses.
    pub attributes: Attributes,
}

/// What GITS_CBASER must read back. Cacheability is a hint, and reserved bits are whatever they
/// are.
const CBASER_FIELDS: u64 = GITS_CBASER::Size::SET.value
    | GITS_CBASER::Shareability::SET.value
    | GITS_CBASER::PhysicalAddress::SET.value
    | GITS_CBASER::Valid::SET.value;
/// The same of GITS_BASERn.
const BASER_FIELDS: u64 = GITS_BASER::Size::SET.value
    | GITS_BASER::PageSize::SET.value
    | GITS_BASER::Shareability::SET.value
    | GITS_BASER::PhysicalAddress::SET.value
    | GITS_BASER::Indirect::SET.value
    | GITS_BASER::Valid::SET.value;

/// The control frame of an ITS.
#[derive(Debug)]
pub struct Its<F> {
    frame: F,
}

impl<F: Frame<Block = frame::Its>> Its<F> {
    /// Of the control frame at GITS_base. Reads and writes nothing.
    pub const fn new(frame: F) -> Self {
        Self { frame }
    }

    /// GITS_TYPER.
    pub fn typer(&self) -> LocalRegisterCopy<u64, GITS_TYPER::Register> {
        self.frame.fields(gits::TYPER)
    }

    /// Compares GITS_PIDR2 and GITS_TYPER with what is expected; the first difference is the error.
    pub fn verify(&self, expect: &Expect) -> Result<(), Error> {
        let revision = self.frame.fields(gits::PIDR2).read(GITS_PIDR2::ArchRev);
        AtLeast(3).check("GITS_PIDR2", "ArchRev", revision.into())?;
        let typer = self.typer();
        let collection_bits =
            if typer.is_set(GITS_TYPER::CIL) { typer.read(GITS_TYPER::CIDbits) + 1 } else { 16 };
        for (field, expected, found) in [
            ("Physical", AtLeast(1), typer.read(GITS_TYPER::Physical)),
            ("Virtual", AtLeast(expect.virtual_lpis.into()), typer.read(GITS_TYPER::Virtual)),
            (
                "Devbits + 1",
                AtLeast(expect.device_id_bits.into()),
                typer.read(GITS_TYPER::Devbits) + 1,
            ),
            (
                "ID_bits + 1",
                AtLeast(expect.event_id_bits.into()),
                typer.read(GITS_TYPER::IDbits) + 1,
            ),
            ("CIDbits + 1", AtLeast(expect.collection_id_bits.into()), collection_bits),
            ("VMOVP", AtLeast(expect.moves.into()), typer.read(GITS_TYPER::VMOVP)),
            (
                "ITT_entry_size + 1",
                AtMost(expect.entry_bytes.into()),
                typer.read(GITS_TYPER::ITTEntrySize) + 1,
            ),
            ("PTA", Exactly(expect.redistributor_addresses.into()), typer.read(GITS_TYPER::PTA)),
            ("VMAPP", Exactly(expect.v41.is_some().into()), typer.read(GITS_TYPER::VMAPP)),
        ] {
            expected.check("GITS_TYPER", field, found)?;
        }
        match &expect.v41 {
            Some(v41) => self.verify_v41(v41),
            None => Ok(()),
        }
    }

    fn verify_v41(&self, expect: &ExpectV41) -> Result<(), Error> {
        let typer = self.typer();
        let vsgi = AtLeast(expect.virtual_sgis.into());
        vsgi.check("GITS_TYPER", "VSGI", typer.read(GITS_TYPER::VSGI))?;
        let fields = typer.read(GITS_TYPER::SVPET);
        let rule = if expect.shared_vpe_table { AtLeast(1) } else { Exactly(0) };
        rule.check("GITS_TYPER", "SVPET", fields)?;
        if fields != 0 {
            // Aff3, Aff2, Aff1 at most: bits 31:8 of both.
            let shared = redist::affinity_fields(fields);
            let planned = redist::affinity_value(expect.mpidr) & shared;
            let found = self.frame.read(gits::MPIDR) & shared;
            Exactly(planned.into()).check("GITS_MPIDR", "affinity", found.into())?;
        }
        Ok(())
    }

    /// Stops the ITS and waits until nothing is in flight, at most `polls` reads.
    pub fn disable(&self, polls: u32) -> Result<(), Error> {
        let control = self.frame.fields(gits::CTLR);
        self.frame.write(gits::CTLR, control.get() & !GITS_CTLR::Enabled::SET.value);
        poll(polls, Wait::ItsQuiescent, || {
            let control = self.frame.fields(gits::CTLR);
            if control.is_set(GITS_CTLR::Quiescent) {
                Ok(())
            } else {
                Err(u64::from(control.get()))
            }
        })
    }

    /// Puts the ITS on these tables and this command queue, and enables it. Every other GITS_BASERn
    /// is written 0.
    pub fn enable(
        &self,
        tables: impl IntoIterator<Item = Table>,
        cbaser: QueueBase,
        polls: u32,
    ) -> Result<(), Error> {
        self.disable(polls)?;
        for n in 0..gits::BASER.count() {
            self.frame.write_at(gits::BASER, n, Base::known(0));
        }
        for table in tables {
            self.set_table(table)?;
        }
        self.frame.write(gits::CBASER, cbaser);
        let (expected, found) = (cbaser.bits(), self.frame.read(gits::CBASER));
        if (found ^ expected) & CBASER_FIELDS != 0 {
            Exactly(expected).check("GITS_CBASER", "readback", found)?;
        }
        self.frame.write(gits::CWRITER, 0);
        self.frame.write(gits::CTLR, GITS_CTLR::Enabled::SET.value);
        Ok(())
    }

    /// Puts a table into the register of its kind, with the largest page size that both can have.
    fn set_table(&self, table: Table) -> Result<(), Error> {
        let kind = table.kind.field();
        let Some((n, register)) = (0..gits::BASER.count())
            .zip(BASER_NAMES)
            .find(|(n, _)| self.baser(*n).read(GITS_BASER::Type) == kind)
        else {
            return self.without_register(table);
        };
        let entry = self.baser(n).read(GITS_BASER::EntrySize) + 1;
        AtMost(table.entry_bytes.into()).check(register, "Entry_Size + 1", entry)?;
        for page in [PageSize::Kib64, PageSize::Kib16, PageSize::Kib4] {
            let Some(value) = baser_value(&table, entry, page) else { continue };
            self.frame.write_at(gits::BASER, n, Base::known(value));
            let found = self.baser(n);
            if found.read(GITS_BASER::PageSize) != page.field() {
                continue;
            }
            let wanted = LocalRegisterCopy::<u64, GITS_BASER::Register>::new(value);
            let field = GITS_BASER::Shareability;
            Exactly(wanted.read(field)).check(register, "Shareability", found.read(field))?;
            if (value ^ found.get()) & BASER_FIELDS == 0 {
                return Ok(());
            }
            return Exactly(value).check(register, "readback", found.get());
        }
        let only = self.baser(n).read(GITS_BASER::PageSize);
        self.frame.write_at(gits::BASER, n, Base::known(0));
        let found = PageSize::from_field(only).map_or(0, PageSize::bytes);
        let (field, expected) = ("bytes of a page", AtMost(table.memory.bytes()));
        Err(Error::Differs { register, field, expected, found })
    }

    /// The register of a table that has been set.
    pub fn table(&self, kind: TableKind) -> Option<LocalRegisterCopy<u64, GITS_BASER::Register>> {
        (0..gits::BASER.count()).map(|n| self.baser(n)).find(|baser| {
            baser.read(GITS_BASER::Type) == kind.field() && baser.is_set(GITS_BASER::Valid)
        })
    }

    fn baser(&self, n: usize) -> LocalRegisterCopy<u64, GITS_BASER::Register> {
        LocalRegisterCopy::new(self.frame.read_at(gits::BASER, n))
    }

    /// Some ITSs hold their collections without a table (GITS_TYPER.HCC).
    fn without_register(&self, table: Table) -> Result<(), Error> {
        match table.kind {
            TableKind::Collections if self.typer().read(GITS_TYPER::HCC) >= table.entries => Ok(()),
            TableKind::Collections => Err(Error::Unsupported {
                what: "collections: no GITS_BASERn, and GITS_TYPER.HCC is too small",
            }),
            TableKind::Devices => Err(Error::Unsupported { what: "devices: no GITS_BASERn" }),
            TableKind::Vpes => Err(Error::Unsupported { what: "vPEs: no GITS_BASERn" }),
        }
    }
}

/// GITS_BASERn with pages of `page`; None: the memory is not made of such pages.
fn baser_value(table: &Table, entry_bytes: u64, page: PageSize) -> Option<u64> {
    let (address, bytes) = (table.memory.address(), table.memory.bytes());
    let room = Room { bytes, align: page.bytes() };
    if !bytes.is_multiple_of(page.bytes()) {
        return None;
    }
    layout::baser(table.kind, address, room, entry_bytes, page, false, table.attributes).ok()
}

const BASER_NAMES: [&str; gits::BASER.count()] = [
    "GITS_BASER0",
    "GITS_BASER1",
    "GITS_BASER2",
    "GITS_BASER3",
    "GITS_BASER4",
    "GITS_BASER5",
    "GITS_BASER6",
    "GITS_BASER7",
];
