// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A PCIe host bridge of the device tree: its configuration space, buses and windows.
//!
//! The binding is that of `pci-host-ecam-generic`: configuration space begins with the first bus of
//! `bus-range`. Hosts are told apart by their domains; where the tree gives none, they are counted.

use core::ops::RangeInclusive;

use dtoolkit::fdt::FdtNode;
use dtoolkit::{Node, Property};

use crate::machine::{Region, cell, intid, number, regions, wide};

const BUS_BITS: u32 = 20;
const FUNCTION_BITS: u32 = 12;
/// Cells of an entry of `interrupt-map`, whose GIC has addresses of two cells.
const MAP: usize = 10;

#[derive(Clone, Debug)]
pub struct Host {
    node: FdtNode<'static>,
    /// Number of its PCI domain.
    pub domain: u32,
    /// Configuration space of all its buses.
    pub ecam: Region,
    /// First and last bus.
    pub buses: RangeInclusive<u8>,
}

impl Host {
    /// `position`: its number among the tree's. None: it has no configuration space.
    pub(crate) fn new(node: FdtNode<'static>, position: u32) -> Option<Self> {
        let ecam = regions(node).next()?;
        let range = node.property("bus-range");
        let range = range.and_then(|range| range.value_as::<[u32; 2]>().ok());
        let held = (ecam.bytes >> BUS_BITS).clamp(1, 256) as u32;
        let [first, last] = range.unwrap_or([0, held - 1]);
        let domain = number(&node, "linux,pci-domain");
        let domain = domain.map_or(position, |domain| domain as u32);
        Some(Self { node, domain, ecam, buses: first as u8..=last as u8 })
    }

    /// Configuration space of one function: bus << 8 | device << 3 | function. None: it is on none
    /// of the buses.
    pub fn config(&self, bdf: u16) -> Option<Region> {
        let first = u64::from(*self.buses.start()) << 8;
        let place = u64::from(bdf).checked_sub(first)? << FUNCTION_BITS;
        let config = Region { base: self.ecam.base + place, bytes: 1 << FUNCTION_BITS };
        (config.end() <= self.ecam.end()).then_some(config)
    }

    /// Where BARs lie.
    pub fn windows(&self) -> impl Iterator<Item = Region> + use<> {
        self.ranges().map(|(_, window)| window)
    }

    /// Where an address of the bus is here. None: it is in no window.
    pub fn translate(&self, bus: u64) -> Option<u64> {
        self.ranges().find_map(|(first, window)| {
            let offset = bus.checked_sub(first).filter(|&offset| offset < window.bytes)?;
            Some(window.base + offset)
        })
    }

    /// INTID of a pin of the host's own bus, 1 for INTA, by the map that the tree has. None: it is
    /// not there.
    pub fn interrupt(&self, device: u8, pin: u8) -> Option<u32> {
        let map = self.node.property("interrupt-map")?.value_as::<&'static [u8]>().ok()?;
        let wanted = [u32::from(device) << 11, u32::from(pin)];
        // Address and pin here (4 cells), the GIC and its address (3), type, number and flags.
        map.chunks_exact(MAP * 4).find_map(|entry| {
            let own = [cell(entry, 0)? & 0xf800, cell(entry, 3)?];
            if own == wanted { intid(cell(entry, 7)?, cell(entry, 8)?) } else { None }
        })
    }

    /// First address on the bus of each window, and the window.
    fn ranges(&self) -> impl Iterator<Item = (u64, Region)> + use<> {
        let ranges = self.node.property("ranges");
        let ranges = ranges.and_then(|ranges| ranges.value_as::<&'static [u8]>().ok());
        // Address on the bus (3 cells, of which the first tells the kind), here (2), size (2).
        ranges.unwrap_or(&[]).chunks_exact(7 * 4).filter_map(|range| {
            Some((wide(range, 1)?, Region { base: wide(range, 3)?, bytes: wide(range, 5)? }))
        })
    }
}
