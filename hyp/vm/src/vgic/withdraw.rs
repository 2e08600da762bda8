//! Taking back what was handed out: the guest clears pending or active state of its interrupts.
//!
//! GICD_ICPENDR and GICD_ICACTIVER reach this CPU's list registers and parked interrupts at once. Those of other CPUs are
//! told by a kick and follow at their next [`flush`]; what their guest has acknowledged until then was on its way. The
//! GICR forms do the same for the SGIs and PPIs of one vPE. IHI 0069H 12.9.7, 12.9.5, 12.11.

use super::{
    inject::{flush, notify, sample},
    place,
    redistributor::{CLEARED, Redistributor},
};
use crate::{Guest, Platform, power::State as Power};
use core::sync::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use gicv4::list_regs::{ListReg, State};

/// State that a guest can clear.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Clear {
    Pending,
    Active,
}

impl Clear {
    /// Where a redistributor notes what another CPU cleared.
    fn cells(self, redistributor: &Redistributor) -> &[AtomicU32; 32] {
        match self {
            Clear::Pending => &redistributor.cleared_pending,
            Clear::Active => &redistributor.cleared_active,
        }
    }

    /// This CPU's list registers and parked interrupts follow. The physical state of SPIs is the caller's.
    fn unlist<P: Platform>(self, guest: &Guest, platform: &mut P, word: usize, bits: u32) {
        match self {
            Clear::Pending => unlist_pending(guest, platform, word, bits),
            Clear::Active => unlist_active(guest, platform, word, bits),
        }
    }
}

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

/// The guest cleared the pending state of SPIs: takes them from list registers and from what waits.
pub(super) fn clear_pending<P: Platform>(guest: &Guest, platform: &mut P, word: usize, bits: u32) {
    unlist_pending(guest, platform, word, bits);
    let hardware = guest.vm.distributor.hardware_word(word) & bits;
    if hardware != 0 {
        for vpe in guest.vpes {
            let waiting =
                vpe.redistributor.waiting[word & 31].fetch_and(!hardware, AcqRel) & hardware;
            if waiting != 0 {
                platform.clear_active(word, waiting);
            }
        }
        let (_, handled) = held(guest, platform, word);
        let elsewhere = platform.active(word) & hardware & !handled;
        tell(guest, platform, word, elsewhere, Clear::Pending);
    }
    flush(guest, platform);
}

/// The guest cleared the active state of SPIs, those in list registers included.
pub(super) fn clear_active<P: Platform>(guest: &Guest, platform: &mut P, word: usize, bits: u32) {
    let hardware = guest.vm.distributor.hardware_word(word) & bits;
    let (pending, active) = held(guest, platform, word);
    unlist_active(guest, platform, word, bits);
    // What is only pending for the guest stays active in the hardware.
    let waiting = guest.vpes.iter().fold(pending & !active, |waiting, vpe| {
        waiting | vpe.redistributor.waiting[word & 31].load(Acquire)
    });
    let physical = hardware & !waiting & platform.active(word);
    if physical != 0 {
        platform.clear_active(word, physical);
    }
    let emulated = bits & !hardware;
    let elsewhere = (physical | emulated) & !active;
    tell(guest, platform, word, elsewhere, Clear::Active);
    flush(guest, platform);
}

/// The guest cleared state of SGIs and PPIs of its vPE `number`.
pub(super) fn clear_private<P: Platform>(
    guest: &Guest,
    platform: &mut P,
    number: usize,
    bits: u32,
    what: Clear,
) {
    if number == guest.number {
        what.unlist(guest, platform, 0, bits);
        flush(guest, platform);
    } else {
        tell_one(guest, platform, number, 0, bits, what);
    }
}

/// The vPE of this CPU has the interrupt: it is listed or parked, or waits for a list register.
pub fn holds<P: Platform>(guest: &Guest, platform: &P, intid: u32) -> bool {
    let (word, bit) = place(intid);
    let (pending, active) = held(guest, platform, word);
    let waiting = guest.vpe.redistributor.waiting[word].load(Acquire);
    (pending | active | waiting) & bit != 0
}

/// Pending and active bits of a word in this CPU's list registers and among what is parked.
fn held<P: Platform>(guest: &Guest, platform: &P, word: usize) -> (u32, u32) {
    let (pending, active) = listed(platform, word);
    let parked = guest.vpe.redistributor.parked_word(word);
    (pending | parked.0, active | parked.1)
}

/// Other vPEs of the VM may hold these interrupts: each looks at its next flush. One that is off holds none.
fn tell<P: Platform>(guest: &Guest, platform: &mut P, word: usize, bits: u32, what: Clear) {
    for number in (0..guest.vpes.len()).filter(|&number| number != guest.number) {
        tell_one(guest, platform, number, word, bits, what);
    }
}

#[inline(never)]
fn tell_one<P: Platform>(
    guest: &Guest,
    platform: &mut P,
    number: usize,
    word: usize,
    bits: u32,
    what: Clear,
) {
    if let Some(vpe) = guest.vpes.get(number)
        && bits != 0
        && vpe.power.state() != Power::Off
    {
        what.cells(&vpe.redistributor)[word & 31].fetch_or(bits, AcqRel);
        vpe.redistributor.attention.fetch_or(CLEARED, AcqRel);
        notify(guest, platform, number);
    }
}

/// Follows what other CPUs cleared.
pub(super) fn take_cleared<P: Platform>(guest: &Guest, platform: &mut P) {
    for word in 0..=guest.vm.distributor.last_word() {
        // Active SPIs are inactive in the hardware already, and may be active anew.
        for what in [Clear::Pending, Clear::Active] {
            let bits = what.cells(&guest.vpe.redistributor)[word & 31].swap(0, AcqRel);
            if bits != 0 {
                what.unlist(guest, platform, word, bits);
            }
        }
    }
}

/// Interrupts of a word in this CPU's list registers and among what is parked are not pending any more.
fn unlist_pending<P: Platform>(guest: &Guest, platform: &mut P, word: usize, bits: u32) {
    for index in 0..platform.count() {
        let entry = platform.read(index);
        let intid = entry.vintid().value();
        let (entry_word, bit) = place(intid);
        if entry_word != word || bits & bit == 0 {
            continue;
        }
        match entry.state() {
            State::PendingActive => platform.write(index, entry.with_state(State::Active)),
            // The pending state of a PPI is its line's.
            State::Pending if word != 0 || !entry.is_hardware() => {
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
}

/// Interrupts of a word in this CPU's list registers and among what is parked are not active any more.
fn unlist_active<P: Platform>(guest: &Guest, platform: &mut P, word: usize, bits: u32) {
    for index in 0..platform.count() {
        let entry = platform.read(index);
        let intid = entry.vintid().value();
        let (entry_word, bit) = place(intid);
        if entry_word != word || bits & bit == 0 {
            continue;
        }
        match entry.state() {
            State::PendingActive => platform.write(index, entry.with_state(State::Pending)),
            State::Active => {
                platform.write(index, ListReg::EMPTY);
                if word == 0 && entry.is_hardware() {
                    platform.deactivate(intid);
                } else if entry.has_end_notice() {
                    sample(guest, platform, intid);
                }
            }
            State::Pending | State::Inactive => {}
        }
    }
    for cell in &guest.vpe.redistributor.parked {
        let entry = ListReg::from_bits(cell.load(Relaxed));
        let intid = entry.vintid().value();
        let (entry_word, bit) = place(intid);
        if entry.is_free() || entry_word != word || bits & bit == 0 {
            continue;
        }
        cell.store(0, Relaxed);
        if word == 0 && entry.is_hardware() {
            platform.deactivate(intid);
        } else if entry.has_end_notice() {
            sample(guest, platform, intid);
        } else if entry.state() == State::PendingActive {
            guest.vpe.redistributor.waiting[word & 31].fetch_or(bit, AcqRel);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use crate::{
        Guest,
        fake::{Cpu, GICD, GICR, Machine, PMU, guests},
        mmio,
        power::Start,
    };
    use core::cell::RefCell;

    pub fn write(guest: &Guest, cpu: &mut Cpu, ipa: u64, bytes: u32, value: u64) {
        assert_eq!(mmio::write(guest, cpu, ipa, bytes, value), mmio::Written::Done);
    }

    /// Both vPEs on, SGIs and word 1 enabled.
    pub fn pair(machine: &RefCell<Machine>) -> [(Guest, Cpu<'_>); 2] {
        let [first, second, _] = guests();
        let mut cpu = Cpu { machine, index: 0 };
        for guest in [first, second] {
            let _ = guest.vpe.power.turn_on(Start { entry: 0, context: 0 });
            guest.vpe.power.take_start();
        }
        for (ipa, value) in [(GICD, 2), (GICR + 0x1_0100, 0xffff_ffff), (GICD + 0x104, 0xffff_ffff)]
        {
            write(&first, &mut cpu, ipa, 4, value);
        }
        [(first, cpu), (second, Cpu { machine, index: 1 })]
    }

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
