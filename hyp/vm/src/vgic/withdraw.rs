//! The guest changes pending or active state: what was handed out is taken back.
//!
//! GICD_ICPENDR, GICD_ISACTIVER, GICD_ICACTIVER and ICC_DIR_EL1 reach this CPU's list registers and parked interrupts at once.
//! Those of other CPUs are told by a kick and follow at their next [`flush`]; what their guest has acknowledged until then was
//! on its way. The GICR forms do the same for the SGIs and PPIs of one vPE. IHI 0069H 12.9.7, 12.9.5, 12.11.

use super::{
    inject::{ended, flush, notify, sample},
    place,
    redistributor::{CHANGED, Redistributor},
    surrender,
};
use crate::{Guest, Platform, bits::Bits, power::State as Power};
use core::sync::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use gicv4::list_regs::{ListReg, State};

/// What a guest can do to the state of an interrupt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    NotPending,
    NotActive,
    /// Of SGIs and PPIs alone: an SPI's active state is the distributor's.
    Active,
}

impl Change {
    /// Where a redistributor notes what another CPU changed.
    fn cell(self, redistributor: &Redistributor, word: usize) -> &AtomicU32 {
        match self {
            Change::NotPending => &redistributor.cleared_pending[word],
            Change::NotActive => &redistributor.cleared_active[word],
            Change::Active => &redistributor.made_active,
        }
    }

    /// This CPU's list registers and parked interrupts follow. The physical state of SPIs is the caller's.
    fn follow<P: Platform>(self, guest: &Guest, platform: &mut P, word: usize, bits: u32) {
        match self {
            Change::NotPending => unlist_pending(platform, word, bits),
            Change::NotActive => unlist_active(guest, platform, word, bits),
            Change::Active => make_active(guest, platform, word, bits),
        }
    }
}

/// Pending and active bits of a word in this CPU's list registers.
pub(super) fn listed<P: Platform>(platform: &P, word: usize) -> (u32, u32) {
    Bits(platform.used())
        .fold((0, 0), |sum, index| add_listed(sum, platform.read(index as usize), word))
}

fn add_listed((pending, active): (u32, u32), entry: ListReg, word: usize) -> (u32, u32) {
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

/// The guest wrote ICC_DIR_EL1, which came here because some active interrupt is in no list register, or may be in another
/// vPE's. Without EOImode there is nothing that it could do.
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
    unlist_pending(platform, word, bits);
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
    make_active(guest, platform, word, bits);
    flush(guest, platform);
}

/// The guest cleared the active state of SPIs, those in list registers included.
pub(super) fn clear_active<P: Platform>(guest: &Guest, platform: &mut P, word: usize, bits: u32) {
    let hardware = guest.vm.distributor.hardware_word(word) & bits;
    let (pending, active) = held(guest, platform, word);
    unlist_active(guest, platform, word, bits);
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

/// Pending bits of a word in this CPU's list registers, and active ones there and among what is parked.
fn held<P: Platform>(guest: &Guest, platform: &P, word: usize) -> (u32, u32) {
    let (pending, active) = listed(platform, word);
    (pending, active | guest.vpe.redistributor.parked_word(word))
}

/// Other vPEs of the VM may hold these interrupts: each looks at its next flush. One that is off holds none.
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
        && vpe.power.state() != Power::Off
    {
        what.cell(&vpe.redistributor, word).fetch_or(bits, AcqRel);
        vpe.redistributor.attention.fetch_or(CHANGED, AcqRel);
        notify(guest, platform, number);
    }
}

/// Follows what other CPUs changed.
pub(super) fn take_changes<P: Platform>(guest: &Guest, platform: &mut P) {
    for word in 0..=guest.vm.distributor.last_word() {
        // Active SPIs are inactive in the hardware already, and may be active anew.
        for what in [Change::NotPending, Change::NotActive, Change::Active] {
            if what == Change::Active && word != 0 {
                continue;
            }
            let bits = what.cell(&guest.vpe.redistributor, word).swap(0, AcqRel);
            if bits != 0 {
                what.follow(guest, platform, word, bits);
            }
        }
    }
}

/// An entry with its INTID and its bit, if it is one of these bits of a word.
fn among(entry: ListReg, word: usize, bits: u32) -> Option<(ListReg, u32, u32)> {
    let intid = entry.vintid().value();
    let (entry_word, bit) = place(intid);
    (entry_word == word && bits & bit != 0).then_some((entry, intid, bit))
}

/// Interrupts of a word in this CPU's list registers are not pending any more.
fn unlist_pending<P: Platform>(platform: &mut P, word: usize, bits: u32) {
    for index in Bits(platform.used()) {
        let index = index as usize;
        let Some((entry, _, bit)) = among(platform.read(index), word, bits) else { continue };
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
}

/// Interrupts of a word in this CPU's list registers and among what is parked are not active any more.
fn unlist_active<P: Platform>(guest: &Guest, platform: &mut P, word: usize, bits: u32) {
    for index in Bits(platform.used()) {
        let index = index as usize;
        let Some((entry, intid, _)) = among(platform.read(index), word, bits) else { continue };
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
    let parked = &guest.vpe.redistributor.parked[word];
    for bit in Bits(parked.fetch_and(!bits, Relaxed) & bits) {
        let intid = word as u32 * 32 + bit;
        // An SPI's active state in the hardware is the caller's.
        if word == 0 || !guest.vm.distributor.is_hardware(intid) {
            ended(guest, platform, intid);
        }
    }
}

/// Interrupts of a word become active for this CPU's vPE without having been acknowledged: in no list register. What is
/// pending stays so, an SPI in the hardware, an SGI here; a PPI's pending state is its line's.
fn make_active<P: Platform>(guest: &Guest, platform: &mut P, word: usize, bits: u32) {
    let redistributor = &guest.vpe.redistributor;
    let hardware = surrender::hardware(guest, word) & bits;
    for index in Bits(platform.used()) {
        let index = index as usize;
        if let Some((entry, _, bit)) = among(platform.read(index), word, bits)
            && entry.state() == State::Pending
        {
            platform.write(index, ListReg::EMPTY);
            redistributor.waiting[word].fetch_or(bit, AcqRel);
        }
    }
    // Those in list registers are active already.
    for bit in Bits(bits & !held(guest, platform, word).1) {
        let intid = word as u32 * 32 + bit;
        let (_, bit) = place(intid);
        if hardware & bit == 0 {
            if word == 0 || guest.vm.distributor.claim(guest.number) {
                redistributor.park(intid, None);
            }
            continue;
        }
        let waiting = redistributor.waiting[word].fetch_and(!bit, AcqRel) & bit != 0;
        if word == 0 {
            redistributor.park(intid, None);
            platform.activate(intid);
            continue;
        }
        if waiting && surrender::is_edge(platform, intid) {
            platform.set_pending(word, bit);
        }
        // It is active in the distributor and nobody's. A vPE that is alone must see itself deactivate it, others always do.
        if guest.vpes.len() == 1 && (waiting || platform.active(word) & bit == 0) {
            redistributor.park(intid, None);
        }
    }
    if word != 0 && hardware != 0 {
        platform.set_active(word, hardware);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use crate::{
        Guest, mmio,
        power::Start,
        testing::{Cpu, GICD, GICR, Machine, PMU, guests},
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
