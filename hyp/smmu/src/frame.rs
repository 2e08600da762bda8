// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Access to an SMMU's registers: what hardware and the software SMMU have in common.

/// Reads and writes registers by byte offset from the SMMU's base; page 1 is at 0x1_0000.
///
/// Offsets are those of [`crate::regs`], aligned to the access. A write is complete, in the order
/// of the program, before the next access through the same frame.
pub trait Frame {
    fn read32(&self, offset: usize) -> u32;
    fn read64(&self, offset: usize) -> u64;
    fn write32(&self, offset: usize, value: u32);
    fn write64(&self, offset: usize, value: u64);
}

impl<F: Frame + ?Sized> Frame for &F {
    fn read32(&self, offset: usize) -> u32 {
        (**self).read32(offset)
    }
    fn read64(&self, offset: usize) -> u64 {
        (**self).read64(offset)
    }
    fn write32(&self, offset: usize, value: u32) {
        (**self).write32(offset, value);
    }
    fn write64(&self, offset: usize, value: u64) {
        (**self).write64(offset, value);
    }
}
