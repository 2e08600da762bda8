//! The guest's own property and pending tables: bytes of its memory, copied when a command or register calls for them.

use super::{event::Own, hardware::Hardware};
use crate::{Guest, Platform};
use gicv4::lpi::LpiConfig;

const FIRST_LPI: u32 = 8192;
/// PhysicalAddress of GICR_PROPBASER and of GICR_PENDBASER.
const PROPERTY_ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const PENDING_ADDRESS: u64 = 0x000f_ffff_ffff_0000;
const ID_BITS: u64 = 0x1f;
/// GICR_PENDBASER.PTZ.
const PENDING_ZERO: u64 = 1 << 62;

/// How the guest has configured the vLPI; None: it has no table that says so. The table is that of the redistributor
/// that the vLPI goes to or, before its vPE has one, of the vPE that asks.
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

/// The guest's redistributor `number` gets its LPI tables: what its pending table holds becomes pending, for vLPIs that an event of the
/// VM's is (IHI 0069H 6.1.2).
pub fn enable_lpis<P: Platform>(guest: &Guest, platform: &mut P, number: usize) {
    let Some(vpe) = guest.vpes.get(number) else { return };
    let (_, table, _) = vpe.redistributor.lpi_tables();
    if table & PENDING_ZERO != 0 {
        return;
    }
    // While another vPE works on the queue there is no saying where an event is: it comes as if it had not been pending.
    let Some(_turn) = guest.vm.its.turn() else { return };
    // Who switches LPIs on and off for ever finds nothing pending, either.
    if !guest.vm.its.allowance.left(platform.ticks(), guest.plan.board.timer.frequency) {
        return;
    }
    let pending = |own: &Own, platform: &P| {
        let vintid = own.vintid().filter(|_| usize::from(own.vpe()) == number)?;
        let ipa = (table & PENDING_ADDRESS).checked_add(u64::from(vintid >> 3))?;
        let byte = platform.read_byte(guest.memory(ipa, 1)?);
        (byte & 1 << (vintid & 7) != 0).then_some(())
    };
    for own in guest.view().events() {
        if pending(&own, platform).is_some() {
            let counters = &guest.vpe.counters;
            Hardware { view: guest.view(), platform: &mut *platform, counters }.ring(&own);
            guest.vm.its.allowance.spend(1);
        }
    }
}
