// SPDX-License-Identifier: Apache-2.0 OR MIT
//! PCI bridges: which are needed, and what memory each passes on.
//!
//! A bridge passes on one window in units of 1 MiB (PCI-to-PCI Bridge 1.2, 3.2.5.8). It holds, one
//! after another, the BARs of each VM's functions right behind it, in units of a VM's own, and the
//! windows of further bridges. So a VM can be shown a smaller window around its own. Everything
//! lies below 4 GiB: the window above is for prefetchable memory only.

use super::Arena;
use super::pci::{self, OFFSET_COMMAND, PAGE, write};
use crate::model::System;
use ::plan::{Bar, ConfigSpace, ConfigWrite, Hex, Pa, PciBridge, PciFunction, View, VmIndex};

const MIB: u64 = 1 << 20;
/// Command register: memory space, bus master, interrupt pin off.
const COMMAND: u64 = 1 << 1 | 1 << 2 | 1 << 10;
const OFFSET_BUSES: u16 = 0x18;
const OFFSET_IO: u16 = 0x1c;
const OFFSET_MEMORY: u16 = 0x20;
const OFFSET_PREFETCHABLE: u16 = 0x24;
const OFFSET_PREFETCHABLE_BASE: u16 = 0x28;
const OFFSET_PREFETCHABLE_LIMIT: u16 = 0x2c;
const OFFSET_IO_UPPER: u16 = 0x30;
const OFFSET_CONTROL: u16 = 0x3c;
/// A base above its limit: nothing passes.
const IO_CLOSED: u64 = 0xf0;
const MEMORY_CLOSED: u64 = 0xfff0;

/// Bridges that some VM needs, none before the one that it is behind; windows are not yet placed.
pub fn needed(system: &System) -> Vec<PciBridge> {
    let board = &system.board;
    let seen: Vec<_> = system.vms.iter().map(|vm| board.bridges_of(vm)).collect();
    let mut out = Vec::new();
    for (index, bridge) in board.bridges.iter().enumerate() {
        let vms = (0..seen.len()).filter(|&vm| seen[vm].contains(&index));
        let views: Vec<View> =
            vms.map(|vm| View { vm: VmIndex::at(vm), base: Hex(0), bytes: 0 }).collect();
        if views.is_empty() {
            continue;
        }
        out.push(PciBridge {
            name: bridge.name.value.clone(),
            place: pci::place_of(&board.pcie[bridge.host.value], bridge.address.value),
            primary: bridge.address.value.bus,
            space: ConfigSpace {
                host: bridge.host.value,
                bdf: bridge.address.requester(),
                config: Pa::new(board.pcie[bridge.host.value].config(bridge.address.value)),
                id: Hex(pci::identity(bridge.id.value)),
            },
            secondary: bridge.secondary.value,
            subordinate: bridge.subordinate.value,
            bars: bridge.bars.iter().map(pci::bar).collect(),
            acs: bridge.acs,
            base: Hex(0),
            bytes: 0,
            views,
            setup: Vec::new(),
        });
    }
    // What is behind a bridge leads to later buses than it.
    out.sort_by_key(|bridge| (bridge.space.host, bridge.secondary));
    out
}

/// Places everything behind bridge `n`, which is on the host's own bus, and its own BARs. None: no
/// room.
pub fn place(
    bridges: &mut [PciBridge],
    functions: &mut [PciFunction],
    n: usize,
    low: &mut Arena,
) -> Option<()> {
    // First from address 0, to know how much it is.
    let mut layout = Layout { bridges, functions, align: MIB };
    let end = layout.behind(n, 0);
    let mut own: Vec<&mut Bar> = layout.bridges[n].bars.iter_mut().collect();
    let start = largest(&own).map_or(end, |bytes| end.next_multiple_of(bytes));
    layout.align = layout.align.max(largest(&own).unwrap_or(0));
    let end = pci::stack(&mut own, start);
    let base = match end {
        0 => 0,
        _ => low.take(end, layout.align)?,
    };
    layout.shift(n, base);
    Some(())
}

struct Layout<'a> {
    bridges: &'a mut [PciBridge],
    functions: &'a mut [PciFunction],
    /// Largest unit that anything must be a multiple of.
    align: u64,
}

impl Layout<'_> {
    /// Lays out what is behind bridge `n` from `start` on, a multiple of 1 MiB; where it ends.
    fn behind(&mut self, n: usize, start: u64) -> u64 {
        let (host, bus) = (self.bridges[n].space.host, u16::from(self.bridges[n].secondary));
        let mut at = start;
        for view in &mut self.bridges[n].views {
            let own = self.functions.iter_mut().filter(|function| {
                function.vm == view.vm
                    && function.space.host == host
                    && function.space.bdf >> 8 == bus
            });
            let mut bars: Vec<&mut Bar> = own.flat_map(|function| &mut function.bars).collect();
            let Some(largest) = largest(&bars) else { continue };
            self.align = self.align.max(largest);
            at = at.next_multiple_of(largest.max(MIB));
            let end = pci::stack(&mut bars, at).next_multiple_of(MIB);
            cover(view, at, end);
            at = end;
        }
        for child in n + 1..self.bridges.len() {
            if self.bridges[child].space.host != host || self.bridges[child].space.bdf >> 8 != bus {
                continue;
            }
            let mut own: Vec<&mut Bar> = self.bridges[child].bars.iter_mut().collect();
            if let Some(largest) = largest(&own) {
                self.align = self.align.max(largest);
                at = at.next_multiple_of(largest.max(MIB));
                at = pci::stack(&mut own, at).next_multiple_of(MIB);
            }
            at = self.behind(child, at);
            let parts = self.bridges[child].views.clone();
            for part in parts.iter().filter(|part| part.bytes != 0) {
                let mut views = self.bridges[n].views.iter_mut();
                if let Some(view) = views.find(|view| view.vm == part.vm) {
                    cover(view, part.base.0, part.base.0 + part.bytes);
                }
            }
        }
        let bridge = &mut self.bridges[n];
        (bridge.base, bridge.bytes) = (Hex(start), at - start);
        at
    }

    /// Moves what is behind bridge `n`, and its own BARs, up by `base`.
    fn shift(&mut self, n: usize, base: u64) {
        let (host, own) = (self.bridges[n].space.host, self.bridges[n].space.bdf);
        let behind = u16::from(self.bridges[n].secondary)..=u16::from(self.bridges[n].subordinate);
        let here = |on: usize, bdf: u16| on == host && behind.contains(&(bdf >> 8));
        for function in self.functions.iter_mut() {
            if here(function.space.host, function.space.bdf) {
                function.bars.iter_mut().for_each(|bar| bar.bus.0 += base);
            }
        }
        for bridge in self.bridges.iter_mut() {
            if here(bridge.space.host, bridge.space.bdf)
                || (bridge.space.host, bridge.space.bdf) == (host, own)
            {
                bridge.bars.iter_mut().for_each(|bar| bar.bus.0 += base);
                if bridge.bytes != 0 {
                    bridge.base.0 += base;
                }
                let views = bridge.views.iter_mut().filter(|view| view.bytes != 0);
                views.for_each(|view| view.base.0 += base);
                bridge.setup = setup(bridge);
            }
        }
    }
}

/// Bytes of the largest, in whole pages.
fn largest(bars: &[&mut Bar]) -> Option<u64> {
    bars.iter().map(|bar| bar.bytes.max(PAGE)).max()
}

/// Makes the view's window reach from `start` to `end`, too.
fn cover(view: &mut View, start: u64, end: u64) {
    if view.bytes == 0 {
        (view.base, view.bytes) = (Hex(start), end - start);
        return;
    }
    let last = end.max(view.base.0 + view.bytes);
    view.base.0 = view.base.0.min(start);
    view.bytes = last - view.base.0;
}

/// The writes that open it: off, numbers and windows, on. I/O and prefetchable windows are closed.
fn setup(bridge: &PciBridge) -> Vec<ConfigWrite> {
    let primary = u64::from(bridge.space.bdf >> 8);
    let buses = u64::from(bridge.subordinate) << 16 | u64::from(bridge.secondary) << 8 | primary;
    let memory = match bridge.bytes {
        0 => MEMORY_CLOSED,
        bytes => {
            let last = bridge.base.0 + bytes - MIB;
            (last & 0xfff0_0000) | (bridge.base.0 >> 16 & 0xfff0)
        }
    };
    let mut out = vec![write(OFFSET_COMMAND, 0)];
    out.extend(pci::bar_setup(&bridge.bars));
    out.extend([
        write(OFFSET_BUSES, buses),
        write(OFFSET_IO, IO_CLOSED),
        write(OFFSET_MEMORY, memory),
        write(OFFSET_PREFETCHABLE, MEMORY_CLOSED),
        write(OFFSET_PREFETCHABLE_BASE, 0),
        write(OFFSET_PREFETCHABLE_LIMIT, 0),
        write(OFFSET_IO_UPPER, 0),
        write(OFFSET_CONTROL, 0),
        write(OFFSET_COMMAND, COMMAND),
    ]);
    out
}
