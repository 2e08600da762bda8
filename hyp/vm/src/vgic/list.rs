// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The list registers of this CPU.
//!
//! Nobody else in this folder names one by its number. What holds for them:
//!
//! 1. The first is the virtual timer's ([`timer`], [`set_timer`]); all others are shared by
//!    everything else.
//! 2. An interrupt is in one of them at most.
//! 3. One of the hardware's is never pending and active at once, which is reserved with HW (IHI
//!    0069H 12.4.8).

use super::bank::place;
use crate::{Platform, bits::Bits, platform::ListRegisters, router::Router};
use gicv4::list_regs::{ListReg, State};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(u32);

impl Slot {
    #[inline(always)]
    pub fn entry(self, registers: &impl ListRegisters) -> ListReg {
        registers.read(self.0 as usize)
    }

    #[inline(always)]
    pub fn set(self, registers: &mut impl ListRegisters, entry: ListReg) {
        debug_assert!(!entry.is_hardware() || entry.state() != State::PendingActive);
        registers.write(self.0 as usize, entry);
    }

    #[inline(always)]
    pub fn clear(self, registers: &mut impl ListRegisters) {
        self.set(registers, ListReg::EMPTY);
    }
}

/// Those in use now: with an interrupt, or with the notice of its end.
#[inline(always)]
pub(super) fn used<R: ListRegisters>(registers: &R) -> impl Iterator<Item = Slot> + use<R> {
    Bits(registers.used()).map(Slot)
}

/// All that are shared, in use or not.
#[inline(always)]
pub(super) fn shared<R: ListRegisters>(registers: &R) -> impl Iterator<Item = Slot> + use<R> {
    (1..registers.count() as u32).map(Slot)
}

/// None is in use.
#[inline(always)]
pub(super) fn all_free(registers: &impl ListRegisters) -> bool {
    registers.used() == 0
}

/// None that is shared is in use.
#[inline(always)]
pub(super) fn shared_free(registers: &impl ListRegisters) -> bool {
    let shared = (1u32 << registers.count()) - 2;
    registers.empty() & shared == shared
}

/// What the timer's has.
#[inline(always)]
pub(super) fn timer(registers: &impl ListRegisters) -> ListReg {
    registers.get::<0>()
}

#[inline(always)]
pub(super) fn set_timer(registers: &mut impl ListRegisters, entry: ListReg) {
    registers.put::<0>(entry);
}

/// Fills a shared one, where [`shared_free`] says that all of them are free.
#[inline(always)]
pub(super) fn set_shared(registers: &mut impl ListRegisters, entry: ListReg) {
    registers.put::<1>(entry);
}

/// Pending and active bits of a word among all that is listed.
pub(super) fn listed<P: Platform>(platform: &P, word: usize) -> (u32, u32) {
    used(platform).fold((0, 0), |sum, slot| add_listed::<P>(sum, slot.entry(platform), word))
}

fn add_listed<P: Platform>(
    (pending, active): (u32, u32),
    entry: ListReg,
    word: usize,
) -> (u32, u32) {
    let (entry_word, bit) = place(entry.vintid().value());
    if entry_word != word || P::Router::lists(entry.vintid().value()) {
        return (pending, active);
    }
    match entry.state() {
        State::Inactive => (pending, active),
        State::Pending => (pending | bit, active),
        State::Active => (pending, active | bit),
        State::PendingActive => (pending | bit, active | bit),
    }
}

/// An entry with its INTID and its bit, if it is one of these bits of a word.
pub(super) fn among<P: Platform>(
    entry: ListReg,
    word: usize,
    bits: u32,
) -> Option<(ListReg, u32, u32)> {
    let intid = entry.vintid().value();
    let (entry_word, bit) = place(intid);
    if P::Router::lists(intid) {
        return None;
    }
    (entry_word == word && bits & bit != 0).then_some((entry, intid, bit))
}
