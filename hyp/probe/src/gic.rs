// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The distributor, the redistributors of all CPUs, and `[gic]`.
//!
//! IHI 0069H 12.9, 12.11. A region of redistributors ends behind the frame with GICR_TYPER.Last, or
//! where nothing answers as a redistributor.

use crate::board::BOARD;
use crate::cpu;
use crate::its::Its;
use crate::line::Out;
use crate::mmio::Probed;
use gicv4::frame::{Distributor, Frame, Redistributor};
use gicv4::redist;
use gicv4::regs::gicd::{self, GICD_CTLR, GICD_TYPER, PIDR2};
use gicv4::regs::gicr::{self, GICR_TYPER};
use vm::text::Text;

/// CPUs that can be told apart here.
pub const MOST: usize = 256;
/// SPIs end below INTID 1020.
const SPIS: u64 = 988;

/// One redistributor.
#[derive(Clone, Copy)]
pub struct Found {
    pub base: u64,
    pub typer: u64,
}

impl Found {
    fn has(self, bit: u32) -> bool {
        self.typer >> bit & 1 != 0
    }

    fn virtual_lpis(self) -> bool {
        self.has(GICR_TYPER::VLPIS.shift as u32)
    }

    /// In the form of MPIDR_EL1.
    pub fn mpidr(self) -> u64 {
        let affinity = self.typer >> 32;
        affinity & 0xff_ffff | affinity >> 24 << 32
    }

    pub fn processor(self) -> u16 {
        (self.typer >> GICR_TYPER::ProcessorNumber.shift) as u16
    }
}

/// All redistributors, in the order of the regions.
pub struct Redistributors {
    found: [Found; MOST],
    count: usize,
}

impl Redistributors {
    pub fn find(out: &mut Out) -> Self {
        let mut all = Self { found: [Found { base: 0, typer: 0 }; MOST], count: 0 };
        for region in BOARD.regions {
            let before = all.count;
            all.region(region.base, region.bytes);
            if all.count == before {
                out.silent(region.base, "gic.redistributors base or more: no GICR there", "");
            }
        }
        all
    }

    fn region(&mut self, base: u64, bytes: u64) {
        let mut at = base;
        while at < base + bytes {
            let frame = Probed::<Redistributor>::new(at);
            let revision = frame.read(gicr::PIDR2) >> 4 & 0xf;
            let typer = frame.read(gicr::TYPER);
            let Some(place) = self.found.get_mut(self.count) else { return };
            if frame.is_silent() || !(3..=4).contains(&revision) {
                return;
            }
            let found = Found { base: at, typer };
            *place = found;
            self.count += 1;
            if found.has(GICR_TYPER::Last.shift as u32) {
                return;
            }
            at += redist::stride(found.virtual_lpis()) as u64;
        }
    }

    pub fn all(&self) -> impl Iterator<Item = Found> {
        self.found.iter().copied().take(self.count)
    }

    /// The calling CPU's.
    pub fn own(&self) -> Option<Found> {
        self.all().find(|one| one.mpidr() == arch::sysreg::affinity())
    }
}

/// `[gic]` and `[gic.its]`.
pub fn write(out: &mut Out, found: &Redistributors, its: Option<&Its>) {
    out.text("\n[gic]\n");
    let frame = Probed::<Distributor>::new(BOARD.distributor);
    let revision = frame.fields(gicd::PIDR2).read(PIDR2::ArchRev);
    if frame.is_silent() || !(3..=4).contains(&revision) {
        out.silent(BOARD.distributor, "gic.distributor base: no GICD there", "");
        return;
    }
    let typer = frame.fields(gicd::TYPER);
    out.register("GICD_TYPER", typer.get().into());
    out.register("GICD_IIDR", frame.read(gicd::IIDR).into());
    out.register("GICD_PIDR2", frame.read(gicd::PIDR2).into());
    let control = frame.fields(gicd::CTLR);
    out.register("GICD_CTLR", control.get().into());
    out.text(match control.is_set(GICD_CTLR::DS) {
        true => "# one Security state (GICD_CTLR.DS = 1)\n",
        false => "# two Security states (GICD_CTLR.DS = 0)\n",
    });
    let first = found.all().next();
    let virtual_lpis = first.is_some_and(Found::virtual_lpis);
    let late = first.is_some_and(|one| one.has(GICR_TYPER::RVPEID.shift as u32));
    if late {
        out.register("GICD_TYPER2", frame.read(gicd::TYPER2).into());
    }
    let version = match its {
        Some(its) if virtual_lpis && its.virtual_lpis() => {
            if late && its.is_late() {
                "v4.1"
            } else {
                "v4.0"
            }
        }
        // Without an ITS nothing is injected, whatever the redistributors have.
        None if virtual_lpis => {
            if late {
                "v4.1"
            } else {
                "v4.0"
            }
        }
        _ => "v3",
    };
    out.word("version", version);
    let lines = u64::from(typer.read(GICD_TYPER::ITLinesNumber));
    out.number("spis", (32 * lines).min(SPIS));
    if cpu::list_registers() != 0 {
        out.number("list_registers", cpu::list_registers());
    }
    if let Some(one) = first {
        out.text("redistributors = { stride = ");
        out.size(redist::stride(one.virtual_lpis()) as u64);
        out.text(" }\n");
    }
    if let Some(its) = its {
        its.write(out);
    }
}
