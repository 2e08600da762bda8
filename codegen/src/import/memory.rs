// SPDX-License-Identifier: Apache-2.0 OR MIT
//! RAM and what of it is kept: first the piece in which the hypervisor finds room.

use dtoolkit::Node;

use super::part::Parts;
use super::text::{Names, Text, hex};
use super::{Refused, refused};
use crate::tree::bus::{Range, text};
use crate::units::Size;

const PAGE: u64 = 4 << 10;
const BLOCK: u64 = 2 << 20;
/// What the first RAM has free at its start: the hypervisor, and the VMs of a small system.
const ROOM: u64 = 64 << 20;
/// No translation reaches further.
const REACH: u64 = 1 << 48;

/// First address and end.
type Piece = (u64, u64);

pub struct Memory {
    /// The hypervisor's first.
    pieces: Vec<Piece>,
    /// Bytes at edges that are no whole 2 MiB.
    lost: u64,
}

/// Addresses that belong to somebody.
#[derive(Default)]
pub struct Taken(Vec<Piece>);

impl Taken {
    /// Takes a range, if nobody has it.
    pub fn take(&mut self, range: Range) -> bool {
        let Some(end) = range.0.checked_add(range.1).filter(|end| *end <= REACH) else {
            return false;
        };
        let free = range.1 > 0 && !self.0.iter().any(|own| range.0 < own.1 && own.0 < end);
        if free {
            self.0.push((range.0, end));
        }
        free
    }

    pub fn end(&self) -> u64 {
        self.0.iter().map(|piece| piece.1).max().unwrap_or(0)
    }
}

pub fn taken(memory: &Memory) -> Taken {
    Taken(memory.pieces.clone())
}

/// The RAM: that which was given, or else the tree's.
pub fn ram(parts: &Parts, given: &[Range]) -> Result<Memory, Refused> {
    let is_memory = |part: &&super::part::Part| text(&part.node, "device_type") == "memory";
    let own = || parts.enabled().filter(is_memory).flat_map(|part| part.regions()).collect();
    let all: Vec<Range> = if given.is_empty() { own() } else { given.to_vec() };
    let within = |&(base, size): &Range| (base.min(REACH), base.saturating_add(size).min(REACH));
    let mut all: Vec<Piece> = all.iter().map(within).filter(|piece| piece.0 < piece.1).collect();
    if all.is_empty() {
        return Err(Refused::NoRam);
    }
    all.sort_unstable();
    let mut pieces: Vec<Piece> = Vec::new();
    for piece in all {
        match pieces.last_mut() {
            Some(last) if piece.0 <= last.1 => last.1 = last.1.max(piece.1),
            _ => pieces.push(piece),
        }
    }
    let bytes = |pieces: &[Piece]| pieces.iter().map(|piece| piece.1 - piece.0).sum::<u64>();
    let whole = bytes(&pieces);
    let blocks = |piece: &Piece| (piece.0.next_multiple_of(BLOCK), piece.1 / BLOCK * BLOCK);
    let mut pieces: Vec<Piece> =
        pieces.iter().map(blocks).filter(|piece| piece.0 < piece.1).collect();
    let lost = whole - bytes(&pieces);
    let kept = kept(parts);
    let starts = pieces.iter().map(|piece| piece.0);
    let starts = starts.chain(kept.iter().map(|one| one.pages.1.next_multiple_of(BLOCK)));
    let fits = |start: &u64| {
        let end = start + ROOM;
        pieces.iter().any(|piece| piece.0 <= *start && end <= piece.1)
            && !kept.iter().any(|one| *start < one.pages.1 && one.pages.0 < end)
    };
    let start = starts.filter(fits).min().ok_or_else(|| {
        refused(format!("no {} of RAM in one piece that nobody has reserved", Size(ROOM)))
    })?;
    let home = pieces.iter().position(|piece| piece.0 <= start && start < piece.1).unwrap_or(0);
    let piece = pieces.remove(home);
    if piece.0 < start {
        pieces.insert(home, (piece.0, start));
    }
    pieces.insert(0, (start, piece.1));
    Ok(Memory { pieces, lost })
}

/// A range that is kept.
struct Kept {
    name: String,
    pages: Piece,
    why: &'static str,
}

/// What of the RAM is kept, by address: /reserved-memory, and what only /memreserve/ has.
fn kept(parts: &Parts) -> Vec<Kept> {
    let mut kept: Vec<Kept> = Vec::new();
    for part in parts.enabled().filter(|part| part.above.path == "/reserved-memory") {
        if part.has("reusable") {
            continue;
        }
        let why = if part.has("no-map") {
            "of firmware or hardware: no-map in /reserved-memory"
        } else {
            "in /reserved-memory"
        };
        for range in part.regions() {
            keep(&mut kept, part.node.name(), range, why);
        }
    }
    for &range in &parts.kept {
        keep(&mut kept, &format!("memreserve@{:x}", range.0), range, "of firmware: /memreserve/");
    }
    kept.sort_by_key(|one| one.pages);
    kept
}

/// Adds the pages of `range` that nothing in `kept` has yet.
fn keep(kept: &mut Vec<Kept>, name: &str, range: Range, why: &'static str) {
    let end = range.0.saturating_add(range.1).min(REACH).next_multiple_of(PAGE);
    let mut free = vec![(range.0 / PAGE * PAGE, end)];
    for Kept { pages, .. } in &*kept {
        let beside = |piece: Piece| {
            [(piece.0, piece.1.min(pages.0)), (piece.0.max(pages.1), piece.1)]
                .into_iter()
                .filter(|rest| rest.0 < rest.1)
        };
        free = free.into_iter().flat_map(beside).collect();
    }
    let free = free.into_iter().filter(|pages| pages.0 < pages.1);
    kept.extend(free.map(|pages| Kept { name: name.to_owned(), pages, why }));
}

pub fn write(out: &mut Text, parts: &Parts, memory: &Memory) {
    out.line("");
    out.note(
        "The hypervisor lives 2 MiB above the start of the first range. Firmware may keep RAM \
         that its tree does not name: U-Boot's bdinfo and EDK II's memory map show it.",
    );
    if memory.lost > 0 {
        out.note(&format!(
            "{} at the edges are left out: RAM is whole 2 MiB here.",
            Size(memory.lost)
        ));
    }
    for (n, (base, end)) in memory.pieces.iter().enumerate() {
        out.line("[[ram]]");
        out.line(&format!("name = \"ram{n}\""));
        out.line(&format!("base = {}", hex(*base)));
        out.line(&format!("size = \"{}\"", Size(end - base)));
        out.line("");
    }
    let mut names = Names::default();
    for Kept { name, pages, why } in kept(parts) {
        for piece in &memory.pieces {
            let (base, end) = (pages.0.max(piece.0), pages.1.min(piece.1));
            if base >= end {
                continue;
            }
            out.line("[[reserved]]");
            out.line(&format!("name = \"{}\"", names.one(&name)));
            out.line(&format!("base = {}", hex(base)));
            out.line(&format!("size = \"{}\"", Size(end - base)));
            out.line(&format!("reason = \"{why}\""));
            out.line("");
        }
    }
}
