//! Taking back what was handed out: the guest clears pending or active state of its interrupts.
//!
//! GICD_ICPENDR, GICD_ICACTIVER and their GICR forms reach this CPU's list registers and parked interrupts; those of another
//! CPU keep what they hold, as an interrupt that was on its way. IHI 0069H 12.9.7, 12.9.5.

use super::{
    TIMER,
    inject::{ended, flush, sample},
    place,
};
use crate::{Guest, Platform};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use gicv4::list_regs::{ListReg, State};

/// Pending and active bits of a word in this CPU's list registers.
pub(super) fn listed<P: Platform>(platform: &P, word: usize) -> (u32, u32) {
    (0..platform.count())
        .fold((0, 0), |sum, index| add_listed(sum, platform.read(index).bits(), word))
}

pub(super) fn add_listed((pending, active): (u32, u32), bits: u64, word: usize) -> (u32, u32) {
    let entry = ListReg::from_bits(bits);
    let (entry_word, bit) = place(entry.vintid().value());
    if entry_word != word {
        return (pending, active);
    }
    match entry.state() {
        State::Inactive => (pending, active),
        State::Pending => (pending | bit, active),
        State::Active => (pending, active | bit),
        State::PendingActive => (pending | bit, active | bit),
    }
}

/// The guest cleared the pending state of interrupts: takes them from this CPU's list registers and from what waits.
pub(super) fn withdraw_pending<P: Platform>(
    guest: &Guest,
    platform: &mut P,
    word: usize,
    bits: u32,
) {
    for index in 0..platform.count() {
        let entry = platform.read(index);
        let intid = entry.vintid().value();
        let (entry_word, bit) = place(intid);
        if entry_word != word || bits & bit == 0 {
            continue;
        }
        match entry.state() {
            State::PendingActive => platform.write(index, entry.with_state(State::Active)),
            // The timer's pending state is the timer's own.
            State::Pending if intid != TIMER => {
                platform.write(index, ListReg::EMPTY);
                if entry.is_hardware() {
                    platform.clear_active(word, bit);
                }
            }
            _ => {}
        }
    }
    for cell in &guest.vpe.redistributor.parked {
        let entry = ListReg::from_bits(cell.load(Relaxed));
        let (entry_word, bit) = place(entry.vintid().value());
        if entry_word == word && bits & bit != 0 && entry.state() == State::PendingActive {
            cell.store(entry.with_state(State::Active).bits(), Relaxed);
        }
    }
    let hardware = guest.vm.distributor.hardware_word(word) & bits;
    if hardware != 0 {
        for vpe in guest.vpes {
            let waiting =
                vpe.redistributor.waiting[word & 31].fetch_and(!hardware, AcqRel) & hardware;
            if waiting != 0 {
                platform.clear_active(word, waiting);
            }
        }
    }
    flush(guest, platform);
}

/// The guest cleared the active state of interrupts, those in this CPU's list registers included.
pub(super) fn withdraw_active<P: Platform>(
    guest: &Guest,
    platform: &mut P,
    word: usize,
    bits: u32,
) {
    let mut physical = guest.vm.distributor.hardware_word(word) & bits;
    for vpe in guest.vpes {
        // Waiting here means physically active, but not active for the guest.
        physical &= !vpe.redistributor.waiting[word & 31].load(Acquire);
    }
    for index in 0..platform.count() {
        let entry = platform.read(index);
        let intid = entry.vintid().value();
        let (entry_word, bit) = place(intid);
        if entry_word != word || bits & bit == 0 {
            continue;
        }
        match entry.state() {
            State::Pending => physical &= !bit,
            State::PendingActive => platform.write(index, entry.with_state(State::Pending)),
            State::Active => {
                platform.write(index, ListReg::EMPTY);
                if intid == TIMER {
                    platform.deactivate(intid);
                } else if entry.has_end_notice() {
                    sample(guest, platform, intid);
                }
            }
            State::Inactive => {}
        }
    }
    for cell in &guest.vpe.redistributor.parked {
        let entry = ListReg::from_bits(cell.load(Relaxed));
        let (entry_word, bit) = place(entry.vintid().value());
        if !entry.is_free() && entry_word == word && bits & bit != 0 {
            cell.store(0, Relaxed);
            physical &= !bit;
            ended(guest, platform, entry);
        }
    }
    if physical != 0 {
        platform.clear_active(word, physical);
    }
    flush(guest, platform);
}

#[cfg(test)]
mod tests {
    use crate::{
        fake::{Cpu, GICD, GICR, Machine, guests},
        mmio,
    };

    /// Clearing pending and active state finds interrupts in list registers.
    #[test]
    fn cleared_by_the_guest() {
        let machine = Machine::new(3);
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, ..] = guests();
        for (ipa, value) in [(GICD, 2), (GICR + 0x1_0100, 0xffff_ffff), (GICD + 0x104, 0xffff_ffff)]
        {
            assert_eq!(mmio::write(&guest, &mut cpu, ipa, 4, value), mmio::Written::Done);
        }
        machine.borrow_mut().lines[40].pending = true;
        crate::vgic::send_sgi(&guest, &mut cpu, 3 << 24 | 1);
        cpu.settle(&guest);
        assert_eq!(mmio::write(&guest, &mut cpu, GICD + 0x284, 4, 1 << 8), mmio::Written::Done);
        assert_eq!(mmio::write(&guest, &mut cpu, GICR + 0x1_0280, 4, 1 << 3), mmio::Written::Done);
        assert!(!machine.borrow().lines[40].active, "given back to the hardware");
        assert_eq!(cpu.acknowledge(), None);
        machine.borrow_mut().lines[40].pending = true;
        cpu.settle(&guest);
        assert_eq!(cpu.acknowledge(), Some(40));
        assert_eq!(mmio::read(&guest, &mut cpu, GICD + 0x304, 4), Some(1 << 8));
        assert_eq!(mmio::write(&guest, &mut cpu, GICD + 0x384, 4, 1 << 8), mmio::Written::Done);
        assert!(!machine.borrow().lines[40].active);
        assert_eq!(mmio::read(&guest, &mut cpu, GICD + 0x304, 4), Some(0));
    }
}
