//! What is in the list registers of this CPU.

use super::bank::place;
use crate::{Platform, bits::Bits};
use gicv4::list_regs::{ListReg, State};

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

/// An entry with its INTID and its bit, if it is one of these bits of a word.
pub(super) fn among(entry: ListReg, word: usize, bits: u32) -> Option<(ListReg, u32, u32)> {
    let intid = entry.vintid().value();
    let (entry_word, bit) = place(intid);
    (entry_word == word && bits & bit != 0).then_some((entry, intid, bit))
}
