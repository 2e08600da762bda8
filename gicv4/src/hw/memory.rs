// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Memory that the ITS and redistributors read: the command queue and LPI configuration bytes.

use super::{clean, publish};
use crate::command::Encoded;
use crate::given::Vetted;
use crate::intid::IntId;
use crate::lpi::{ConfigTable, LpiConfig};
use crate::queue::QueueMemory;

/// A command queue in RAM.
#[derive(Debug)]
pub struct QueueRam<const COHERENT: bool = true> {
    base: *mut Encoded,
    slots: u32,
}

// SAFETY: the memory belongs to this value alone (see `new`), whichever CPU holds it.
unsafe impl<const COHERENT: bool> Send for QueueRam<COHERENT> {}

impl<const COHERENT: bool> QueueRam<COHERENT> {
    /// # Safety
    /// `base` points at the `slots` commands that GITS_CBASER names, aligned to 32 bytes and mapped
    /// writable as normal memory for the life of the value, and nothing else in the program
    /// accesses them.
    pub const unsafe fn new(base: *mut Encoded, slots: u32) -> Self {
        Self { base, slots }
    }
}

impl<const COHERENT: bool> QueueMemory for QueueRam<COHERENT> {
    #[inline]
    fn slots(&self) -> u32 {
        self.slots
    }

    #[inline]
    fn store(&mut self, slot: u32, command: &Vetted) {
        if slot < self.slots {
            let place = self.base.wrapping_add(slot as usize);
            // SAFETY: within the memory that `new` was promised, and aligned as it was.
            unsafe { place.write_volatile(little_endian(command.words())) }
            if !COHERENT {
                clean(place as usize);
            }
        }
    }

    #[inline]
    fn publish(&self) {
        publish();
    }
}

/// A loop over four words would not be unrolled where code is to be small.
#[inline(always)]
fn little_endian(&[a, b, c, d]: &Encoded) -> Encoded {
    [a.to_le(), b.to_le(), c.to_le(), d.to_le()]
}

/// An LPI configuration table in RAM, physical or virtual.
#[derive(Debug)]
pub struct LpiTable<const COHERENT: bool = true> {
    base: *mut u8,
    bytes: u32,
}

// SAFETY: the memory belongs to this value alone (see `new`), whichever CPU holds it.
unsafe impl<const COHERENT: bool> Send for LpiTable<COHERENT> {}

impl<const COHERENT: bool> LpiTable<COHERENT> {
    /// # Safety
    /// `base` points at the `bytes` configuration bytes from LPI 8192 on, mapped writable as normal
    /// memory for the life of the value, and nothing else in the program accesses them at the same
    /// time.
    pub const unsafe fn new(base: *mut u8, bytes: u32) -> Self {
        Self { base, bytes }
    }
}

impl<const COHERENT: bool> ConfigTable for LpiTable<COHERENT> {
    #[inline]
    fn store(&mut self, intid: IntId, config: LpiConfig) {
        if let Some(index) = intid.lpi_index()
            && index < self.bytes
        {
            let place = self.base.wrapping_add(index as usize);
            // SAFETY: within the memory that `new` was promised.
            unsafe { place.write_volatile(config.byte()) }
            if !COHERENT {
                clean(place as usize);
            }
        }
    }

    #[inline]
    fn publish(&self) {
        publish();
    }
}

#[cfg(test)]
pub(super) mod tests {
    extern crate std;

    use super::super::LINE;
    use super::*;
    use core::cell::RefCell;
    use std::vec::Vec;

    std::thread_local! {
        /// Lines that this thread has cleaned.
        pub static CLEANED: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
    }

    /// Memory behind a cache that nobody looks into: what is not cleaned never gets there.
    #[repr(align(64))]
    struct Behind<T, const LINES: usize>([T; LINES]);

    const ONES: Vetted = Vetted::new([1; 4]).unwrap();

    /// Lines of `ram` that were cleaned since the last call.
    fn cleaned<T>(ram: *const T) -> Vec<usize> {
        let lines = CLEANED.with_borrow_mut(core::mem::take);
        lines.into_iter().map(|line| (line - ram as usize) / LINE).collect()
    }

    #[test]
    fn a_gic_that_is_not_coherent_finds_each_line_in_memory() {
        let mut ram = Behind([[0u64; 4]; 8]);
        let base = ram.0.as_mut_ptr();
        // SAFETY: the queue is `ram`, which nothing else accesses while it lives.
        let mut queue = unsafe { QueueRam::<false>::new(base, 8) };
        for slot in [0, 1, 2, 7] {
            queue.store(slot, &ONES);
        }
        queue.store(8, &ONES);
        assert_eq!(cleaned(base), [0, 0, 1, 3], "each command's line, and none beyond");
        // SAFETY: as above; the other queue is not used any more.
        let mut queue = unsafe { QueueRam::<true>::new(base, 8) };
        queue.store(0, &ONES);
        assert_eq!(cleaned(base), [0usize; 0], "no maintenance where it is coherent");

        let mut ram = Behind([0u8; 256]);
        let base = ram.0.as_mut_ptr();
        // SAFETY: the table is `ram`, which nothing else accesses while it lives.
        let mut table = unsafe { LpiTable::<false>::new(base, 256) };
        for intid in [8192, 8255, 8256, 8447, 8448] {
            table.store(IntId::new(intid), LpiConfig::new(0xa0, true));
        }
        assert_eq!(cleaned(base), [0, 0, 1, 3]);
    }

    #[test]
    fn stores_stay_within_the_queue() {
        let mut ram = [[0u64; 4]; 3];
        // SAFETY: the queue is `ram`'s first two commands, which nothing else accesses while it
        // lives.
        let mut queue = unsafe { QueueRam::<true>::new(ram.as_mut_ptr(), 2) };
        queue.store(1, &Vetted::new([1, 2, 3, 4]).unwrap());
        queue.store(2, &ONES);
        queue.publish();
        assert_eq!(queue.slots(), 2);
        assert_eq!(ram, [[0; 4], [1u64, 2, 3, 4].map(u64::to_le), [0; 4]]);
    }

    #[test]
    fn stores_stay_within_the_table() {
        let mut ram = [0u8; 3];
        // SAFETY: the table is `ram`'s first two bytes, which nothing else accesses while it lives.
        let mut table = unsafe { LpiTable::<true>::new(ram.as_mut_ptr(), 2) };
        for intid in [0, 8191, 8193, 8194] {
            table.store(IntId::new(intid), LpiConfig::new(0xa0, true));
        }
        table.publish();
        assert_eq!(ram, [0, 0xa3, 0]);
    }
}
