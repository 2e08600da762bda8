// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Events that are physical LPIs: how they get into list registers, on a GIC without direct
//! injection.
//!
//! The LPI of an event says by its number which one it is. EL2 takes it and lists the event's
//! vINTID, pending, with HW = 0: an LPI has no active state (IHI 0069H 4.1, 4.8), so nothing
//! physical is to be ended later. What holds:
//!
//! 1. A second one while the first is listed or waits is the same one.
//! 2. One that finds no list register, or whose vPE does not run, waits as a bit beside the plan's
//!    events ([`PhysicalIts::waiting_lpis`]); its vPE is the one that the event goes to now.
//! 3. Only an enabled event is listed. One that was disabled, moved or unmapped while it was listed
//!    is taken out at the next flush, and waits.
//!
//! A model of a CPU may show a listed LPI as active until the guest ends it: it may be put away
//! then, as its end needs no list register.
//!
//! [`PhysicalIts::waiting_lpis`]: crate::platform::PhysicalIts::waiting_lpis

use super::{
    line::signal,
    list::{self, Slot},
};
use crate::{Guest, Platform, bits::Bits, counters::Counter, vits::Lpi};
use core::sync::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Acquire},
};
use gicv4::{
    IntId,
    list_regs::{ListReg, State},
};

/// The event waits for a list register.
pub(super) fn wait(waiting: &[AtomicU32], event: usize) {
    if let Some(word) = waiting.get(event / 32) {
        word.fetch_or(1 << (event % 32), AcqRel);
    }
}

/// It does not wait any more. True: it did.
pub(crate) fn take<P: Platform>(platform: &P, event: usize) -> bool {
    let bit = 1 << (event % 32);
    platform
        .waiting_lpis()
        .get(event / 32)
        .is_some_and(|word| word.fetch_and(!bit, AcqRel) & bit != 0)
}

/// The event, if it goes to this vPE and is enabled.
#[inline(always)]
pub(super) fn deliverable(guest: &Guest, event: usize) -> Option<Lpi> {
    guest.view().lpi(event).filter(|lpi| usize::from(lpi.number) == guest.number && lpi.enabled)
}

/// The entry of an event that was not listed.
#[inline(always)]
pub(super) fn fresh(lpi: &Lpi) -> ListReg {
    ListReg::pending(IntId::new(lpi.vintid), lpi.priority)
}

/// Order of urgency, as the flush has it: `from` or less urgent, and more so than `best`.
pub(super) fn most_urgent<P: Platform>(
    guest: &Guest,
    platform: &P,
    from: u32,
    mut best: Option<(u32, u8)>,
    urgency: impl Fn(u32, u8) -> u32,
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

/// Lists one that waits. `room` finds a register where none is free. False: it goes on waiting.
pub(super) fn place<P: Platform>(
    guest: &Guest,
    platform: &mut P,
    vintid: u32,
    room: impl FnOnce(&mut P) -> Option<Slot>,
) -> bool {
    let Some(event) = guest.view().position_of(vintid) else { return true };
    let Some(lpi) = deliverable(guest, event) else { return true };
    let mut free = None;
    for slot in list::shared(platform) {
        let entry = slot.entry(platform);
        if entry.is_free() {
            free = free.or(Some(slot));
        } else if entry.vintid().value() == vintid {
            if take(platform, event) && entry.state() == State::Active {
                slot.set(platform, entry.with_state(State::PendingActive));
                guest.vpe.counters.count(Counter::InjectedSpi);
            }
            return true;
        }
    }
    let Some(slot) = free.or_else(|| room(platform)) else { return false };
    if take(platform, event) {
        slot.set(platform, fresh(&lpi));
        guest.vpe.counters.count(Counter::InjectedSpi);
    } else {
        slot.clear(platform);
    }
    true
}

/// An LPI leaves its list register: what is pending of it waits.
pub(super) fn put_back<P: Platform>(guest: &Guest, platform: &P, entry: ListReg) {
    if matches!(entry.state(), State::Pending | State::PendingActive)
        && let Some(event) = guest.view().position_of(entry.vintid().value())
    {
        wait(platform.waiting_lpis(), event);
    }
}

/// Takes a listed one out that is not to be delivered here any more.
pub(super) fn review<P: Platform>(guest: &Guest, platform: &mut P, slot: Slot, entry: ListReg) {
    if entry.state() == State::Active {
        return;
    }
    let event = guest.view().position_of(entry.vintid().value());
    if event.is_some_and(|event| deliverable(guest, event).is_some()) {
        return;
    }
    let active = entry.state() == State::PendingActive;
    slot.set(platform, if active { entry.with_state(State::Active) } else { ListReg::EMPTY });
    if let Some(event) = event
        && let Some(lpi) = guest.view().lpi(event)
    {
        wait(platform.waiting_lpis(), event);
        if usize::from(lpi.number) != guest.number {
            signal(guest, platform, usize::from(lpi.number));
        }
    }
}

/// Nothing of the vINTID is pending in the list registers of this CPU any more.
pub(crate) fn unlist<P: Platform>(platform: &mut P, vintid: u32) {
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
    use super::super::bank::is_lpi;
    use crate::testing::{Cpu, GICR, Machine, pair, write};
    use crate::vgic::{flush, hold_lpi, inject_lpi, send_sgi, turn_off};
    use core::sync::atomic::Ordering::Acquire;
    extern crate std;
    use gicv4::list_regs::State;
    use std::vec::Vec;

    /// Of the plan's events the second goes to vPE 0 of the first VM.
    const EVENT: usize = 1;
    const VINTID: u32 = 8192;

    fn listed(cpu: &Cpu) -> Vec<State> {
        let entries = cpu.entries().into_iter().filter(|entry| is_lpi(entry.vintid().value()));
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
}
