// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Brings a CPU's list registers in line with what its vPE has, and decides when there are too few.
//!
//! 1. Ends of parked interrupts (ICH_HCR_EL2.EOIcount) are taken in, highest priority first. With
//!    EOImode the guest says by ICC_DIR_EL1 which one it deactivates, and that write traps while
//!    anything is parked.
//! 2. Every list register is reviewed: what another CPU cleared, and a pending interrupt that is no
//!    longer wanted (disabled, line low, another vPE's by now) is taken out; an emulated interrupt
//!    that the guest ended is sampled again.
//! 3. Waiting interrupts are placed, most urgent first. One that is more urgent than what a
//!    register holds replaces it: a pending interrupt waits again, an active one is parked.
//! 4. The underflow and no-pending interrupts are wanted while something waits; the not-present
//!    interrupt, and the trap of ICC_DIR_EL1, while something is parked.
//!
//! IHI 0069H 4.8, 12.4.

use super::{
    bank::{place, urgency},
    follow,
    line::{ended, sample, signal},
    list::{self, Slot},
    look, physical,
    redistributor::{CHANGED, SHOW, UNUSUAL},
    vsgi,
};
use crate::{
    Guest, Platform,
    bits::Bits,
    counters::Counter,
    platform::{NO_PENDING, NOT_PRESENT, TRAP_DIR, TRAP_GROUP1, UNDERFLOW},
    router::Router,
};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use gicv4::{
    IntId,
    list_regs::{ListReg, State},
};

/// Brings the list registers of this CPU in line with what waits: after a maintenance interrupt,
/// before the vPE is entered for the first time, and whenever a short path does not apply.
#[inline(never)]
pub fn flush<P: Platform>(guest: &Guest, platform: &mut P) {
    let redistributor = &guest.vpe.redistributor;
    let attention = redistributor.attention.swap(0, AcqRel);
    P::Router::begin_flush(guest, platform, attention);
    end_parked(guest, platform);
    let uncounted = vsgi::uncounted::<P>(guest);
    if attention & CHANGED != 0 {
        follow::take_changes(guest, platform);
    }
    let mut unusual = review(guest, platform);
    let split = platform.splits_end();
    if split {
        unlist_timer(guest, platform);
    }
    let mut bits = 0;
    let mut next = 0;
    while let Some((intid, priority)) = next_urgent(guest, platform, next) {
        // The others are less urgent and find no room either, but may be in a register already.
        next = urgency(intid, priority) + 1;
        let listed = if intid == P::VIRTUAL_TIMER {
            list_timer(guest, platform, priority, bits == 0)
        } else if P::Router::lists(intid) {
            place_event(guest, platform, intid, priority, split)
        } else {
            place_interrupt(guest, platform, intid, priority, split)
        };
        if listed {
            unusual |= intid == guest.vm.distributor.emulated_line().0;
        } else if bits == 0 {
            guest.vpe.counters.count(Counter::Overflows);
            bits = UNDERFLOW;
        }
    }
    // Where nothing is pending already, the end of something active is what makes room.
    if bits != 0 && list::used(platform).any(|slot| slot.entry(platform).state() == State::Pending)
    {
        bits |= NO_PENDING;
    }
    if (0..=guest.vm.distributor.last_word()).any(|word| redistributor.parked_word(word) != 0) {
        bits |= NOT_PRESENT | TRAP_DIR;
    }
    if doubts(guest, platform) {
        bits |= TRAP_GROUP1;
    }
    if bits != 0 || unusual {
        redistributor.attention.fetch_or(UNUSUAL, AcqRel);
    }
    // An SPI may be deactivated by any vPE.
    if guest.vpes.len() > 1 {
        bits |= TRAP_DIR;
    }
    bits |= uncounted;
    if redistributor.maintenance.load(Relaxed) != bits {
        redistributor.maintenance.store(bits, Relaxed);
        platform.maintenance(bits);
    }
    if attention & SHOW != 0 {
        look::answer(guest, platform);
    }
}

/// Something changed for the VM's vPE `number`: looks at once if it is this one, kicks it
/// otherwise.
#[inline(never)]
pub fn notify<P: Platform>(guest: &Guest, platform: &mut P, number: usize) {
    if number == guest.number {
        flush(guest, platform);
    } else {
        signal(guest, platform, number);
    }
}

/// The guest ended interrupts that are in no list register: those with the highest priorities, as
/// nesting has it. With a split end it says which by ICC_DIR_EL1, and what is counted are drops of
/// priorities.
fn end_parked<P: Platform>(guest: &Guest, platform: &mut P) {
    let redistributor = &guest.vpe.redistributor;
    if redistributor.maintenance.load(Relaxed) & NOT_PRESENT == 0 {
        return;
    }
    let count = platform.take_eoi_count();
    if platform.splits_end() {
        return;
    }
    for _ in 0..count {
        let Some(intid) = redistributor.innermost() else { return };
        let (word, bit) = place(intid);
        redistributor.parked[word].fetch_and(!bit, Relaxed);
        ended(guest, platform, intid);
    }
}

/// An SPI is about to be listed for a guest that may take it later. A level that falls until then
/// is no interrupt any more, and nobody would say so: the guest is stopped before it acknowledges
/// anything, and EL2 looks again. What was made pending by a register stays so whatever the line
/// does.
fn doubt<P: Platform>(guest: &Guest, platform: &P, intid: u32) {
    let (word, bit) = place(intid);
    let doubtful = &guest.vm.distributor.doubtful[word];
    // The level's own pending bit is its line, as it is active.
    if platform.pending(word) & bit != 0 && !physical::is_edge(platform, intid) {
        doubtful.fetch_or(bit, Relaxed);
    } else {
        doubtful.fetch_and(!bit, Relaxed);
    }
}

/// A level in a list register is to be looked at again.
fn doubts<P: Platform>(guest: &Guest, platform: &P) -> bool {
    list::used(platform).any(|slot| is_doubtful(guest, slot.entry(platform)))
}

fn is_doubtful(guest: &Guest, entry: ListReg) -> bool {
    let (word, bit) = place(entry.vintid().value());
    let doubtful = guest.vm.distributor.doubtful[word].load(Relaxed) & bit != 0;
    doubtful && entry.is_hardware() && entry.state() == State::Pending
}

/// The guest is about to acknowledge an interrupt, or asks which one is pending: levels that have
/// fallen are none. It then executes its instruction again.
#[inline(never)]
pub fn look_again<P: Platform>(guest: &Guest, platform: &mut P) {
    for slot in list::used(platform) {
        let entry = slot.entry(platform);
        if !is_doubtful(guest, entry) {
            continue;
        }
        let (word, bit) = place(entry.vintid().value());
        guest.vm.distributor.doubtful[word].fetch_and(!bit, Relaxed);
        if platform.pending(word) & bit == 0 {
            slot.clear(platform);
            platform.clear_active(word, bit);
        }
    }
    flush(guest, platform);
}

/// With a split end, list registers are wanted back as soon as nothing in them is pending. A
/// pending timer that is less urgent than what waits would keep that from being seen, so it takes
/// its place in the order.
fn unlist_timer<P: Platform>(guest: &Guest, platform: &mut P) {
    let entry = list::timer(platform);
    if entry.state() == State::Pending {
        list::set_timer(platform, ListReg::EMPTY);
        guest.vpe.redistributor.waiting[0].fetch_or(1 << P::VIRTUAL_TIMER, AcqRel);
    }
}

/// The timer has a list register of its own, but not before what is more urgent has one. True: it
/// does not wait.
fn list_timer<P: Platform>(guest: &Guest, platform: &mut P, priority: u8, first: bool) -> bool {
    let free = first && list::timer(platform).is_free();
    if free {
        guest.vpe.redistributor.waiting[0].fetch_and(!(1 << P::VIRTUAL_TIMER), AcqRel);
        let intid = IntId::new(P::VIRTUAL_TIMER);
        list::set_timer(platform, ListReg::hardware(intid, intid, priority));
    }
    free
}

/// The vPE of this CPU has the virtual timer's interrupt: listed, waiting or parked.
#[inline(always)]
pub fn holds_timer<P: Platform>(guest: &Guest, platform: &P) -> bool {
    let redistributor = &guest.vpe.redistributor;
    let kept = redistributor.waiting[0].load(Relaxed) | redistributor.parked_word(0);
    !list::timer(platform).is_free() || kept & 1 << P::VIRTUAL_TIMER != 0
}

/// Interrupts of a word that are enabled, while their group is on.
fn live(guest: &Guest, word: usize) -> u32 {
    if word == 0 {
        guest.vpe.redistributor.live.load(Acquire)
    } else {
        guest.vm.distributor.live(word)
    }
}

/// Step 2. Answers whether an emulated interrupt stays in a register.
fn review<P: Platform>(guest: &Guest, platform: &mut P) -> bool {
    let redistributor = &guest.vpe.redistributor;
    let distributor = &guest.vm.distributor;
    let (emulated, line) = distributor.emulated_line();
    let mut unusual = false;
    for slot in list::used(platform) {
        let entry = slot.entry(platform);
        let intid = entry.vintid().value();
        let (word, bit) = place(intid);
        if entry.is_free() {
            // It was used for the notice of its end.
            slot.clear(platform);
            sample(guest, platform, intid);
            continue;
        }
        if P::Router::lists(intid) {
            if let Some(left) = P::Router::withdraw(guest, platform, entry) {
                slot.set(platform, left);
            }
            continue;
        }
        unusual |= intid == emulated;
        if entry.state() == State::Active {
            continue;
        }
        let ours = word == 0 || distributor.route_of(intid) == guest.number;
        if live(guest, word) & bit != 0 && ours && (intid != emulated || line) {
            continue;
        }
        let active = entry.state() == State::PendingActive;
        slot.set(platform, if active { entry.with_state(State::Active) } else { ListReg::EMPTY });
        if entry.is_hardware() {
            physical::hand_back(platform, intid);
        } else if intid == emulated {
            sample(guest, platform, intid);
        } else {
            redistributor.waiting[word].fetch_or(bit, AcqRel);
        }
    }
    // What waits for a list register goes back to the hardware when it is switched off.
    for word in 0..=distributor.last_word() {
        if redistributor.waiting[word].load(Acquire) != 0 {
            let off = !live(guest, word) & physical::hardware(guest, word);
            physical::return_waiting(platform, redistributor, word, off);
        }
    }
    unusual
}

/// The most urgent of all that waits, of urgency `from` or less.
fn next_urgent<P: Platform>(guest: &Guest, platform: &P, from: u32) -> Option<(u32, u8)> {
    P::Router::most_urgent(guest, platform, from, most_urgent(guest, from))
}

/// The most urgent of the waiting, enabled interrupts whose urgency is `from` or less.
fn most_urgent(guest: &Guest, from: u32) -> Option<(u32, u8)> {
    let redistributor = &guest.vpe.redistributor;
    let distributor = &guest.vm.distributor;
    let mut best: Option<(u32, u8)> = None;
    for word in 0..=distributor.last_word() {
        let waiting = redistributor.waiting[word].load(Acquire);
        if waiting == 0 {
            continue;
        }
        // One that is active is not delivered.
        for bit in Bits(waiting & live(guest, word) & !redistributor.parked_word(word)) {
            let intid = word as u32 * 32 + bit;
            let priority = if word == 0 {
                redistributor.priority[intid as usize].load(Relaxed)
            } else {
                distributor.priority[intid as usize].load(Relaxed)
            };
            let this = urgency(intid, priority);
            if this >= from && best.is_none_or(|(intid, priority)| this < urgency(intid, priority))
            {
                best = Some((intid, priority));
            }
        }
    }
    best
}

/// Step 3 for an event that EL2 lists: false when it must go on waiting.
fn place_event<P: Platform>(
    guest: &Guest,
    platform: &mut P,
    vintid: u32,
    priority: u8,
    split: bool,
) -> bool {
    let Some(fresh) = P::Router::entry(guest, vintid) else { return true };
    let mut free = None;
    for slot in list::shared(platform) {
        let entry = slot.entry(platform);
        if entry.is_free() {
            free = free.or(Some(slot));
        } else if entry.vintid().value() == vintid {
            if P::Router::take(guest, platform, vintid) && entry.state() == State::Active {
                slot.set(platform, entry.with_state(State::PendingActive));
                guest.vpe.counters.count(Counter::InjectedSpi);
            }
            return true;
        }
    }
    let Some(slot) = free.or_else(|| make_room(guest, platform, priority, split)) else {
        return false;
    };
    if P::Router::take(guest, platform, vintid) {
        slot.set(platform, fresh);
        guest.vpe.counters.count(Counter::InjectedSpi);
    } else {
        slot.clear(platform);
    }
    true
}

/// Step 3 for one interrupt: false when it must go on waiting.
fn place_interrupt<P: Platform>(
    guest: &Guest,
    platform: &mut P,
    intid: u32,
    priority: u8,
    split: bool,
) -> bool {
    let redistributor = &guest.vpe.redistributor;
    let (word, bit) = place(intid);
    let emulated = intid == guest.vm.distributor.emulated_line().0;
    let hardware = !emulated && physical::hardware(guest, word) & bit != 0;
    let fresh = if hardware {
        ListReg::hardware(IntId::new(intid), IntId::new(intid), priority)
    } else if emulated {
        ListReg::pending(IntId::new(intid), priority).with_end_notice()
    } else {
        ListReg::pending(IntId::new(intid), priority)
    };
    // Another CPU may take it away at any time, and then it is not ours to list.
    let take = || redistributor.waiting[word].fetch_and(!bit, SeqCst) & bit != 0;
    // Once listed it is never listed a second time.
    let mut free = None;
    for slot in list::shared(platform) {
        let entry = slot.entry(platform);
        if entry.is_free() {
            free = free.or(Some(slot));
        } else if entry.vintid().value() == intid {
            if take()
                && let Some(entry) = merged(entry, fresh)
            {
                slot.set(platform, entry);
                count::<P>(guest, intid, hardware, emulated);
            }
            return true;
        }
    }
    let Some(slot) = free.or_else(|| make_room(guest, platform, priority, split)) else {
        return false;
    };
    let claimed = !emulated || guest.vm.distributor.claim(guest.number);
    if take() && claimed {
        if hardware && word != 0 {
            doubt(guest, platform, intid);
        }
        slot.set(platform, fresh);
        count::<P>(guest, intid, hardware, emulated);
        return true;
    }
    slot.clear(platform);
    if emulated && claimed {
        sample(guest, platform, intid);
    }
    true
}

pub(super) fn count<P: Platform>(guest: &Guest, intid: u32, hardware: bool, emulated: bool) {
    guest.vpe.counters.count(match (hardware, emulated) {
        (true, _) if intid == P::PHYSICAL_TIMER => Counter::InjectedTimer,
        (true, _) if intid < 32 => Counter::InjectedPmu,
        (true, _) => Counter::InjectedSpi,
        (_, true) => Counter::InjectedEmulated,
        _ if intid >= 32 => Counter::InjectedEmulated,
        _ => Counter::InjectedSgi,
    });
}

/// What an entry becomes when its interrupt is pending again; None: it stays.
fn merged(entry: ListReg, fresh: ListReg) -> Option<ListReg> {
    match entry.state() {
        // The guest made a hardware interrupt inactive behind the list register's back: it is
        // pending, and only that.
        State::Active if entry.is_hardware() => Some(fresh),
        // A level is sampled when the guest ends the interrupt.
        State::Active if entry.has_end_notice() => None,
        State::Active => Some(entry.with_state(State::PendingActive)),
        _ => None,
    }
}

/// Empties the shared register with the least urgent entry, if `priority` is higher than its. With
/// a split end, what is active has dropped its priority or will before it ends, and says which it
/// is when it does: it makes room for anything.
fn make_room<P: Platform>(
    guest: &Guest,
    platform: &mut P,
    priority: u8,
    split: bool,
) -> Option<Slot> {
    let redistributor = &guest.vpe.redistributor;
    let mut worst: Option<(bool, u8, bool, Slot)> = None;
    for slot in list::shared(platform) {
        let entry = slot.entry(platform);
        let only_pending = entry.state() == State::Pending;
        // At equal priority the active one is the one being handled and stays.
        let rank = (split && !only_pending, entry.priority(), only_pending, slot);
        if worst.is_none_or(|worst| rank > worst) {
            worst = Some(rank);
        }
    }
    let (first, least, only_pending, slot) = worst?;
    if !first && priority >= least {
        return None;
    }
    let entry = slot.entry(platform);
    let intid = entry.vintid().value();
    if P::Router::lists(intid) {
        P::Router::put_back(guest, platform, entry);
        return Some(slot);
    }
    let (word, bit) = place(intid);
    if entry.state() != State::Active {
        redistributor.waiting[word].fetch_or(bit, AcqRel);
    }
    if only_pending {
        if entry.has_end_notice() {
            guest.vm.distributor.release();
        }
    } else {
        if redistributor.maintenance.load(Relaxed) & NOT_PRESENT == 0 {
            // Ends counted before anything was parked belong to nobody.
            platform.take_eoi_count();
        }
        redistributor.park(intid, (!split).then_some(entry.priority()));
    }
    Some(slot)
}

/// Nothing is listed for the vPE of this CPU, or is to be looked at, and nothing of `bits` of word
/// 0 waits: when they are switched off nothing is to be taken back.
pub(super) fn has_none<P: Platform>(guest: &Guest, platform: &P, bits: u32) -> bool {
    let redistributor = &guest.vpe.redistributor;
    let waiting = redistributor.waiting[0].load(Acquire) & bits;
    redistributor.attention.load(Relaxed) | waiting == 0 && list::all_free(platform)
}
