// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the emulated GIC does at its limits, one test for each `test=`.
//!
//! | test | what it tries | arguments |
//! |---|---|---|
//! | `split` | EOImode 1, more active interrupts than list registers, levels, registers of interrupts that are not its own | `seed=`, `count=` |
//! | `crowd` | SGIs between all vPEs of a big VM, by target list and to all others | `count=` |
//! | `trigger` | GICD_ICFGR of its one SPI, beside a VM that does the same in the same register | `count=`, `compatible=` |
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod crowd;
mod split;
mod trigger;

use core::fmt;
use rt::mmio::Registers;
use rt::{Machine, Outcome, gic};

rt::entry!(main);

/// GICR_*, from a redistributor's frame on.
const SGI_FRAME: u64 = 0x1_0000;
const REDISTRIBUTOR: u64 = 0x2_0000;

/// Something was not as the architecture has it.
pub struct Failure {
    what: &'static str,
    number: u32,
    got: u64,
    wanted: u64,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, number, got, wanted } = self;
        write!(f, "{what}, {number}: {got:#x} instead of {wanted:#x}")
    }
}

fn check(what: &'static str, number: u32, got: u64, wanted: u64) -> Result<(), Failure> {
    if got == wanted { Ok(()) } else { Err(Failure { what, number, got, wanted }) }
}

/// The emulated frames of this VM.
pub struct Frames {
    distributor: Registers,
    redistributors: Registers,
}

impl Frames {
    fn of(machine: &Machine) -> Option<Self> {
        let (distributor, redistributors) = gic::frames(machine)?;
        Some(Self { distributor, redistributors })
    }

    /// A register of a vPE's SGI frame.
    fn private(&self, vpe: u32, offset: u64) -> u32 {
        self.redistributors.read32(u64::from(vpe) * REDISTRIBUTOR + SGI_FRAME + offset)
    }

    fn set_private(&self, vpe: u32, offset: u64, value: u32) {
        self.redistributors.write32(u64::from(vpe) * REDISTRIBUTOR + SGI_FRAME + offset, value);
    }

    fn set_private_priority(&self, vpe: u32, intid: u32, priority: u8) {
        let offset = u64::from(vpe) * REDISTRIBUTOR + SGI_FRAME + 0x400 + u64::from(intid);
        self.redistributors.write8(offset, priority);
    }

    /// The bit of an SPI in a bank of the distributor.
    fn bit(&self, bank: u64, intid: u32) -> bool {
        self.distributor.read32(bank + 4 * u64::from(intid / 32)) >> (intid % 32) & 1 != 0
    }

    fn set_bit(&self, bank: u64, intid: u32) {
        self.distributor.write32(bank + 4 * u64::from(intid / 32), 1 << (intid % 32));
    }
}

fn main(machine: &'static Machine) -> Outcome {
    let result = match (machine.argument("test"), Frames::of(machine)) {
        (Some("split"), Some(frames)) => split::run(machine, &frames),
        (Some("crowd"), Some(frames)) => crowd::run(machine, &frames),
        (Some("trigger"), Some(frames)) => trigger::run(machine, &frames),
        _ => Err(Failure { what: "no such test", number: 0, got: 0, wanted: 0 }),
    };
    result.into()
}
