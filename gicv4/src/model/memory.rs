// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sparse memory, and the views of it that drivers write through.

use super::Gic;
use crate::given::Vetted;
use crate::intid::IntId;
use crate::lpi::{ConfigTable, LpiConfig};
use crate::queue::QueueMemory;
use std::boxed::Box;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::vec;
use std::vec::Vec;

/// Memory that reads as zero where nothing was written.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pages: BTreeMap<u64, Box<[u8; 4096]>>,
}

impl Memory {
    pub(super) fn read(&self, address: u64) -> u8 {
        self.pages.get(&(address >> 12)).map_or(0, |page| page[(address & 0xfff) as usize])
    }
    pub(super) fn write(&mut self, address: u64, byte: u8) {
        let page = self.pages.entry(address >> 12).or_insert_with(|| Box::new([0; 4096]));
        page[(address & 0xfff) as usize] = byte;
    }
    pub(super) fn read64(&self, address: u64) -> u64 {
        u64::from_le_bytes(core::array::from_fn(|n| self.read(address + n as u64)))
    }
    pub(super) fn bit(&self, table: u64, bit: u32) -> bool {
        self.read(table + u64::from(bit / 8)) & (1 << (bit % 8)) != 0
    }
    pub(super) fn set_bit(&mut self, table: u64, bit: u32, value: bool) {
        let address = table + u64::from(bit / 8);
        let (byte, mask) = (self.read(address), 1 << (bit % 8));
        self.write(address, if value { byte | mask } else { byte & !mask });
    }
    pub(super) fn read_range(&self, address: u64, bytes: u64) -> Vec<u8> {
        let mut range = vec![0; bytes as usize];
        let end = address + bytes;
        for (number, page) in self.pages.range(address >> 12..=end >> 12) {
            let base = number << 12;
            let (from, to) = (address.max(base), end.min(base + 4096));
            if from < to {
                range[(from - address) as usize..(to - address) as usize]
                    .copy_from_slice(&page[(from - base) as usize..(to - base) as usize]);
            }
        }
        range
    }
    /// Bits that are set in a table of `bytes`, beginning at bit `from`, a multiple of 8.
    pub(super) fn bits(
        &self,
        table: u64,
        bytes: u64,
        from: u32,
    ) -> impl Iterator<Item = u32> + use<> {
        let first = u64::from(from / 8);
        let range = self.read_range(table + first, bytes.saturating_sub(first));
        (0..).zip(range).filter(|(_, byte)| *byte != 0).flat_map(move |(n, byte)| {
            (0..8).filter(move |bit| byte & (1 << bit) != 0).map(move |bit| from + 8 * n + bit)
        })
    }
}

/// What a CPU has stored and not made visible yet. It stays here until `publish`, as in a CPU's
/// store buffer or cache.
#[derive(Clone, Debug, Default)]
struct Stores(Arc<Mutex<Vec<(u64, u8)>>>);

impl Stores {
    fn store(&self, address: u64, bytes: &[u8]) {
        let mut stores = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        stores.extend((address..).zip(bytes.iter().copied()));
    }
    fn publish(&self, gic: &Gic) {
        let mut stores = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        stores.drain(..).for_each(|(address, byte)| gic.write_byte(address, byte));
    }
}

/// A command queue in model memory.
#[derive(Clone, Debug)]
pub struct ModelQueue {
    gic: Gic,
    address: u64,
    slots: u32,
    stores: Stores,
}

impl ModelQueue {
    pub(super) fn new(gic: Gic, address: u64, slots: u32) -> Self {
        Self { gic, address, slots, stores: Stores::default() }
    }
}

impl QueueMemory for ModelQueue {
    fn slots(&self) -> u32 {
        self.slots
    }
    fn store(&mut self, slot: u32, command: &Vetted) {
        if slot < self.slots {
            for (offset, word) in (0..).step_by(8).zip(command.words()) {
                let address = self.address + 32 * u64::from(slot) + offset;
                self.stores.store(address, &word.to_le_bytes());
            }
        }
    }
    fn publish(&self) {
        self.stores.publish(&self.gic);
    }
}

/// An LPI configuration table in model memory.
#[derive(Clone, Debug)]
pub struct ModelTable {
    gic: Gic,
    address: u64,
    bytes: u32,
    stores: Stores,
}

impl ModelTable {
    pub(super) fn new(gic: Gic, address: u64, bytes: u32) -> Self {
        Self { gic, address, bytes, stores: Stores::default() }
    }
}

impl ConfigTable for ModelTable {
    fn store(&mut self, intid: IntId, config: LpiConfig) {
        if let Some(index) = intid.lpi_index().filter(|index| *index < self.bytes) {
            self.stores.store(self.address + u64::from(index), &[config.byte()]);
        }
    }
    fn publish(&self) {
        self.stores.publish(&self.gic);
    }
}
