//! Access to a register frame: the one thing that hardware and the software model have in common.

/// Reads and writes registers by byte offset from the frame's base.
///
/// Methods take `&self`: registers are shared with the hardware in any case, and several CPUs use one distributor. Offsets are
/// those of [`crate::regs`], always aligned to the access. A redistributor's RD, SGI and VLPI frames are one `Frame`.
pub trait Frame {
    fn read32(&self, offset: usize) -> u32;
    fn read64(&self, offset: usize) -> u64;
    fn write32(&self, offset: usize, value: u32);
    fn write64(&self, offset: usize, value: u64);
    /// For IPRIORITYR, the only registers with byte access that are used here.
    fn write8(&self, offset: usize, value: u8);
}

impl<F: Frame + ?Sized> Frame for &F {
    #[inline]
    fn read32(&self, offset: usize) -> u32 {
        (**self).read32(offset)
    }
    #[inline]
    fn read64(&self, offset: usize) -> u64 {
        (**self).read64(offset)
    }
    #[inline]
    fn write32(&self, offset: usize, value: u32) {
        (**self).write32(offset, value);
    }
    #[inline]
    fn write64(&self, offset: usize, value: u64) {
        (**self).write64(offset, value);
    }
    #[inline]
    fn write8(&self, offset: usize, value: u8) {
        (**self).write8(offset, value);
    }
}
