// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The guest changes pending or active state: what was handed out is taken back.
//!
//! GICD_ICPENDR, GICD_ISACTIVER, GICD_ICACTIVER and ICC_DIR_EL1 reach this CPU's list registers and
//! parked interrupts at once. Those of other CPUs are told by a kick and follow at their next
//! [`super::flush`]; what their guest has acknowledged until then was on its way. The GICR forms do
//! the same for the SGIs and PPIs of one vPE. IHI 0069H 12.9.7, 12.9.5, 12.11.

use super::{
    bank::place,
    flush::flush,
    follow::{self, Change, held},
    line::signal,
    redistributor::CHANGED,
};
use crate::{Guest, Platform, power::PowerState};
use core::sync::atomic::Ordering::{AcqRel, Acquire};

/// The guest wrote ICC_DIR_EL1, which came here because some active interrupt is in no list
/// register, or may be in another vPE's. Without EOImode there is nothing that it could do.
#[inline(never)]
pub fn deactivate<P: Platform>(guest: &Guest, platform: &mut P, intid: u32) {
    if !platform.splits_end() {
        return;
    }
    let (word, bit) = place(intid);
    match intid {
        0..32 => change_private(guest, platform, guest.number, bit, Change::NotActive),
        32..1020 => clear_active(guest, platform, word, bit & guest.vm.distributor.owned(word)),
        // An LPI has no active state.
        _ => {}
    }
}

/// The guest cleared the pending state of SPIs: takes them from list registers and from what waits.
pub(super) fn clear_pending<P: Platform>(guest: &Guest, platform: &mut P, word: usize, bits: u32) {
    follow::unlist_pending(platform, word, bits);
    let hardware = guest.vm.distributor.hardware_word(word) & bits;
    if hardware != 0 {
        for vpe in guest.vpes {
            let waiting = vpe.redistributor.waiting[word].fetch_and(!hardware, AcqRel) & hardware;
            if waiting != 0 {
                platform.clear_active(word, waiting);
            }
        }
        let (_, handled) = held(guest, platform, word);
        let elsewhere = platform.active(word) & hardware & !handled;
        tell(guest, platform, word, elsewhere, Change::NotPending);
    }
    flush(guest, platform);
}

/// The guest made SPIs active. What is pending stays so, where it came from.
pub(super) fn set_active<P: Platform>(guest: &Guest, platform: &mut P, word: usize, bits: u32) {
    follow::make_active(guest, platform, word, bits);
    flush(guest, platform);
}

/// The guest cleared the active state of SPIs, those in list registers included.
pub(super) fn clear_active<P: Platform>(guest: &Guest, platform: &mut P, word: usize, bits: u32) {
    let hardware = guest.vm.distributor.hardware_word(word) & bits;
    let (pending, active) = held(guest, platform, word);
    follow::unlist_active(guest, platform, word, bits);
    // What is only pending for the guest stays active in the hardware.
    let waiting = guest.vpes.iter().fold(pending & !active, |waiting, vpe| {
        waiting | vpe.redistributor.waiting[word].load(Acquire)
    });
    let physical = hardware & !waiting & platform.active(word);
    let emulated = bits & !hardware;
    // Before the hardware may send it again: what comes then is another one.
    tell(guest, platform, word, (physical | emulated) & !active, Change::NotActive);
    if physical != 0 {
        platform.clear_active(word, physical);
    }
    flush(guest, platform);
}

/// The guest changed the state of SGIs and PPIs of its vPE `number`.
pub(super) fn change_private<P: Platform>(
    guest: &Guest,
    platform: &mut P,
    number: usize,
    bits: u32,
    what: Change,
) {
    if number == guest.number || !P::SEVERAL_VPES {
        what.follow(guest, platform, 0, bits);
        flush(guest, platform);
        return;
    }
    // It is made active when it begins.
    if let Some(vpe) = guest.vpes.get(number)
        && what == Change::Active
    {
        vpe.redistributor.made_active.fetch_or(bits, AcqRel);
        vpe.redistributor.attention.fetch_or(CHANGED, AcqRel);
    }
    tell_one(guest, platform, number, 0, bits, what);
}

/// The vPE of this CPU has the interrupt: it is listed or parked, or waits for a list register.
pub fn holds<P: Platform>(guest: &Guest, platform: &P, intid: u32) -> bool {
    let (word, bit) = place(intid);
    let (pending, active) = held(guest, platform, word);
    let waiting = guest.vpe.redistributor.waiting[word].load(Acquire);
    (pending | active | waiting) & bit != 0
}

/// Other vPEs of the VM may hold these interrupts: each looks at its next flush. One that is off
/// holds none.
fn tell<P: Platform>(guest: &Guest, platform: &mut P, word: usize, bits: u32, what: Change) {
    for number in others::<P>(guest) {
        tell_one(guest, platform, number, word, bits, what);
    }
}

/// The VM's other vPEs.
fn others<P: Platform>(guest: &Guest) -> impl Iterator<Item = usize> {
    let own = guest.number;
    let count = if P::SEVERAL_VPES { guest.vpes.len() } else { 0 };
    (0..count).filter(move |&number| number != own)
}

#[inline(never)]
fn tell_one<P: Platform>(
    guest: &Guest,
    platform: &mut P,
    number: usize,
    word: usize,
    bits: u32,
    what: Change,
) {
    if let Some(vpe) = guest.vpes.get(number)
        && bits != 0
        && vpe.power.state() != PowerState::Off
    {
        what.cell(&vpe.redistributor, word).fetch_or(bits, AcqRel);
        vpe.redistributor.attention.fetch_or(CHANGED, AcqRel);
        signal(guest, platform, number);
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        mmio,
        testing::{GICD, GICR, Machine, PMU, pair, write},
    };

    /// Clearing pending and active state finds interrupts in list registers.
    #[test]
    fn cleared_by_the_guest() {
        let machine = Machine::new(3);
        let [(guest, mut cpu), _] = pair(&machine);
        machine.borrow_mut().lines[40].pending = true;
        crate::vgic::send_sgi(&guest, &mut cpu, 3 << 24 | 1);
        cpu.settle(&guest);
        write(&guest, &mut cpu, GICD + 0x284, 4, 1 << 8);
        write(&guest, &mut cpu, GICR + 0x1_0280, 4, 1 << 3);
        assert!(!machine.borrow().lines[40].active, "given back to the hardware");
        assert_eq!(cpu.acknowledge(), None);
        machine.borrow_mut().lines[40].pending = true;
        cpu.settle(&guest);
        assert_eq!(cpu.acknowledge(), Some(40));
        assert_eq!(mmio::read(&guest, &mut cpu, GICD + 0x304, 4), Some(1 << 8));
        write(&guest, &mut cpu, GICD + 0x384, 4, 1 << 8);
        assert!(!machine.borrow().lines[40].active);
        assert_eq!(mmio::read(&guest, &mut cpu, GICD + 0x304, 4), Some(0));
    }

    /// The same where another vPE of the VM clears: after that vPE's next exit it comes anew, once.
    #[test]
    fn cleared_by_another_vpe() {
        let machine = Machine::new(3);
        let [(first, mut one), (second, mut two)] = pair(&machine);
        write(&first, &mut one, GICD + 0x6000 + 8 * 40, 8, 1);
        machine.borrow_mut().lines[40].pending = true;
        two.settle(&second);
        write(&first, &mut one, GICD + 0x284, 4, 1 << 8);
        assert!(machine.borrow().cpus[1].kicked);
        two.settle(&second);
        assert_eq!((two.acknowledge(), machine.borrow().lines[40].active), (None, false));
        machine.borrow_mut().lines[40].pending = true;
        two.settle(&second);
        assert_eq!(two.acknowledge(), Some(40));
        write(&first, &mut one, GICD + 0x384, 4, 1 << 8);
        assert!(!machine.borrow().lines[40].active);
        two.settle(&second);
        assert!(two.entries().iter().all(|entry| entry.is_free()));
        machine.borrow_mut().lines[40].pending = true;
        two.settle(&second);
        assert_eq!(two.entries()[1].vintid().value(), 40);
    }

    /// SGIs and PPIs of one vPE, cleared by itself and by another.
    #[test]
    fn private_ones() {
        for by in 0..2 {
            let machine = Machine::new(3);
            let mut cpus = pair(&machine);
            let (second, mut two) = cpus[1];
            let frame = GICR + 0x3_0000;
            let (guest, cpu) = &mut cpus[by];
            write(guest, cpu, frame + 0x100, 4, 0xffff_ffff);
            crate::vgic::send_sgi(guest, cpu, 3 << 24 | 2);
            two.settle(&second);
            assert_eq!(two.entries()[1].vintid().value(), 3);
            write(guest, cpu, frame + 0x280, 4, 1 << 3);
            two.settle(&second);
            assert_eq!(two.acknowledge(), None, "SGI 3 was taken back by vPE {by}");

            machine.borrow_mut().cpus[1].pmu.level = true;
            two.settle(&second);
            write(guest, cpu, frame + 0x280, 4, u64::from(u32::MAX));
            two.settle(&second);
            assert_eq!(two.acknowledge(), Some(PMU), "a level stays");
            machine.borrow_mut().cpus[1].pmu.level = false;
            write(guest, cpu, frame + 0x380, 4, u64::from(u32::MAX));
            two.settle(&second);
            assert!(two.entries().iter().all(|entry| entry.is_free()));
            assert!(!machine.borrow().cpus[1].pmu.active, "by vPE {by}");
        }
    }
}
