// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Memory that a device may write: page-aligned pieces of the VM's own.
//!
//! Taken from the largest part of the VM's memory that neither image nor device tree uses, and
//! never given back. The address a device needs is the guest's own (IPA): the VM's memory is
//! `identity`, or an SMMU translates. The caches are coherent with PCIe devices (`dma-coherent`); a
//! driver only needs `cpu::barrier` before it rings a doorbell.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::Machine;

const PAGE: u64 = 4096;

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Memory not yet given out.
#[derive(Debug)]
pub struct Arena {
    next: u64,
    end: u64,
}

/// A piece of it. Device and driver both read and write it: every access is atomic by itself and
/// none is left out.
#[derive(Debug)]
pub struct Buffer {
    base: u64,
    bytes: u64,
}

impl Arena {
    /// The one arena there is. None: it was taken before.
    pub fn take(machine: &Machine) -> Option<Self> {
        if TAKEN.swap(true, Ordering::Relaxed) {
            return None;
        }
        let free = machine.free_memory();
        Some(Self { next: free.base, end: free.end() })
    }

    /// Bytes, rounded up to pages, all zero. None: there are not so many.
    pub fn allocate(&mut self, bytes: u64) -> Option<Buffer> {
        let buffer = self.allocate_kept(bytes)?;
        for offset in (0..buffer.bytes).step_by(8) {
            buffer.write64(offset, 0);
        }
        Some(buffer)
    }

    /// The same, but holding what the life before a restart left there: a first life finds zeros,
    /// a later one what the same allocation held.
    pub fn allocate_kept(&mut self, bytes: u64) -> Option<Buffer> {
        let bytes = bytes.checked_next_multiple_of(PAGE)?;
        let base = self.next;
        self.next = base.checked_add(bytes).filter(|end| *end <= self.end)?;
        Some(Buffer { base, bytes })
    }
}

macro_rules! access {
    ($read:ident, $write:ident, $type:ty, $atomic:ty) => {
        /// Reads at a byte offset, which must be aligned and inside.
        pub fn $read(&self, offset: u64) -> $type {
            let address = self.inside(offset, size_of::<$type>() as u64);
            // SAFETY: aligned, inside memory that belongs to this buffer alone, and only ever used
            // through atomics.
            unsafe { <$atomic>::from_ptr(address as *mut $type) }.load(Ordering::Acquire)
        }

        /// Writes at a byte offset, which must be aligned and inside.
        pub fn $write(&self, offset: u64, value: $type) {
            let address = self.inside(offset, size_of::<$type>() as u64);
            // SAFETY: as for reading.
            unsafe { <$atomic>::from_ptr(address as *mut $type) }.store(value, Ordering::Relaxed);
        }
    };
}

impl Buffer {
    access!(read32, write32, u32, AtomicU32);
    access!(read64, write64, u64, AtomicU64);

    /// What a device is told: the address of the first byte.
    pub fn address(&self) -> u64 {
        self.base
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn inside(&self, offset: u64, size: u64) -> u64 {
        assert!(
            offset.is_multiple_of(size)
                && offset.checked_add(size).is_some_and(|end| end <= self.bytes),
            "offset {offset:#x} is outside a DMA buffer of {:#x} bytes",
            self.bytes
        );
        self.base + offset
    }
}
