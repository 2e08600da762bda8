// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A vPE goes off: its list registers are emptied, and nothing that is pending is lost.
//!
//! A pending interrupt returns to the hardware, or to what waits. IHI 0069H 4.1.2, 4.8.

use super::{
    bank::place,
    line::{ended, sample},
    list::used,
    physical,
    redistributor::RECHECK,
};
use crate::{Guest, Platform, bits::Bits, router::Router};
use core::sync::atomic::Ordering::{AcqRel, Relaxed};
use gicv4::list_regs::{ListReg, State};

/// The vPE goes off: its list registers are emptied, and what is parked, and SPIs that wait.
/// Pending interrupts stay so: an SGI waits here, an SPI goes back to where it came from, and from
/// there to wherever the guest routes it.
pub fn turn_off<P: Platform>(guest: &Guest, platform: &mut P) {
    let redistributor = &guest.vpe.redistributor;
    for slot in used(platform) {
        let entry = slot.entry(platform);
        slot.clear(platform);
        put_back(guest, platform, entry);
    }
    redistributor.view.show((0, 0));
    for word in 0..=guest.vm.distributor.last_word() {
        for bit in Bits(redistributor.parked[word].swap(0, Relaxed)) {
            ended(guest, platform, word as u32 * 32 + bit);
        }
        let hardware = physical::hardware(guest, word);
        physical::return_waiting(platform, redistributor, word, hardware);
    }
    redistributor.maintenance.store(0, Relaxed);
    platform.maintenance(0);
    redistributor.attention.fetch_or(RECHECK, AcqRel);
}

fn put_back<P: Platform>(guest: &Guest, platform: &mut P, entry: ListReg) {
    let intid = entry.vintid().value();
    if P::Router::lists(intid) {
        return P::Router::put_back(guest, platform, entry);
    }
    let (word, bit) = place(intid);
    if entry.has_end_notice() {
        sample(guest, platform, intid);
        return;
    }
    match (entry.state(), entry.is_hardware()) {
        (State::Inactive, _) | (State::Active, false) => {}
        (State::Pending, true) => physical::hand_back(platform, intid),
        (_, true) => physical::deactivate(platform, intid),
        (_, false) => {
            guest.vpe.redistributor.waiting[word].fetch_or(bit, AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{GICD, Machine};
    use crate::testing::{pair, write};

    /// A level that fell while its interrupt was switched off does not come when both are back, vPE
    /// and interrupt.
    #[test]
    fn switched_off_while_its_vpe_is_off() {
        let machine = Machine::new(3);
        let [(first, mut one), (second, mut two)] = pair(&machine);
        write(&first, &mut one, GICD + 0x6000 + 8 * 41, 8, 1);
        super::turn_off(&second, &mut two);
        second.vpe.power.turn_off();
        machine.borrow_mut().lines[41].level = true;
        two.settle_off(&second);
        assert!(machine.borrow().lines[41].active, "it waits");
        write(&first, &mut one, GICD + 0x184, 4, 1 << 9);
        machine.borrow_mut().lines[41].level = false;
        write(&first, &mut one, GICD + 0x104, 4, 1 << 9);
        two.settle_off(&second);
        crate::vgic::flush(&second, &mut two);
        assert_eq!((two.acknowledge(), machine.borrow().lines[41].active), (None, false));
    }
}
