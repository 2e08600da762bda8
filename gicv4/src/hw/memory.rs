//! Memory that the ITS and redistributors read: the command queue and LPI configuration bytes.

use super::publish;
use crate::command::Encoded;
use crate::intid::IntId;
use crate::lpi::{ConfigTable, LpiConfig};
use crate::queue::QueueMemory;

/// A command queue in RAM.
#[derive(Debug)]
pub struct QueueRam {
    base: *mut Encoded,
    slots: u32,
}

// SAFETY: the memory belongs to this value alone (see `new`), whichever CPU holds it.
unsafe impl Send for QueueRam {}

impl QueueRam {
    /// # Safety
    /// `base` points at the `slots` commands that GITS_CBASER names, mapped writable as normal memory for the life of the value, and
    /// nothing else in the program accesses them.
    pub const unsafe fn new(base: *mut Encoded, slots: u32) -> Self {
        Self { base, slots }
    }
}

impl QueueMemory for QueueRam {
    #[inline]
    fn slots(&self) -> u32 {
        self.slots
    }

    #[inline]
    fn store(&mut self, slot: u32, command: &Encoded) {
        if slot < self.slots {
            let place = self.base.wrapping_add(slot as usize);
            // SAFETY: within the memory that `new` was promised, and aligned as it was.
            unsafe { place.write_volatile(command.map(u64::to_le)) }
        }
    }

    #[inline]
    fn publish(&self) {
        publish();
    }
}

/// An LPI configuration table in RAM, physical or virtual.
#[derive(Debug)]
pub struct LpiTable {
    base: *mut u8,
    bytes: u32,
}

// SAFETY: the memory belongs to this value alone (see `new`), whichever CPU holds it.
unsafe impl Send for LpiTable {}

impl LpiTable {
    /// # Safety
    /// `base` points at the `bytes` configuration bytes from LPI 8192 on, mapped writable as normal memory for the life of the value,
    /// and nothing else in the program writes them at the same time.
    pub const unsafe fn new(base: *mut u8, bytes: u32) -> Self {
        Self { base, bytes }
    }
}

impl ConfigTable for LpiTable {
    #[inline]
    fn store(&mut self, intid: IntId, config: LpiConfig) {
        if let Some(index) = intid.lpi_index()
            && index < self.bytes
        {
            let place = self.base.wrapping_add(index as usize);
            // SAFETY: within the memory that `new` was promised.
            unsafe { place.write_volatile(config.byte()) }
        }
    }

    #[inline]
    fn publish(&self) {
        publish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_stay_within_the_queue() {
        let mut ram = [[0u64; 4]; 3];
        // SAFETY: the queue is `ram`'s first two commands, which nothing else accesses while it lives.
        let mut queue = unsafe { QueueRam::new(ram.as_mut_ptr(), 2) };
        queue.store(1, &[1, 2, 3, 4]);
        queue.store(2, &[5; 4]);
        queue.publish();
        assert_eq!(queue.slots(), 2);
        assert_eq!(ram, [[0; 4], [1u64, 2, 3, 4].map(u64::to_le), [0; 4]]);
    }

    #[test]
    fn stores_stay_within_the_table() {
        let mut ram = [0u8; 3];
        // SAFETY: the table is `ram`'s first two bytes, which nothing else accesses while it lives.
        let mut table = unsafe { LpiTable::new(ram.as_mut_ptr(), 2) };
        for intid in [0, 8191, 8193, 8194] {
            table.store(IntId::new(intid), LpiConfig::new(0xa0, true));
        }
        table.publish();
        assert_eq!(ram, [0, 0xa3, 0]);
    }
}
