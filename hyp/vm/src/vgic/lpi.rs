// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Events that EL2 lists: how they get into list registers, on a GIC without direct injection.
//!
//! The LPI of a device's event says by its number which one it is; a channel's ring EL2 raises
//! itself, and no LPI is sent. EL2 lists the event's vINTID, pending, with HW = 0: an LPI has no
//! active state (IHI 0069H 4.1, 4.8), so nothing physical is to be ended later. What holds:
//!
//! 1. A second one while the first is listed or waits is the same one.
//! 2. One that finds no list register, or whose vPE does not run, waits as a bit beside the plan's
//!    events ([`PhysicalIts::waiting_lpis`]); its vPE is the one that the event goes to now.
//! 3. One that is cleared or unmapped while another vPE may have it listed is taken out at that
//!    vPE's next flush ([`PhysicalIts::stale_lpis`]).
//! 4. Only an enabled event is listed. One that was disabled, moved or unmapped while it was listed
//!    is taken out at the next flush, and waits.
//!
//! A model of a CPU may show a listed LPI as active until the guest ends it: it may be put away
//! then, as its end needs no list register.
//!
//! [`PhysicalIts::waiting_lpis`]: crate::platform::PhysicalIts::waiting_lpis
//! [`PhysicalIts::stale_lpis`]: crate::platform::PhysicalIts::stale_lpis

use super::{
    bank::urgency,
    line::signal,
    list,
    redistributor::{RECHECK, STALE},
};
use crate::{Guest, Platform, bits::Bits, vits::Lpi};
use core::sync::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use gicv4::{
    IntId,
    list_regs::{ListReg, State},
};

/// The event waits for a list register. True: it did not before.
pub(crate) fn wait(waiting: &[AtomicU32], event: usize) -> bool {
    let bit = 1 << (event % 32);
    waiting.get(event / 32).is_some_and(|word| word.fetch_or(bit, AcqRel) & bit == 0)
}

/// It does not wait any more. True: it did.
#[inline]
pub(crate) fn take<P: Platform>(platform: &P, event: usize) -> bool {
    let bit = 1 << (event % 32);
    let word = platform.waiting_lpis().get(event / 32);
    word.is_some_and(|word| word.fetch_and(!bit, AcqRel) & bit != 0)
}

/// No vPE of the VM runs: nothing of the event is pending.
pub(crate) fn forget<P: Platform>(platform: &P, event: usize) {
    let _ = take(platform, event);
    if let Some(stale) = platform.stale_lpis().get(event) {
        stale.store(0, Relaxed);
    }
}

/// Nothing of the event is pending any more, which went to the vPE `number` as `vintid`: the guest
/// cleared it, or unmapped it. If that is another vPE, it is to flush.
pub(crate) fn drop<P: Platform>(
    guest: &Guest,
    platform: &mut P,
    event: usize,
    (number, vintid): (u16, u32),
) {
    let _ = take(platform, event);
    let number = usize::from(number);
    if number == guest.number {
        unlist(platform, vintid);
    } else if let Some(stale) = platform.stale_lpis().get(event)
        && let Some(vpe) = guest.vpes.get(number)
    {
        stale.store(stale_of(guest, number, vintid), Release);
        vpe.redistributor.attention.fetch_or(STALE, AcqRel);
    }
}

/// What a vPE of the guest's is to drop, in one word: its index in the plan, and the vINTID. Never
/// 0.
fn stale_of(guest: &Guest, number: usize, vintid: u32) -> u32 {
    u32::from(guest.vpe_index(number).value()) << 16 | vintid & 0xffff
}

/// Takes out what another vPE dropped. What came since then waits, as `attention` was set.
pub(crate) fn take_stale<P: Platform>(guest: &Guest, platform: &mut P) {
    for stale in platform.stale_lpis() {
        let word = stale.load(Acquire);
        let vintid = word & 0xffff;
        if word != 0
            && word == stale_of(guest, guest.number, vintid)
            && stale.compare_exchange(word, 0, AcqRel, Relaxed).is_ok()
        {
            unlist(platform, vintid);
        }
    }
}

/// The event, if it goes to this vPE and is enabled.
#[inline(always)]
pub(crate) fn deliverable(guest: &Guest, event: usize) -> Option<Lpi> {
    guest.view().lpi(event).filter(|lpi| usize::from(lpi.number) == guest.number && lpi.enabled)
}

/// The entry of an event that was not listed.
#[inline(always)]
pub(crate) fn fresh(lpi: &Lpi) -> ListReg {
    ListReg::pending(IntId::new(lpi.vintid), lpi.priority)
}

/// A channel rang, and nothing else was to be looked at: its entry. None: the vPE flushes.
#[inline(always)]
pub(crate) fn take_rung<P: Platform>(guest: &Guest, platform: &P) -> Option<ListReg> {
    let redistributor = &guest.vpe.redistributor;
    let event = redistributor.take_rung()?;
    let vpe = guest.vpe_index(guest.number);
    let entry = guest.events.get(event).and_then(|event| event.entry(vpe));
    let entry = entry.filter(|_| take(platform, event));
    if entry.is_none() {
        redistributor.attention.fetch_or(RECHECK, AcqRel);
    }
    entry
}

/// Order of urgency, as the flush has it: `from` or less urgent, and more so than `best`.
pub(crate) fn most_urgent<P: Platform>(
    guest: &Guest,
    platform: &P,
    from: u32,
    mut best: Option<(u32, u8)>,
) -> Option<(u32, u8)> {
    for (n, word) in platform.waiting_lpis().iter().enumerate() {
        for bit in Bits(word.load(Acquire)) {
            let Some(lpi) = deliverable(guest, n * 32 + bit as usize) else { continue };
            let this = urgency(lpi.vintid, lpi.priority);
            if this >= from && best.is_none_or(|(intid, priority)| this < urgency(intid, priority))
            {
                best = Some((lpi.vintid, lpi.priority));
            }
        }
    }
    best
}

/// An LPI leaves its list register: what is pending of it waits.
pub(crate) fn put_back<P: Platform>(guest: &Guest, platform: &P, entry: ListReg) {
    if matches!(entry.state(), State::Pending | State::PendingActive)
        && let Some(event) = guest.view().position_of(entry.vintid().value())
    {
        let _ = wait(platform.waiting_lpis(), event);
    }
}

/// What is left of a listed one that is not to be delivered here any more; None: it stays.
pub(crate) fn withdraw<P: Platform>(
    guest: &Guest,
    platform: &mut P,
    entry: ListReg,
) -> Option<ListReg> {
    if entry.state() == State::Active {
        return None;
    }
    let event = guest.view().position_of(entry.vintid().value());
    if event.is_some_and(|event| deliverable(guest, event).is_some()) {
        return None;
    }
    if let Some(event) = event
        && let Some(lpi) = guest.view().lpi(event)
    {
        let _ = wait(platform.waiting_lpis(), event);
        if usize::from(lpi.number) != guest.number {
            signal(guest, platform, usize::from(lpi.number));
        }
    }
    let active = entry.state() == State::PendingActive;
    Some(if active { entry.with_state(State::Active) } else { ListReg::EMPTY })
}

/// Nothing of the vINTID is pending in the list registers of this CPU any more.
fn unlist<P: Platform>(platform: &mut P, vintid: u32) {
    for slot in list::used(platform) {
        let entry = slot.entry(platform);
        if entry.vintid().value() != vintid {
            continue;
        }
        match entry.state() {
            State::Pending => slot.clear(platform),
            State::PendingActive => slot.set(platform, entry.with_state(State::Active)),
            State::Active | State::Inactive => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::drop;
    use crate::testing::{Cpu, GICR, Machine, pair, write};
    use crate::vgic::{
        deliver, flush, hold_lpi, hold_ring, inject_lpi, notify, send_sgi, try_deliver, turn_off,
    };
    use crate::vits::{Renewal, Renewed};
    use core::sync::atomic::Ordering::Acquire;
    extern crate std;
    use gicv4::list_regs::State;
    use std::vec::Vec;

    /// Of the plan's events the second goes to vPE 0 of the first VM.
    const EVENT: usize = 1;
    const VINTID: u32 = 8192;

    fn listed(cpu: &Cpu) -> Vec<State> {
        let entries = cpu.entries().into_iter().filter(|entry| entry.vintid().value() >= VINTID);
        entries.map(|entry| entry.state()).filter(|state| *state != State::Inactive).collect()
    }

    #[test]
    fn a_second_one_is_the_same_one() {
        let machine = Machine::new(3);
        let [(guest, mut cpu), _] = pair(&machine);
        guest.view().reset();
        assert!(inject_lpi(&guest, &mut cpu, EVENT));
        assert!(inject_lpi(&guest, &mut cpu, EVENT));
        assert_eq!(listed(&cpu), [State::Pending]);
        assert_eq!(cpu.acknowledge(), Some(VINTID));
        // Where an LPI looks active until it is ended, one that comes meanwhile is pending again.
        assert!(inject_lpi(&guest, &mut cpu, EVENT));
        assert_eq!(listed(&cpu), [State::PendingActive]);
        cpu.end(VINTID);
        cpu.settle(&guest);
        assert_eq!(cpu.acknowledge(), Some(VINTID));
        cpu.end(VINTID);
        cpu.settle(&guest);
        assert_eq!((cpu.acknowledge(), listed(&cpu)), (None, Vec::new()));
    }

    /// An event of another VM's is not this guest's, whatever its number.
    #[test]
    fn only_its_own() {
        let machine = Machine::new(3);
        let [(guest, mut cpu), (second, mut two)] = pair(&machine);
        guest.view().reset();
        assert!(!inject_lpi(&guest, &mut cpu, 0));
        assert!(!inject_lpi(&second, &mut two, EVENT));
        assert!(!inject_lpi(&guest, &mut cpu, 2), "the plan has two");
        assert_eq!((listed(&cpu), listed(&two)), (Vec::new(), Vec::new()));
    }

    /// It waits while it is disabled, whether it came before or after.
    #[test]
    fn only_an_enabled_one() {
        let machine = Machine::new(3);
        let [(guest, mut cpu), _] = pair(&machine);
        guest.view().reset();
        for comes_first in [true, false] {
            if comes_first {
                assert!(inject_lpi(&guest, &mut cpu, EVENT));
            }
            guest.view().enable(EVENT, false);
            if !comes_first {
                assert!(!inject_lpi(&guest, &mut cpu, EVENT));
                let waiting = machine.borrow().waiting;
                assert_eq!(hold_lpi(&guest.view(), waiting, guest.vpes, EVENT), Some(0));
            }
            flush(&guest, &mut cpu);
            assert_eq!((listed(&cpu), cpu.acknowledge()), (Vec::new(), None), "{comes_first}");
            guest.view().enable(EVENT, true);
            flush(&guest, &mut cpu);
            assert_eq!(cpu.acknowledge(), Some(VINTID), "{comes_first}");
            cpu.end(VINTID);
            cpu.settle(&guest);
        }
    }

    /// Every shared list register holds something more urgent: it waits, and comes.
    #[test]
    fn waits_for_a_list_register() {
        let machine = Machine::new(3);
        let [(guest, mut cpu), _] = pair(&machine);
        guest.view().reset();
        for sgi in 0..4 {
            write(&guest, &mut cpu, GICR + 0x1_0400 + sgi, 1, 0x20);
            send_sgi(&guest, &mut cpu, sgi << 24 | 1);
        }
        cpu.settle(&guest);
        assert!(inject_lpi(&guest, &mut cpu, EVENT));
        assert_eq!(listed(&cpu), Vec::new());
        let mut taken = Vec::new();
        for _ in 0..5 {
            let intid = cpu.acknowledge().expect("one is pending");
            taken.push(intid);
            cpu.end(intid);
            cpu.settle(&guest);
        }
        taken.sort_unstable();
        assert_eq!(taken, [0, 1, 2, 3, VINTID]);
        assert_eq!(cpu.acknowledge(), None);
        assert!(machine.borrow().waiting.iter().all(|word| word.load(Acquire) == 0), "once");
    }

    /// A pending one makes room for what is more urgent, and is no SGI meanwhile.
    #[test]
    fn gives_way_and_comes_back() {
        let machine = Machine::new(3);
        let [(guest, mut cpu), _] = pair(&machine);
        guest.view().reset();
        assert!(inject_lpi(&guest, &mut cpu, EVENT));
        for sgi in 1..5 {
            write(&guest, &mut cpu, GICR + 0x1_0400 + sgi, 1, 0x20);
            send_sgi(&guest, &mut cpu, sgi << 24 | 1);
            cpu.settle(&guest);
        }
        assert_eq!(listed(&cpu), Vec::new());
        let pending = crate::mmio::read(&guest, &mut cpu, GICR + 0x1_0200, 4).unwrap();
        assert_eq!(pending & 0xffff, 0b11110);
        for _ in 1..5 {
            let intid = cpu.acknowledge().expect("an SGI");
            assert!(intid < 16);
            cpu.end(intid);
            cpu.settle(&guest);
        }
        assert_eq!(cpu.acknowledge(), Some(VINTID));
    }

    /// One for a vPE that does not run waits for its flush; one that is listed when its vPE goes
    /// off, too.
    #[test]
    fn outlives_what_its_vpe_does() {
        let machine = Machine::new(3);
        let [(guest, mut cpu), _] = pair(&machine);
        guest.view().reset();
        let waiting = machine.borrow().waiting;
        assert_eq!(hold_lpi(&guest.view(), waiting, guest.vpes, EVENT), Some(0));
        assert!(guest.vpe.redistributor.has_waiting());
        flush(&guest, &mut cpu);
        assert_eq!(listed(&cpu), [State::Pending]);
        turn_off(&guest, &mut cpu);
        assert_eq!(listed(&cpu), Vec::new());
        flush(&guest, &mut cpu);
        assert_eq!(cpu.acknowledge(), Some(VINTID));
    }

    /// EL2's own event waits once, and its vPE lists it when it is kicked.
    #[test]
    fn a_ring_waits_once() {
        let machine = Machine::new(3);
        let [(guest, mut cpu), _] = pair(&machine);
        guest.view().reset();
        flush(&guest, &mut cpu);
        let waiting = machine.borrow().waiting;
        let ring = || hold_ring(guest.vpe, waiting, EVENT);
        assert_eq!([ring(), ring()], [true, false], "one kick");
        assert!(guest.vpe.redistributor.has_waiting());
        assert!(try_deliver(&guest, &mut cpu), "the short path");
        assert_eq!((listed(&cpu), waiting[0].load(Acquire)), (std::vec![State::Pending], 0));
        assert!(!guest.vpe.redistributor.has_waiting());
        assert_eq!(cpu.acknowledge(), Some(VINTID));
        assert!(ring(), "another one");
        assert!(!try_deliver(&guest, &mut cpu), "it is listed already");
        deliver(&guest, &mut cpu);
        assert_eq!(listed(&cpu), [State::PendingActive]);
    }

    /// Of two that ring before their vPE looks, both come.
    #[test]
    fn the_first_of_two_rings_is_not_lost() {
        let machine = Machine::new(3);
        let [(guest, mut cpu), _] = pair(&machine);
        guest.view().reset();
        flush(&guest, &mut cpu);
        assert!(hold_ring(guest.vpe, machine.borrow().waiting, EVENT));
        guest.vpe.redistributor.ring(7);
        deliver(&guest, &mut cpu);
        assert_eq!(listed(&cpu), [State::Pending]);
    }

    /// A VM that starts again has no ring of its last life, and the ITS is asked nothing.
    #[test]
    fn a_restart_forgets_rings() {
        let machine = Machine::new(3);
        let [(guest, mut cpu), _] = pair(&machine);
        guest.view().reset();
        assert!(hold_ring(guest.vpe, machine.borrow().waiting, EVENT));
        let mut renewal = Renewal::new();
        while renewal.step(guest.view(), &guest.vm.allowance, &mut cpu, true) != Renewed::All {}
        guest.vpe.reset();
        guest.view().reset();
        flush(&guest, &mut cpu);
        assert_eq!((listed(&cpu), machine.borrow().waiting[0].load(Acquire)), (Vec::new(), 0));
        assert!(hold_ring(guest.vpe, machine.borrow().waiting, EVENT), "the next one comes");
    }

    /// CLEAR by one vPE takes the event out of another's list register; what comes after it stays.
    #[test]
    fn cleared_by_another_vpe() {
        let machine = Machine::new(3);
        let [(guest, mut cpu), (second, mut two)] = pair(&machine);
        guest.view().reset();
        for again in [false, true] {
            assert!(inject_lpi(&guest, &mut cpu, EVENT));
            assert_eq!(listed(&cpu), [State::Pending]);
            drop(&second, &mut two, EVENT, (0, VINTID));
            notify(&second, &mut two, 0);
            if again {
                assert!(inject_lpi(&guest, &mut cpu, EVENT));
            }
            deliver(&guest, &mut cpu);
            assert_eq!(cpu.acknowledge(), again.then_some(VINTID));
            assert_eq!(machine.borrow().stale[EVENT].load(Acquire), 0);
        }
    }
}
