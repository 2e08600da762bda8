// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Payloads in guest memory: segments, initial RAM disk and device tree.
//!
//! Unless the TOML says where (`dtb_at`), the device tree lies at the start of the VM's first RAM
//! when the payload leaves room there, and at its end otherwise; an initial RAM disk lies below the
//! last 64 KiB, or below as much as the user's own device tree needs. Everything must lie in the
//! VM's memory and apart.

use super::Arena;
use crate::diag::{Diagnostic, Report, rules};
use crate::model;
use crate::payload::{Blob, Place};
use ::plan::{GuestSpan, Ipa, Load, Mapping, Pa, Payload, Span};

const PAGE: u64 = 4096;
/// Of the caches.
const LINE: u64 = 64;
/// Kept for the device tree at the end of memory, above an initial RAM disk.
pub const TREE_ROOM: u64 = 64 << 10;

/// A VM's loads, with the first instruction and the device tree's IPA.
#[derive(Debug)]
pub struct Loads {
    pub loads: Vec<Load>,
    pub entry: u64,
    pub tree: u64,
}

fn ipa(memory: &[Mapping], place: Place) -> u64 {
    match place {
        Place::Ipa(ipa) => ipa,
        Place::Offset(offset) => {
            memory.first().map_or(0, |first| first.ipa.value()).wrapping_add(offset)
        }
    }
}

fn first_ram(memory: &[Mapping]) -> Option<&Mapping> {
    memory.iter().find(|piece| piece.role == model::MemoryRole::Ram)
}

/// Where the initial RAM disk goes.
pub fn initrd(memory: &[Mapping], blob: &Blob) -> Option<GuestSpan> {
    let bytes = blob.initrd.as_ref()?.len() as u64;
    let first = first_ram(memory)?;
    let end = first.ipa.value() + first.bytes;
    let own_tree = blob.dtb.iter().chain(&blob.overlay).map(|tree| tree.len() as u64).sum::<u64>();
    let room = TREE_ROOM.max(own_tree.next_multiple_of(PAGE));
    Some(GuestSpan { base: Ipa::new(end.saturating_sub(room + bytes) / PAGE * PAGE), bytes })
}

/// Places everything that start copies into the VM's memory.
pub fn place(
    vm: &model::Vm,
    memory: &[Mapping],
    blob: &Blob,
    tree: Vec<u8>,
    report: &mut Report,
) -> Option<Loads> {
    let mut pieces: Vec<(&'static str, u64, Vec<u8>, u64)> = blob
        .segments
        .iter()
        .map(|segment| {
            let at = ipa(memory, segment.at);
            ("payload", at, segment.bytes.clone(), segment.clear)
        })
        .collect();
    if let (Some(data), Some(span)) = (&blob.initrd, initrd(memory, blob)) {
        pieces.push(("initrd", span.base.value(), data.clone(), 0));
    }
    for (number, data) in &blob.files {
        let base = memory.get(*number)?.ipa.value();
        pieces.push(("file", base, data.clone(), 0));
    }
    let tree_bytes = (tree.len() as u64).next_multiple_of(PAGE);
    let first = first_ram(memory)?;
    let inside = |at: &u64| (first.ipa.value()..first.ipa.value() + first.bytes).contains(at);
    let lowest = pieces.iter().map(|piece| piece.1).filter(inside).min().unwrap_or(u64::MAX);
    let tree_at = match &vm.payload.dtb_at {
        Some(at) => at.value,
        None if lowest >= first.ipa.value() + tree_bytes => first.ipa.value(),
        None => (first.ipa.value() + first.bytes).saturating_sub(tree_bytes),
    };
    pieces.push(("device tree", tree_at, tree, 0));
    let before = report.diagnostics.len();
    let loads: Vec<Load> = pieces
        .into_iter()
        .filter_map(|(what, at, data, clear)| {
            let bytes = data.len() as u64;
            let Some(to) = translate(memory, at, bytes.saturating_add(clear)) else {
                report.push(outside(vm, memory, what, at, bytes.saturating_add(clear)));
                return None;
            };
            let mut data = data;
            let mut clear = clear;
            let in_flash = in_flash(memory, at);
            if in_flash {
                // What is erased there is not zero.
                data.resize(data.len() + clear as usize, 0);
                clear = 0;
            }
            let bytes = Payload { len: data.len() as u64, data, ..Payload::default() };
            Some(Load { what, ipa: Ipa::new(at), in_flash, bytes, to: Pa::new(to), clear })
        })
        .collect();
    apart(vm, &loads, report);
    let entry = vm.entry.as_ref().map(|entry| entry.value);
    let entry = entry.unwrap_or_else(|| ipa(memory, blob.entry));
    // Bytes of an initial RAM disk or of a device tree are no instructions.
    let code = loads.iter().filter(|load| matches!(load.what, "payload" | "file"));
    let mut code =
        code.map(|load| load.ipa.value()..load.ipa.value().saturating_add(load.bytes.len));
    if !code.any(|range| range.contains(&entry)) {
        let title =
            format!("\"{}\" begins at {entry:#x}, where its payload has nothing", vm.name.value);
        let diagnostic = rules::IPA_HOLE.says(title);
        let diagnostic = match &vm.entry {
            Some(at) => diagnostic.label(at, "the entry"),
            None => diagnostic.label(&vm.name, "this VM's payload"),
        };
        report.push(
            diagnostic
                .help("write `entry` as the guest's own address (IPA) of its first instruction"),
        );
    }
    (report.diagnostics.len() == before).then_some(Loads { loads, entry, tree: tree_at })
}

/// What of `memory` start does not write anyway: without the lines that loads, and the zeros behind
/// them, cover as a whole.
pub fn uncovered(memory: &[Span], loads: &[Load]) -> Vec<Span> {
    let mut rest = Arena::default();
    for piece in memory {
        rest.add(piece.base.value()..piece.base.value() + piece.bytes);
    }
    for load in loads {
        let end = load.to.value() + load.bytes.len + load.clear;
        let lines = load.to.value().next_multiple_of(LINE)..end / LINE * LINE;
        if lines.start < lines.end {
            rest.remove(lines);
        }
    }
    rest.ranges()
        .map(|range| Span { base: Pa::new(range.start), bytes: range.end - range.start })
        .collect()
}

fn in_flash(memory: &[Mapping], ipa: u64) -> bool {
    let mut flashes = memory.iter().filter(|piece| piece.role == model::MemoryRole::Flash);
    flashes.any(|piece| ipa.wrapping_sub(piece.ipa.value()) < piece.bytes)
}

/// Physical address of a range that lies in one piece of memory.
fn translate(memory: &[Mapping], ipa: u64, bytes: u64) -> Option<u64> {
    memory
        .iter()
        .find(|piece| {
            ipa >= piece.ipa.value() && ipa.saturating_add(bytes) <= piece.ipa.value() + piece.bytes
        })
        .map(|piece| piece.pa.value() + (ipa - piece.ipa.value()))
}

fn outside(vm: &model::Vm, memory: &[Mapping], what: &str, at: u64, bytes: u64) -> Diagnostic {
    let ranges: Vec<String> = memory
        .iter()
        .map(|piece| format!("{:#x}..{:#x}", piece.ipa.value(), piece.ipa.value() + piece.bytes))
        .collect();
    let end = at.saturating_add(bytes);
    let name = &vm.name.value;
    // Begins in the memory and leaves it: too big. Begins elsewhere: nothing is there.
    let begins = translate(memory, at, 1).is_some();
    let rule = if begins { &rules::PAYLOAD_BIG } else { &rules::IPA_HOLE };
    rule.says(format!(
        "the {what} of \"{name}\" needs {at:#x}..{end:#x}, which is not in its memory"
    ))
    .label(&vm.memory[0].size, "the VM's memory")
    .help(format!(
        "its memory is {}; make it larger, or give the payload another address",
        ranges.join(", ")
    ))
}

fn apart(vm: &model::Vm, loads: &[Load], report: &mut Report) {
    let range = |load: &Load| load.ipa.value()..load.ipa.value() + load.bytes.len + load.clear;
    for (n, one) in loads.iter().enumerate() {
        for other in &loads[n + 1..] {
            let (a, b) = (range(one), range(other));
            if a.start < b.end && b.start < a.end {
                let (at, name) = (a.start.max(b.start), &vm.name.value);
                report.push(
                    rules::PAYLOAD_BIG
                        .says(format!(
                            "the {} and the {} of \"{name}\" overlap at {at:#x}",
                            one.what, other.what
                        ))
                        .label(&vm.memory[0].size, "the VM's memory")
                        .help("give the VM more memory, or the payload another `load_offset`"),
                );
            }
        }
    }
}
