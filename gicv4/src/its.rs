//! The ITS: is it what was expected, and bringing it up on tables that somebody laid out.
//!
//! Owns GITS_CTLR, BASERn and CBASER while enabling; afterwards the [`crate::queue::Queue`] is all there is. Called by one CPU.
//! Follows IHI 0069H 5.2, 5.3 and 12.19.
//!
//! 1. `verify`: GITS_TYPER against what the tables were sized for.
//! 2. `enable`: GITS_CTLR.Enabled = 0, wait for Quiescent: base registers are read-only before that.
//! 3. Each GITS_BASERn: check its Type, write, read back; the ITS may refuse a page size, attributes or an entry size.
//!    Those not named get 0.
//! 4. GITS_CBASER, read back; GITS_CWRITER = 0 (CREADR follows CBASER to 0).
//! 5. GITS_CTLR.Enabled = 1.
//!
//! Not supported: several ITSs with GITS_TYPER.VMOVP = 0 (the command is there, the coordination is not), firmware's tables
//! (they are replaced), GITS_MPIDR affinity between ITSs on GICv4.1.

use crate::error::{Error, Wait, poll};
use crate::frame::Frame;
use crate::regs::gits::{self, GITS_BASER, GITS_CTLR, GITS_TYPER};
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
}

/// A GITS_BASERn and what to put there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// n, 0..8.
    pub index: u8,
    /// From [`crate::layout::baser`]: carries the Type and Entry_Size that the register must read.
    pub value: u64,
}

/// All of GITS_CBASER but its reserved bits 62, 58:56, 52 and 9:8.
const CBASER_FIELDS: u64 = !(1 << 62 | 0x7 << 56 | 1 << 52 | 0x3 << 8);

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

    /// Puts the ITS on these tables, which are zero, and this command queue, and enables it. Every GITS_BASERn that `tables`
    /// does not name is written 0.
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

    fn set_table(&self, table: Table) -> Result<(), Error> {
        let n = usize::from(table.index);
        let Some(register) = BASER_NAMES.get(n).copied() else {
            return Err(Error::Unsupported { what: "more than eight ITS tables" });
        };
        let offset = gits::BASER + 8 * n;
        let want = LocalRegisterCopy::<u64, GITS_BASER::Register>::new(table.value);
        let before = LocalRegisterCopy::<u64, GITS_BASER::Register>::new(self.frame.read64(offset));
        let compare = |field, expected, found| {
            if expected == found {
                Ok(())
            } else {
                Err(Error::Differs { register, field, expected, found })
            }
        };
        // Read-only fields first: a table of another type must not be valid for a moment.
        compare("Type", want.read(GITS_BASER::Type), before.read(GITS_BASER::Type))?;
        compare(
            "Entry_Size",
            want.read(GITS_BASER::EntrySize),
            before.read(GITS_BASER::EntrySize),
        )?;
        self.frame.write64(offset, table.value);
        let after = LocalRegisterCopy::<u64, GITS_BASER::Register>::new(self.frame.read64(offset));
        compare("Page_Size", want.read(GITS_BASER::PageSize), after.read(GITS_BASER::PageSize))?;
        compare("Indirect", want.read(GITS_BASER::Indirect), after.read(GITS_BASER::Indirect))?;
        compare(
            "Shareability",
            want.read(GITS_BASER::Shareability),
            after.read(GITS_BASER::Shareability),
        )?;
        compare(
            "InnerCache",
            want.read(GITS_BASER::InnerCache),
            after.read(GITS_BASER::InnerCache),
        )?;
        compare("readback", want.get(), after.get())
    }
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
