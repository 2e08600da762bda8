// SPDX-License-Identifier: Apache-2.0 OR MIT
//! MSI-X tables: a vector sends its message where the plan says, or nowhere.
//!
//! A table has its pages for itself, its pending bits aside (PCI Local Bus 3.0 6.8.2), so those
//! pages are left out of stage 2 and come here: when a guest sets up, masks or unmasks a vector,
//! not when the vector interrupts. What holds for MSI (`message`) holds for each entry, with the
//! vector's mask for MSI's enable:
//!
//! 1. An address that is not the plan's masks the vector and leaves 0.
//! 2. A vector is unmasked only with the plan's address and an EventID of the VM's.
//! 3. Data that is no EventID has no effect on a vector that is not masked.
//!
//! Entries that the guest has no events for read as 0 and take no writes; pending bits and what
//! else is in the pages can be read. Accesses are words or pairs of words, as the specification
//! wants; smaller ones can read. While memory space is off the function does not answer: ones are
//! read, and nothing is written.

use super::functions::functions;
use super::header::{self, OFFSET_COMMAND};
use super::message::{shown_vectors, wrong};
use super::refusal::{Refusals, What};
use crate::{
    Guest, Platform,
    mmio::{Access, Device, Written},
};
use plan::{Messages, Msix, PciFunction, Span};

const ENTRY: u32 = 16;
/// Words of an entry, by offset.
const ADDRESS: u32 = 0;
const UPPER: u32 = 4;
const DATA: u32 = 8;
const CONTROL: u32 = 12;
const MASK: u32 = 1;

/// The function whose table is at `ipa`, and the offset in the table's pages.
fn find(guest: &Guest, ipa: u64) -> Option<(&'static PciFunction, u32)> {
    functions(guest).find_map(|function| {
        let Span { base, bytes } = function.msix?.pages?;
        let offset = ipa.wrapping_sub(base.value());
        (offset < bytes).then_some((function, offset as u32))
    })
}

/// The tables of the guest's functions, as a device.
pub struct Table;

impl Device for Table {
    fn read<P: Platform>(guest: &Guest, platform: &mut P, access: Access) -> Option<u64> {
        read(guest, platform, access.ipa, access.bytes)
    }

    fn write<P: Platform>(guest: &Guest, platform: &mut P, access: Access, value: u64) -> Written {
        Written::of(write(guest, platform, access.ipa, access.bytes, value))
    }
}

/// The guest reads `bytes` (1, 2, 4 or 8) at `ipa`, naturally aligned.
pub fn read<P: Platform>(guest: &Guest, platform: &P, ipa: u64, bytes: u32) -> Option<u64> {
    let (function, offset) = find(guest, ipa)?;
    let _guard = guest.vm.refusals.lock();
    let word = |offset| u64::from(read_word(platform, function, offset));
    let low = word(offset & !3) >> (8 * (offset & 3));
    let value = if bytes == 8 { low | word(offset + 4) << 32 } else { low };
    Some(value & u64::MAX >> (64 - 8 * bytes))
}

/// The guest writes `bytes` (1, 2, 4 or 8) at `ipa`, naturally aligned. False: not in a table.
pub fn write<P: Platform>(
    guest: &Guest,
    platform: &mut P,
    ipa: u64,
    bytes: u32,
    value: u64,
) -> bool {
    let Some((function, offset)) = find(guest, ipa) else { return false };
    let mut refusals = guest.vm.refusals.lock();
    if bytes >= 4 {
        write_word(platform, function, &mut refusals, offset, value as u32);
    }
    if bytes == 8 {
        write_word(platform, function, &mut refusals, offset + 4, (value >> 32) as u32);
    }
    true
}

/// The function answers at its BARs.
fn answers<P: Platform>(platform: &P, function: &PciFunction) -> bool {
    platform.config_read(function, OFFSET_COMMAND) & header::MEMORY_SPACE != 0
}

/// What a word of the pages is.
enum Part {
    /// Of the vector's entry, which begins at `entry`, the word at `word`.
    Entry { vector: u16, entry: u32, word: u32 },
    /// Of an entry that the guest has no event for.
    Unseen,
    /// Beside the table.
    Other,
}

fn part(messages: Messages, msix: Msix, offset: u32) -> Part {
    let start = msix.offset & 0xfff;
    let Some(inside) = offset.checked_sub(start) else { return Part::Other };
    let vector = inside / ENTRY;
    if vector < shown_vectors(messages, msix) {
        let word = inside & (ENTRY - 1) & !3;
        return Part::Entry { vector: vector as u16, entry: start + vector * ENTRY, word };
    }
    if vector < u32::from(msix.vectors) { Part::Unseen } else { Part::Other }
}

fn read_word<P: Platform>(platform: &P, function: &PciFunction, offset: u32) -> u32 {
    let (Some(messages), Some(msix)) = (function.messages, function.msix) else { return 0 };
    if !answers(platform, function) {
        return u32::MAX;
    }
    match part(messages, msix, offset) {
        Part::Unseen => 0,
        Part::Entry { .. } | Part::Other => platform.table_read(function, offset),
    }
}

fn write_word<P: Platform>(
    platform: &mut P,
    function: &PciFunction,
    refusals: &mut Refusals,
    offset: u32,
    value: u32,
) {
    let (Some(messages), Some(msix)) = (function.messages, function.msix) else { return };
    let Part::Entry { vector, entry, word } = part(messages, msix, offset) else { return };
    if !answers(platform, function) {
        return;
    }
    let control = platform.table_read(function, entry + CONTROL);
    let masked = control & MASK != 0;
    let address = |platform: &P| {
        let at = |word| platform.table_read(function, entry + word);
        (at(ADDRESS), at(UPPER))
    };
    let mut refuse = |what, value| refusals.note(function, Some(vector), what, value);
    match word {
        ADDRESS | UPPER => {
            let (planned, value) = match word {
                ADDRESS => (messages.address as u32, value & !3),
                _ => ((messages.address >> 32) as u32, value),
            };
            if value != planned {
                platform.table_write(function, entry + CONTROL, control | MASK);
                platform.table_write(function, entry + ADDRESS, 0);
                if value != 0 {
                    refuse(What::Address, value);
                }
            }
            let kept = if value == planned { planned } else { 0 };
            platform.table_write(function, entry + word, kept);
        }
        DATA => match wrong(messages, address(platform), value, 1) {
            Some((what, value)) if !masked => refuse(what, value),
            _ => platform.table_write(function, entry + DATA, value),
        },
        _ if value & MASK != 0 => platform.table_write(function, entry + CONTROL, control | MASK),
        _ => {
            let data = platform.table_read(function, entry + DATA);
            match wrong(messages, address(platform), data, 1) {
                None => platform.table_write(function, entry + CONTROL, control & !MASK),
                Some((what, value)) => refuse(what, value),
            }
        }
    }
}

/// Every vector is masked and has no address. Memory space of the function is on.
pub fn clear<P: Platform>(platform: &mut P, function: &PciFunction) {
    let Some(Msix { vectors, offset, pages: Some(_), .. }) = function.msix else { return };
    for vector in 0..u32::from(vectors) {
        let entry = (offset & 0xfff) + vector * ENTRY;
        platform.table_write(function, entry + CONTROL, MASK);
        platform.table_write(function, entry + ADDRESS, 0);
    }
}
