//! The ITS: is it what was expected, and bringing it up on tables that somebody laid out.
//!
//! Owns GITS_CTLR, BASERn and CBASER while enabling; afterwards the [`crate::queue::Queue`] is all there is. Called by one CPU.
//! Follows IHI 0069H 5.2, 5.3 and 12.19.
//!
//! 1. `verify`: GITS_TYPER against what the tables were sized for.
//! 2. `enable`: GITS_CTLR.Enabled = 0, wait for Quiescent: base registers are read-only before that.
//! 3. Each table: find the GITS_BASERn of its Type, which may be any; compare its Entry_Size; write it and read it back with each
//!    page size that the memory allows, since the ITS may have only one. Registers that no table needs get 0.
//! 4. GITS_CBASER, read back; GITS_CWRITER = 0 (CREADR follows CBASER to 0).
//! 5. GITS_CTLR.Enabled = 1.
//!
//! Not supported: several ITSs with GITS_TYPER.VMOVP = 0 (the command is there, the coordination is not), firmware's tables
//! (they are replaced), GITS_MPIDR affinity between ITSs on GICv4.1.

use crate::error::{Error, Wait, poll};
use crate::frame::Frame;
use crate::layout::{self, Attributes, PageSize, Room, TableKind};
use crate::regs::gits::{self, GITS_BASER, GITS_CBASER, GITS_CTLR, GITS_TYPER};
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
    pub v41: bool,
    /// Redistributors are named by address rather than processor number; exact.
    pub redistributor_addresses: bool,
    /// vPEs move by VMOVP, with sequence number 0 and no ITSList: GITS_TYPER.VMOVP must be 1.
    pub moves: bool,
}

/// Memory for a table of the ITS: flat, and zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    pub kind: TableKind,
    /// Physical address.
    pub address: u64,
    /// Bytes at `address`: room for `entries` of `entry_bytes` each, and a multiple of every page size that the ITS may demand.
    pub bytes: u64,
    /// Entries that commands name: 0..entries.
    pub entries: u64,
    /// Bytes of an entry, at most: the ITS's own may be smaller.
    pub entry_bytes: u8,
    pub attributes: Attributes,
}

/// What GITS_CBASER must read back. Cacheability is a hint, and reserved bits are whatever they are.
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
#[derive(Clone, Copy, Debug)]
pub struct Its<F> {
    frame: F,
}

impl<F: Frame> Its<F> {
    pub const fn new(frame: F) -> Self {
        Self { frame }
    }

    pub fn typer(&self) -> LocalRegisterCopy<u64, GITS_TYPER::Register> {
        LocalRegisterCopy::new(self.frame.read64(gits::TYPER))
    }

    /// Compares GITS_TYPER with what is expected; the first difference is the error.
    pub fn verify(&self, expect: &Expect) -> Result<(), Error> {
        let typer = self.typer();
        let differs = |field, expected, found| {
            Err(Error::Differs { register: "GITS_TYPER", field, expected, found })
        };
        let collection_bits =
            if typer.is_set(GITS_TYPER::CIL) { typer.read(GITS_TYPER::CIDbits) + 1 } else { 16 };
        let at_least = [
            ("Physical", 1, typer.read(GITS_TYPER::Physical)),
            ("Virtual", u64::from(expect.virtual_lpis), typer.read(GITS_TYPER::Virtual)),
            ("Devbits + 1", u64::from(expect.device_id_bits), typer.read(GITS_TYPER::Devbits) + 1),
            ("ID_bits + 1", u64::from(expect.event_id_bits), typer.read(GITS_TYPER::IDbits) + 1),
            ("CIDbits + 1", u64::from(expect.collection_id_bits), collection_bits),
            ("VMOVP", u64::from(expect.moves), typer.read(GITS_TYPER::VMOVP)),
        ];
        for (field, expected, found) in at_least {
            if found < expected {
                return differs(field, expected, found);
            }
        }
        let entry_bytes = typer.read(GITS_TYPER::ITTEntrySize) + 1;
        if entry_bytes > u64::from(expect.entry_bytes) {
            return differs("ITT_entry_size + 1", u64::from(expect.entry_bytes), entry_bytes);
        }
        let exactly = [
            ("PTA", u64::from(expect.redistributor_addresses), typer.read(GITS_TYPER::PTA)),
            ("VMAPP", u64::from(expect.v41), typer.read(GITS_TYPER::VMAPP)),
        ];
        for (field, expected, found) in exactly {
            if found != expected {
                return differs(field, expected, found);
            }
        }
        Ok(())
    }

    /// Stops the ITS and waits until nothing is in flight, at most `polls` reads.
    pub fn disable(&self, polls: u32) -> Result<(), Error> {
        let control =
            LocalRegisterCopy::<u32, GITS_CTLR::Register>::new(self.frame.read32(gits::CTLR));
        self.frame.write32(gits::CTLR, control.get() & !GITS_CTLR::Enabled::SET.value);
        poll(polls, Wait::ItsQuiescent, || {
            let control =
                LocalRegisterCopy::<u32, GITS_CTLR::Register>::new(self.frame.read32(gits::CTLR));
            if control.is_set(GITS_CTLR::Quiescent) {
                Ok(())
            } else {
                Err(u64::from(control.get()))
            }
        })
    }

    /// Puts the ITS on these tables and this command queue, and enables it. Every other GITS_BASERn is written 0.
    pub fn enable(
        &self,
        tables: impl IntoIterator<Item = Table>,
        cbaser: u64,
        polls: u32,
    ) -> Result<(), Error> {
        self.disable(polls)?;
        for n in 0..gits::BASERS {
            self.frame.write64(gits::BASER + 8 * n, 0);
        }
        for table in tables {
            self.set_table(table)?;
        }
        self.frame.write64(gits::CBASER, cbaser);
        let found = self.frame.read64(gits::CBASER);
        if (found ^ cbaser) & CBASER_FIELDS != 0 {
            return Err(Error::Differs {
                register: "GITS_CBASER",
                field: "readback",
                expected: cbaser,
                found,
            });
        }
        self.frame.write64(gits::CWRITER, 0);
        self.frame.write32(gits::CTLR, GITS_CTLR::Enabled::SET.value);
        Ok(())
    }

    /// Puts a table into the register of its kind, with the largest page size that both can have.
    fn set_table(&self, table: Table) -> Result<(), Error> {
        let kind = table.kind.field();
        let Some((n, register)) = (0..gits::BASERS)
            .zip(BASER_NAMES)
            .find(|(n, _)| self.baser(*n).read(GITS_BASER::Type) == kind)
        else {
            return self.without_register(table);
        };
        let check = |field, expected, found, fine| {
            if fine { Ok(()) } else { Err(Error::Differs { register, field, expected, found }) }
        };
        let (most, entry) =
            (table.entry_bytes.into(), self.baser(n).read(GITS_BASER::EntrySize) + 1);
        check("Entry_Size + 1", most, entry, entry <= most)?;
        for page in [PageSize::Kib64, PageSize::Kib16, PageSize::Kib4] {
            let Some(value) = baser_value(&table, entry, page) else { continue };
            self.frame.write64(gits::BASER + 8 * n, value);
            let found = self.baser(n);
            if found.read(GITS_BASER::PageSize) != page.field() {
                continue;
            }
            let wanted = LocalRegisterCopy::<u64, GITS_BASER::Register>::new(value);
            let field = GITS_BASER::Shareability;
            let (expected, has) = (wanted.read(field), found.read(field));
            check("Shareability", expected, has, expected == has)?;
            let differences = (value ^ found.get()) & BASER_FIELDS;
            return check("readback", value, found.get(), differences == 0);
        }
        let only = self.baser(n).read(GITS_BASER::PageSize);
        self.frame.write64(gits::BASER + 8 * n, 0);
        let only = PageSize::from_field(only).map_or(0, PageSize::bytes);
        check("page, more than the table has room for,", table.bytes, only, false)
    }

    fn baser(&self, n: usize) -> LocalRegisterCopy<u64, GITS_BASER::Register> {
        LocalRegisterCopy::new(self.frame.read64(gits::BASER + 8 * n))
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
    let room = Room { bytes: table.bytes, align: page.bytes() };
    if !table.bytes.is_multiple_of(page.bytes()) {
        return None;
    }
    layout::baser(table.kind, table.address, room, entry_bytes, page, false, table.attributes).ok()
}

const BASER_NAMES: [&str; gits::BASERS] = [
    "GITS_BASER0",
    "GITS_BASER1",
    "GITS_BASER2",
    "GITS_BASER3",
    "GITS_BASER4",
    "GITS_BASER5",
    "GITS_BASER6",
    "GITS_BASER7",
];
