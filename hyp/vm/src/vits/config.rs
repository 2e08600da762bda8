// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The guest's own property and pending tables: bytes of its memory, copied when a command or
//! register calls for them.

use super::{batches::Batches, event::VmEvent, wait::Wait};
use crate::{Guest, Platform, mmio::Written};
use gicv4::lpi::LpiConfig;

const FIRST_LPI: u32 = 8192;
/// Bits of an offset in a guest's redistributor: 128 KiB each.
const FRAME_BITS: u32 = 17;
/// PhysicalAddress of GICR_PROPBASER and of GICR_PENDBASER.
const PROPERTY_ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const PENDING_ADDRESS: u64 = 0x000f_ffff_ffff_0000;
const ID_BITS: u64 = 0x1f;
/// GICR_PENDBASER.PTZ.
const PENDING_ZERO: u64 = 1 << 62;

/// How the guest has configured the vLPI; None: it has no table that says so. The table is that of
/// the redistributor that the vLPI goes to or, before its vPE has one, of the vPE that asks.
pub(super) fn of_guest<P: Platform>(
    guest: &Guest,
    platform: &P,
    number: u16,
    vintid: u32,
) -> Option<LpiConfig> {
    let tables = |number: usize| {
        let (table, _, on) = guest.vpes.get(number)?.redistributor.lpi_tables();
        on.then_some(table)
    };
    let table = tables(usize::from(number)).or_else(|| tables(guest.number))?;
    let index = vintid.checked_sub(FIRST_LPI)?;
    if u64::from(vintid) >> ((table & ID_BITS) + 1) != 0 {
        return None;
    }
    let ipa = (table & PROPERTY_ADDRESS).checked_add(u64::from(index))?;
    let byte = platform.read_byte(guest.memory(ipa, 1)?);
    Some(LpiConfig::from_byte(byte))
}

/// The guest is about to store `value` to a register of its redistributors: where that sets
/// GICR_CTLR.EnableLPIs, what the pending table of that redistributor holds becomes pending before,
/// for vLPIs that an event of the VM's is (IHI 0069H 6.1.2). Answers other than Done: the store
/// waits.
pub fn before_enabling_lpis<P: Platform>(
    guest: &Guest,
    platform: &mut P,
    offset: u64,
    value: u64,
) -> Written {
    const ENABLE_LPIS: u64 = 1;
    let number = (offset >> FRAME_BITS) as usize;
    let ctlr = offset & ((1 << FRAME_BITS) - 1) == 0;
    let Some(vpe) = guest.vpes.get(number).filter(|_| ctlr && value & ENABLE_LPIS != 0) else {
        return Written::Done;
    };
    let (_, table, on) = vpe.redistributor.lpi_tables();
    if on || table & PENDING_ZERO != 0 || !guest.vm.distributor.lpis() {
        return Written::Done;
    }
    // While another vPE works on the queue there is no saying where an event is.
    let Some(_turn) = guest.vm.its.turn() else { return Written::Again };
    let mut batches = Batches::new(guest, platform);
    let read = batches.each(0..guest.view().end(), &vpe.pending_read, |batches, own| {
        if pending(batches, own, number, table).is_some() { batches.ring(own) } else { Ok(()) }
    });
    match read {
        Ok(()) => Written::Done,
        Err(wait) => Wait::into(wait),
    }
}

/// The pending table of the redistributor `number` holds an event.
fn pending<P: Platform>(
    batches: &Batches<'_, P>,
    own: &VmEvent,
    number: usize,
    table: u64,
) -> Option<()> {
    let vintid = own.vintid().filter(|_| usize::from(own.vpe()) == number)?;
    let ipa = (table & PENDING_ADDRESS).checked_add(u64::from(vintid >> 3))?;
    let byte = batches.platform.read_byte(batches.guest.memory(ipa, 1)?);
    (byte & 1 << (vintid & 7) != 0).then_some(())
}
