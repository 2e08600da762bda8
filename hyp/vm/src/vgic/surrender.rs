//! Giving back what a vPE cannot take: a pending interrupt returns to the hardware, or to what waits.
//!
//! An SPI that was routed elsewhere or switched off, and everything of a vPE that goes off. IHI 0069H 4.1.2, 4.8.

use super::{
    inject::{ended, sample},
    place,
    redistributor::{RECHECK, Redistributor},
    view,
};
use crate::{Guest, Platform, bits::Bits};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use gicv4::list_regs::{ListReg, State};

/// A pending interrupt of the hardware's returns there: inactive, and pending again if its edge would be lost.
pub(super) fn give_back<P: Platform>(platform: &mut P, intid: u32) {
    let (word, bit) = place(intid);
    if word != 0 && is_edge(platform, intid) {
        platform.set_pending(word, bit);
    }
    deactivate(platform, intid);
}

/// An SPI of the hardware's is edge-triggered.
pub(super) fn is_edge<P: Platform>(platform: &P, intid: u32) -> bool {
    platform.config((intid >> 4) as usize) >> ((intid & 15) * 2 + 1) & 1 != 0
}

/// The same for those of `bits`, which are the hardware's, that wait for a list register of this redistributor's vPE.
pub(super) fn return_waiting<P: Platform>(
    platform: &mut P,
    redistributor: &Redistributor,
    word: usize,
    bits: u32,
) {
    if redistributor.waiting[word].load(Acquire) & bits == 0 {
        return;
    }
    for bit in Bits(redistributor.waiting[word].fetch_and(!bits, SeqCst) & bits) {
        give_back(platform, word as u32 * 32 + bit);
    }
}

/// An interrupt of the hardware's that this CPU holds is inactive there. A PPI is this CPU's own.
pub(super) fn deactivate<P: Platform>(platform: &mut P, intid: u32) {
    let (word, bit) = place(intid);
    if word == 0 {
        platform.deactivate(intid);
    } else {
        platform.clear_active(word, bit);
    }
}

/// The vPE goes off: its list registers are emptied, and what is parked, and SPIs that wait. Pending interrupts stay so: an
/// SGI waits here, an SPI goes back to where it came from, and from there to wherever the guest routes it.
pub fn surrender<P: Platform>(guest: &Guest, platform: &mut P) {
    let redistributor = &guest.vpe.redistributor;
    for index in Bits(platform.used()) {
        let entry = platform.read(index as usize);
        platform.write(index as usize, ListReg::EMPTY);
        put_back(guest, platform, entry);
    }
    view::gone(redistributor);
    for word in 0..=guest.vm.distributor.last_word() {
        for bit in Bits(redistributor.parked[word].swap(0, Relaxed)) {
            ended(guest, platform, word as u32 * 32 + bit);
        }
        let hardware = hardware(guest, word);
        return_waiting(platform, redistributor, word, hardware);
    }
    redistributor.maintenance.store(0, Relaxed);
    platform.maintenance(0);
    redistributor.attention.fetch_or(RECHECK, AcqRel);
}

fn put_back<P: Platform>(guest: &Guest, platform: &mut P, entry: ListReg) {
    let intid = entry.vintid().value();
    let (word, bit) = place(intid);
    if entry.has_end_notice() {
        sample(guest, platform, intid);
        return;
    }
    match (entry.state(), entry.is_hardware()) {
        (State::Inactive, _) | (State::Active, false) => {}
        (State::Pending, true) => give_back(platform, intid),
        (_, true) => deactivate(platform, intid),
        (_, false) => {
            guest.vpe.redistributor.waiting[word].fetch_or(bit, AcqRel);
        }
    }
}

/// Those of a word's interrupts that are the hardware's: PPIs and SPIs of the VM's.
pub(super) fn hardware(guest: &Guest, word: usize) -> u32 {
    if word == 0 { guest.config.ppis } else { guest.vm.distributor.hardware_word(word) }
}

#[cfg(test)]
mod tests {
    use crate::testing::{GICD, Machine};
    use crate::vgic::withdraw::tests::{pair, write};

    /// A level that fell while its interrupt was switched off does not come when both are back, vPE and interrupt.
    #[test]
    fn switched_off_while_its_vpe_is_off() {
        let machine = Machine::new(3);
        let [(first, mut one), (second, mut two)] = pair(&machine);
        write(&first, &mut one, GICD + 0x6000 + 8 * 41, 8, 1);
        super::surrender(&second, &mut two);
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
