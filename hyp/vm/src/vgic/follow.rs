// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Pending and active state that was changed by a register: list registers and what is parked
//! follow.
//!
//! What another CPU changed is noted in the redistributor, and followed at the next
//! [`super::flush`].

use super::{
    bank::place,
    line::{ended, sample},
    list::{among, listed, used},
    physical,
    redistributor::Redistributor,
};
use crate::{Guest, Platform, bits::Bits};
use core::sync::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Relaxed},
};
use gicv4::list_regs::State;

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
    pub(super) fn cell(self, redistributor: &Redistributor, word: usize) -> &AtomicU32 {
        match self {
            Change::NotPending => &redistributor.cleared_pending[word],
            Change::NotActive => &redistributor.cleared_active[word],
            Change::Active => &redistributor.made_active,
        }
    }

    /// This CPU's list registers and parked interrupts follow. The physical state of SPIs is the
    /// caller's.
    pub(super) fn follow<P: Platform>(
        self,
        guest: &Guest,
        platform: &mut P,
        word: usize,
        bits: u32,
    ) {
        match self {
            Change::NotPending => unlist_pending(platform, word, bits),
            Change::NotActive => unlist_active(guest, platform, word, bits),
            Change::Active => make_active(guest, platform, word, bits),
        }
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

/// Pending bits of a word in this CPU's list registers, and active ones there and among what is
/// parked.
pub(super) fn held<P: Platform>(guest: &Guest, platform: &P, word: usize) -> (u32, u32) {
    let (pending, active) = listed(platform, word);
    (pending, active | guest.vpe.redistributor.parked_word(word))
}

/// Interrupts of a word in this CPU's list registers are not pending any more.
pub(super) fn unlist_pending<P: Platform>(platform: &mut P, word: usize, bits: u32) {
    for slot in used(platform) {
        let Some((entry, _, bit)) = among::<P>(slot.entry(platform), word, bits) else { continue };
        match entry.state() {
            State::PendingActive => slot.set(platform, entry.with_state(State::Active)),
            // The pending state of a PPI is its line's.
            State::Pending if word != 0 || !entry.is_hardware() => {
                slot.clear(platform);
                if entry.is_hardware() {
                    platform.clear_active(word, bit);
                }
            }
            _ => {}
        }
    }
}

/// Interrupts of a word in this CPU's list registers and among what is parked are not active any
/// more.
pub(super) fn unlist_active<P: Platform>(guest: &Guest, platform: &mut P, word: usize, bits: u32) {
    for slot in used(platform) {
        let Some((entry, intid, _)) = among::<P>(slot.entry(platform), word, bits) else {
            continue;
        };
        match entry.state() {
            State::PendingActive => slot.set(platform, entry.with_state(State::Pending)),
            State::Active => {
                slot.clear(platform);
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

/// Interrupts of a word become active for this CPU's vPE without having been acknowledged: in no
/// list register. What is pending stays so, an SPI in the hardware, an SGI here; a PPI's pending
/// state is its line's.
pub(super) fn make_active<P: Platform>(guest: &Guest, platform: &mut P, word: usize, bits: u32) {
    let redistributor = &guest.vpe.redistributor;
    let hardware = physical::hardware(guest, word) & bits;
    for slot in used(platform) {
        if let Some((entry, _, bit)) = among::<P>(slot.entry(platform), word, bits)
            && entry.state() == State::Pending
        {
            slot.clear(platform);
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
        if waiting && physical::is_edge(platform, intid) {
            platform.set_pending(word, bit);
        }
        // It is active in the distributor and nobody's. A vPE that is alone must see itself
        // deactivate it, others always do.
        if guest.vpes.len() == 1 && (waiting || platform.active(word) & bit == 0) {
            redistributor.park(intid, None);
        }
    }
    if word != 0 && hardware != 0 {
        platform.set_active(word, hardware);
    }
}
