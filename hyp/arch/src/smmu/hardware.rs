// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An SMMU's registers, stream table and queues, for the driver in the crate `smmu`.

use crate::lines;
use crate::sysreg::dsb_sy;
use crate::system::{System, is_entry};
use core::marker::PhantomData;
use plan::{ClosedSmmu, Pa, Smmu, Span};
use smmu::{CommandMemory, EventMemory, Frame, StreamMemory, command, event};

/// Bytes of its two register pages.
const REGISTERS: u64 = 128 << 10;

/// The register pages of an SMMU of the plan, mapped as device memory in EL2's table for good.
#[derive(Clone, Copy)]
pub(super) struct Registers(Option<Pa>);

impl Registers {
    /// Nothing, which reads as ones, for an SMMU that is not the plan's.
    pub(super) fn of<S: System>(smmu: &Smmu) -> Self {
        Self(is_entry(S::PLAN.smmus, smmu).then_some(smmu.base))
    }

    /// Likewise for one that no VM's device is behind.
    pub(super) fn of_closed<S: System>(smmu: &ClosedSmmu) -> Self {
        Self(is_entry(S::PLAN.closed_smmus, smmu).then_some(smmu.base))
    }

    fn word(self, offset: usize) -> Option<*mut u32> {
        let offset = offset as u64 & !3;
        let base = self.0.filter(|_| offset < REGISTERS)?;
        Some(base.offset(offset).value() as *mut u32)
    }

    fn put(self, offset: usize, value: u32) {
        if let Some(word) = self.word(offset) {
            // SAFETY: a register of the SMMU; no Rust object lies there.
            unsafe { word.write_volatile(value) };
        }
    }
}

/// Registers of 64 bits are accessed as two halves, which the manual allows (IHI 0070 6.2).
impl Frame for Registers {
    fn read32(&self, offset: usize) -> u32 {
        match self.word(offset) {
            // SAFETY: as for `put`.
            Some(word) => unsafe { word.read_volatile() },
            None => u32::MAX,
        }
    }
    fn read64(&self, offset: usize) -> u64 {
        let low = u64::from(self.read32(offset));
        low | u64::from(self.read32(offset.wrapping_add(4))) << 32
    }
    fn write32(&self, offset: usize, value: u32) {
        self.put(offset, value);
        dsb_sy();
    }
    fn write64(&self, offset: usize, value: u64) {
        self.put(offset, value as u32);
        self.write32(offset.wrapping_add(4), (value >> 32) as u32);
    }
}

/// A queue of an SMMU, in memory that the plan gives to it alone.
///
/// An SMMU that does not look into caches finds each word in memory after the next barrier, and
/// what it wrote is read from there.
pub(super) struct Words {
    base: Pa,
    bytes: u64,
    coherent: bool,
}

impl Words {
    /// The command queue; of no bytes for an SMMU that is not the plan's.
    pub(super) fn commands<S: System>(smmu: &Smmu) -> Self {
        Self::queue::<S>(smmu, smmu.commands)
    }

    /// The event queue, likewise.
    pub(super) fn events<S: System>(smmu: &Smmu) -> Self {
        Self::queue::<S>(smmu, smmu.events)
    }

    fn queue<S: System>(smmu: &Smmu, Span { base, bytes }: Span) -> Self {
        let bytes = if is_entry(S::PLAN.smmus, smmu) { bytes } else { 0 };
        let words = Self { base, bytes, coherent: smmu.coherent };
        words.publish_all(0, bytes);
        words
    }

    /// `bytes` from `offset` on are in memory, and in no cache.
    fn publish_all(&self, offset: u64, bytes: u64) {
        if !self.coherent {
            lines::flush(self.base.offset(offset).value(), bytes);
        }
    }

    fn place(&self, offset: u64) -> Option<*mut u64> {
        let fits = offset < self.bytes && offset.is_multiple_of(8);
        fits.then(|| self.base.offset(offset).value() as *mut u64)
    }

    fn put(&self, offset: u64, value: u64) {
        if let Some(place) = self.place(offset) {
            // SAFETY: within the memory that the plan gives to the SMMU, mapped as normal memory;
            // no Rust object lies there.
            unsafe { place.write_volatile(value) }
            self.publish_all(offset, 8);
        }
    }

    fn load(&self, offset: u64) -> u64 {
        if !self.coherent {
            self.publish_all(offset, 8);
            dsb_sy();
        }
        match self.place(offset) {
            // SAFETY: as for `put`.
            Some(place) => unsafe { place.read_volatile() },
            None => 0,
        }
    }
}

impl CommandMemory for Words {
    fn store(&mut self, slot: u32, command: &command::Encoded) {
        let at = u64::from(slot) * command::COMMAND_BYTES;
        for (n, word) in (0..).zip(command) {
            self.put(at + 8 * n, *word);
        }
    }
    fn publish(&mut self) {
        dsb_sy();
    }
}

impl EventMemory for Words {
    fn read(&self, slot: u32) -> event::Encoded {
        let at = u64::from(slot) * event::EVENT_BYTES;
        core::array::from_fn(|n| self.load(at + 8 * n as u64))
    }
    fn observe(&self) {
        dsb_sy();
    }
}

/// The stream tables of all SMMUs of the plan.
pub(super) struct Tables<S>(PhantomData<S>);

impl<S: System> Tables<S> {
    /// They are written by address.
    pub(super) const fn of_board() -> Self {
        Self(PhantomData)
    }

    /// What boot cleared of an SMMU's tables is in memory, if the SMMU does not look into caches.
    pub(super) fn publish_all(smmu: &Smmu) {
        if smmu.coherent || !is_entry(S::PLAN.smmus, smmu) {
            return;
        }
        let leaves = S::PLAN.leaves.iter().skip(smmu.first_leaf.into());
        let leaves = leaves.take(smmu.leaf_count.into()).map(|leaf| leaf.table);
        for Span { base, bytes } in leaves.chain([smmu.table]) {
            lines::flush(base.value(), bytes);
        }
        dsb_sy();
    }

    /// A doubleword of a table, or of a leaf.
    fn holds(address: u64) -> bool {
        let within = |Span { base, bytes }: Span| address.wrapping_sub(base.value()) < bytes;
        // A table of descriptors is not written.
        let mut linear = S::PLAN.smmus.iter().filter(|smmu| smmu.split.is_none());
        address.is_multiple_of(8)
            && (linear.any(|smmu| within(smmu.table))
                || S::PLAN.leaves.iter().any(|leaf| within(leaf.table)))
    }
}

impl<S: System> StreamMemory for Tables<S> {
    fn store(&mut self, address: u64, value: u64) {
        if Self::holds(address) {
            // SAFETY: within memory that the plan gives to the SMMU, mapped as normal memory; no
            // Rust object lies there.
            unsafe { (address as *mut u64).write_volatile(value) }
            // For those that look into caches it changes nothing.
            if S::PLAN.smmus.iter().any(|smmu| !smmu.coherent) {
                lines::flush(address, 8);
            }
        }
    }
    fn publish(&mut self) {
        dsb_sy();
    }
}
