// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The vPE table of GICv4.1's redistributors (GICR_VPROPBASER).
//!
//! Where GITS_TYPER.SVPET is not 0 it is the one that the ITS has in its GITS_BASERn; otherwise the
//! redistributors have one of their own. [`install`] tells all of them, once, when they are awake
//! and nobody is resident, and before the first VMAPP (IHI 0069H 5.2.1, 12.11.34):
//!
//! 1. Compare the size of an entry, which is read-only at the ITS and at each redistributor.
//! 2. A table of their own: find a page size that the first redistributor has, and promise it a
//!    table of zeros (Z). The others get the same without the promise: it is in use then.
//! 3. Read back.
//!
//! One table for all: redistributors that do not share one (GICR_TYPER.CommonLPIAff) are refused by
//! [`crate::redist::Redist::verify`]. Not supported: two-level tables.

use crate::error::Error;
use crate::error::Expected::{AtMost, Exactly};
use crate::frame::{Frame, Its as ItsBlock, VirtualLpis};
use crate::given::Base;
use crate::its::{Its, Table};
use crate::layout::{self, PageSize, Room, TableKind};
use crate::regs::gits::{GITS_BASER, GITS_TYPER};
use crate::regs::vlpi::{self, GICR_VPROPBASER_V41 as VPROPBASER};
use tock_registers::LocalRegisterCopy;

/// What GICR_VPROPBASER must read back. Z is about the write, and cacheability a hint.
const FIELDS: u64 = VPROPBASER::Size::SET.value
    | VPROPBASER::Shareability::SET.value
    | VPROPBASER::PhysicalAddress::SET.value
    | VPROPBASER::PageSize::SET.value
    | VPROPBASER::Indirect::SET.value
    | VPROPBASER::EntrySize::SET.value
    | VPROPBASER::Valid::SET.value;
const NAME: &str = "GICR_VPROPBASER";

/// Gives every redistributor the vPE table. `own`: the one that they have where the ITS does not
/// share its own.
pub fn install<F, V>(
    its: &Its<F>,
    own: Option<Table>,
    redistributors: impl IntoIterator<Item = V>,
) -> Result<(), Error>
where
    F: Frame<Block = ItsBlock>,
    V: Frame<Block = VirtualLpis>,
{
    let mut redistributors = redistributors.into_iter();
    let shared = its.typer().read(GITS_TYPER::SVPET) != 0;
    let value = match (shared, own) {
        (true, _) => {
            let Some(table) = its.table(TableKind::Vpes) else {
                return Err(Error::Unsupported { what: "vPEs: no GITS_BASERn" });
            };
            let Ok(value) = layout::vpropbaser_of_its(table.get()) else {
                return Err(Error::Unsupported { what: "the ITS's vPE table at redistributors" });
            };
            value
        }
        (false, Some(table)) => match redistributors.next() {
            Some(first) => begin(&first, &table)?,
            None => return Ok(()),
        },
        (false, None) => {
            return Err(Error::Unsupported { what: "vPE tables of redistributors of their own" });
        }
    };
    redistributors.try_for_each(|frame| write(&frame, value))
}

/// A table of their own, at the first redistributor.
fn begin<V: Frame<Block = VirtualLpis>>(frame: &V, table: &Table) -> Result<u64, Error> {
    let entry = entry_bytes(frame);
    AtMost(table.entry_bytes.into()).check(NAME, "EntrySize, bytes", entry)?;
    for page in [PageSize::Kib64, PageSize::Kib16, PageSize::Kib4] {
        let (address, bytes) = (table.memory.address(), table.memory.bytes());
        if !bytes.is_multiple_of(page.bytes()) {
            continue;
        }
        let room = Room { bytes, align: page.bytes() };
        let made = |zero| {
            layout::vpropbaser_v41(address, room, entry, page, false, zero, table.attributes)
        };
        let (Ok(first), Ok(others)) = (made(true), made(false)) else { continue };
        frame.write(vlpi::VPROPBASER_V41, Base::known(first));
        let found = frame.fields(vlpi::VPROPBASER_V41);
        if found.read(VPROPBASER::PageSize) == page.field() {
            compare(others, found.get())?;
            return Ok(others);
        }
        frame.write(vlpi::VPROPBASER_V41, Base::known(0));
    }
    let only = frame.fields(vlpi::VPROPBASER_V41).read(VPROPBASER::PageSize);
    let found = PageSize::from_field(only).map_or(0, PageSize::bytes);
    AtMost(table.memory.bytes()).check(NAME, "bytes of a page", found)?;
    Err(Error::Unsupported { what: "vPE tables of redistributors: page size" })
}

fn write<V: Frame<Block = VirtualLpis>>(frame: &V, value: u64) -> Result<(), Error> {
    let wanted = LocalRegisterCopy::<u64, VPROPBASER::Register>::new(value);
    let planned = 8 * (wanted.read(VPROPBASER::EntrySize) + 1);
    Exactly(planned).check(NAME, "EntrySize, bytes", entry_bytes(frame))?;
    frame.write(vlpi::VPROPBASER_V41, Base::known(value));
    compare(value, frame.read(vlpi::VPROPBASER_V41))
}

fn compare(value: u64, found: u64) -> Result<(), Error> {
    if (value ^ found) & FIELDS == 0 {
        return Ok(());
    }
    Exactly(value).check(NAME, "readback", found)
}

fn entry_bytes<V: Frame<Block = VirtualLpis>>(frame: &V) -> u64 {
    8 * (frame.fields(vlpi::VPROPBASER_V41).read(VPROPBASER::EntrySize) + 1)
}

const _: () = {
    // A base register's fields have the same places at the ITS and at the redistributors.
    assert!(GITS_BASER::Shareability::SET.value == VPROPBASER::Shareability::SET.value);
};
