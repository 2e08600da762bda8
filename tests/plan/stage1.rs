// SPDX-License-Identifier: Apache-2.0 OR MIT
//! EL2's own tables map what the plan gives to EL2, each page as what it is, and nothing else.

use std::ops::Range;

use ::plan::translation::EL2_WINDOW_PAGES;
use codegen::plan::{Console, CpuIndex, Plan};

use crate::{stage2, stand_in};

/// Attributes of a leaf: index, AP, SH, AF, XN. DDI 0487 D8.3.
const NORMAL: u64 = 1 << 2 | 0b01 << 6 | 0b11 << 8 | 1 << 10 | 1 << 54;
const DEVICE: u64 = 0b01 << 6 | 1 << 10 | 1 << 54;
const FRAME: u64 = 64 << 10;
const PAGE: u64 = 4096;

/// Panics unless exactly the plan's pages are mapped.
pub fn hold(plan: &Plan) {
    let mut normal = Vec::new();
    let mut device = Vec::new();
    for leaf in stage2::own(plan) {
        assert_eq!(leaf.ipa, leaf.pa.start, "an address of EL2's that is another");
        match leaf.attributes {
            NORMAL => normal.push(leaf.pa),
            DEVICE => device.push(leaf.pa),
            other => panic!("{:#x} has attributes {other:#x}", leaf.ipa),
        }
    }
    assert_eq!(joined(normal), joined(memory(plan)), "memory that EL2 reaches");
    assert_eq!(joined(device), joined(registers(plan)), "registers that EL2 reaches");
    windows(plan);
}

fn memory(plan: &Plan) -> Vec<Range<u64>> {
    let own = plan.hypervisor.base.value()..plan.hypervisor.base.value() + plan.hypervisor.bytes;
    let inherited = plan.board.inherited.iter();
    let inherited = inherited.map(|span| span.base.value()..span.base.value() + span.bytes);
    std::iter::once(own).chain(inherited).collect()
}

/// Each CPU has one, whose descriptors are in EL2's tables, and empty.
fn windows(plan: &Plan) {
    let own = &plan.hypervisor;
    let pages = EL2_WINDOW_PAGES * own.stacks;
    let range = own.window.0..own.window.0 + pages * PAGE;
    let leaves = stage2::own(plan);
    assert!(
        !leaves
            .iter()
            .any(|leaf| leaf.ipa < range.end
                && range.start < leaf.ipa + (leaf.pa.end - leaf.pa.start))
    );
    // With a descriptor in each, these very addresses are mapped.
    let mut open = plan.clone();
    for page in 0..pages {
        let at = (own.window_entries.value() - own.tables.value() + 8 * page) as usize;
        let word = &mut open.hypervisor.tables_bin[at..at + 8];
        assert_eq!(word, [0; 8]);
        word.copy_from_slice(&((page * PAGE) | NORMAL | 3).to_le_bytes());
    }
    let mut seen = stage2::own(&open).into_iter().filter(|leaf| !leaves.contains(leaf));
    for page in 0..pages {
        let leaf = seen.next().unwrap();
        assert_eq!((leaf.ipa, leaf.pa.start), (range.start + page * PAGE, page * PAGE));
    }
    assert_eq!(seen.next(), None);
}

fn registers(plan: &Plan) -> Vec<Range<u64>> {
    let board = &plan.board;
    let distributor = board.distributor.value()..board.distributor.value() + FRAME;
    let mut out: Vec<_> = std::iter::once(distributor).collect();
    for (number, cpu) in plan.cpus.iter().enumerate() {
        let modes = plan.modes.iter().flat_map(|modes| &modes.modes);
        let mut places = modes.flat_map(|mode| mode.placements.iter().flatten());
        if number == 0
            || cpu.schedule.is_used()
            || places.any(|place| place.cpu == CpuIndex::at(number))
        {
            let base = cpu.redistributor.value();
            out.push(base..base + board.redistributor_stride);
        }
    }
    // A GICv4.1's has two more, of virtual SGIs.
    let frames = if plan.v41().is_some() { 4 } else { 2 };
    out.extend(plan.its.iter().map(|its| its.base.value()..its.base.value() + frames * FRAME));
    let closed = plan.closed_smmus.iter().map(|smmu| smmu.base.value());
    let smmus = plan.smmus.iter().map(|smmu| smmu.base.value()).chain(closed);
    out.extend(smmus.map(|base| base..base + 2 * FRAME));
    if let Console::Uart(uart) = &board.console {
        let page = uart.base.value() / PAGE * PAGE;
        out.push(page..page + PAGE);
    }
    let configs = plan.functions.iter().map(|function| function.space.config.value());
    let configs = configs.chain(plan.bridges.iter().map(|bridge| bridge.space.config.value()));
    out.extend(configs.map(|base| base..base + PAGE));
    let tables = plan.functions.iter().filter_map(|function| function.msix?.pages);
    out.extend(tables.map(|pages| pages.base.value()..pages.base.value() + pages.bytes));
    out
}

/// In order, those that touch or overlap made one.
fn joined(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|range| range.start);
    let mut out: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

#[test]
fn systems_of_scenarios() {
    let directory = tests::root().join("tests/qemu/systems");
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".toml"))
        // Their trees are made when they run.
        .filter(|name| !["linux-trees", "linux-nodes"].iter().any(|own| name.starts_with(own)))
        .collect();
    names.sort();
    for name in &names {
        hold(&stand_in::at(&format!("tests/qemu/systems/{name}")));
    }
    assert!(names.len() > 50);
}

/// Reserved memory at both ends of the RAM and inside, aligned to pages only.
#[test]
fn nothing_reserved_is_mapped() {
    let directory = stand_in::directory("reserved");
    let mut reserved = String::new();
    for (name, base, size) in [("inside", 0x4060_0000u64, "12 KiB"), ("top", 0x7fff_7000, "36 KiB")]
    {
        reserved += &format!(
            "[[reserved]]\nname = \"{name}\"\nbase = {base:#x}\nsize = \"{size}\"\nreason = \
             \"test\"\n\n"
        );
    }
    let board = stand_in::board(&[("[gic]\n", &format!("{reserved}[gic]\n"))]);
    let system = "[system]\nname = \"reserved\"\nboard = \"board.toml\"\n\n[[vm]]\nname = \"hello\"\n\
                  partition = \"hello\"\nvpes = [{ cpu = \"cpu0\" }]\nmemory = [{ size = \"200 KiB\" }]\n";
    let system = stand_in::good(stand_in::written(&directory, system, &board));
    let plan = stand_in::good(stand_in::plan(&system, &directory));
    hold(&plan);
    assert_eq!(plan.vms[0].memory[0].pa.value(), 0x4000_1000, "right after the boot stub");
    assert_eq!(plan.board.ram[0].probe.map(|word| word.value()), Some(0x7fff_6ff8));
}
