// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The ITS, and `[gic.its]`.
//!
//! IHI 0069H 12.19. Which page sizes GITS_BASER takes is found by writing them, with Valid = 0, and
//! only while the ITS is off and at rest.

use crate::line::Out;
use crate::mmio::{self, Probed};
use gicv4::frame::{self, Frame};
use gicv4::regs::gits::{self, GITS_BASER, GITS_CTLR, GITS_PIDR2, GITS_TYPER};
use tock_registers::LocalRegisterCopy;
use vm::text::Text;

/// GITS_BASER.Type of the tables that there are.
const TABLES: [(u64, &str); 3] = [(1, "devices"), (2, "vPEs"), (4, "collections")];
const PAGES: [u64; 4] = [4 << 10, 16 << 10, 64 << 10, 64 << 10];

/// One that answered.
pub struct Its {
    base: u64,
    frame: Probed<frame::Its>,
    typer: LocalRegisterCopy<u64, GITS_TYPER::Register>,
}

impl Its {
    pub fn ask(out: &mut Out, base: u64) -> Option<Self> {
        let frame = Probed::<frame::Its>::new(base);
        let revision = frame.fields(gits::PIDR2).read(GITS_PIDR2::ArchRev);
        let typer = frame.fields(gits::TYPER);
        if frame.is_silent() || !(3..=4).contains(&revision) {
            out.silent(base, "gic.its base: no GITS there", "");
            return None;
        }
        Some(Self { base, frame, typer })
    }

    pub fn virtual_lpis(&self) -> bool {
        self.typer.is_set(GITS_TYPER::Virtual)
    }

    /// Its commands have the forms of GICv4.1.
    pub fn is_late(&self) -> bool {
        self.typer.is_set(GITS_TYPER::VMAPP)
    }

    pub fn write(&self, out: &mut Out) {
        let (frame, typer) = (&self.frame, self.typer);
        out.text("\n[gic.its]\n");
        out.register("GITS_TYPER", typer.get());
        out.register("GITS_IIDR", frame.read(gits::IIDR).into());
        out.register("GITS_PIDR2", frame.read(gits::PIDR2).into());
        let control = frame.fields(gits::CTLR);
        out.register("GITS_CTLR", control.get().into());
        out.number("device_id_bits", typer.read(GITS_TYPER::Devbits) + 1);
        out.number("event_id_bits", typer.read(GITS_TYPER::IDbits) + 1);
        out.number("entry_size", typer.read(GITS_TYPER::ITTEntrySize) + 1);
        let by_address = typer.is_set(GITS_TYPER::PTA);
        out.word("rdbase", if by_address { "address" } else { "processor-number" });
        if self.is_late() {
            out.truth("shared_vpe_table", typer.read(GITS_TYPER::SVPET) != 0);
        }
        let off = !control.is_set(GITS_CTLR::Enabled) && control.is_set(GITS_CTLR::Quiescent);
        let (mut entry, mut page) = (0, None);
        for number in 0..gits::BASER.count() {
            let baser = frame.read_at(gits::BASER, number);
            let fields = LocalRegisterCopy::<u64, GITS_BASER::Register>::new(baser);
            let kind = fields.read(GITS_BASER::Type);
            let Some((_, what)) = TABLES.iter().find(|(code, _)| *code == kind) else { continue };
            let bytes = fields.read(GITS_BASER::EntrySize) + 1;
            out.text("# GITS_BASER");
            out.decimal(number as u64);
            out.text(" = ");
            out.hex(baser);
            out.text(": ");
            out.text(what);
            out.text(", ");
            out.decimal(bytes);
            out.text(" bytes\n");
            entry = bytes.max(entry);
            if off {
                page = self.page(number, baser).max(page);
            }
        }
        out.number("table_entry_size", entry);
        match page {
            Some(page) => {
                out.text("table_page = ");
                out.size(page);
                out.text("\n");
            }
            None => out.text("# table_page is not measured: the ITS is in use\n"),
        }
    }

    /// The page that the table demands: 4 KiB where it takes any. The register is put back.
    fn page(&self, number: usize, before: u64) -> Option<u64> {
        let at = self.base + (gits::BASER.offset() + 8 * number) as u64;
        let free = before & !(GITS_BASER::Valid::SET.value | 3 << GITS_BASER::PageSize.shift);
        mmio::write64(at, free);
        let taken = mmio::read64(at)?;
        mmio::write64(at, before);
        PAGES.get((taken >> GITS_BASER::PageSize.shift & 3) as usize).copied()
    }
}
