//! A register frame in physical memory.

use crate::frame::Frame;

/// A frame at a virtual address that is mapped Device-nGnRE, or Device-nGnRnE.
#[derive(Clone, Copy, Debug)]
pub struct MmioFrame {
    base: usize,
}

impl MmioFrame {
    /// # Safety
    /// `base` is the address of a GICD, GICR (RD_base) or GITS control frame, mapped as device memory for the whole life of the
    /// value and its copies. The code that programs the frame's table registers (GITS_BASERn, GITS_CBASER, GICR_PROPBASER, ...) owns
    /// the memory that they name.
    pub const unsafe fn new(base: usize) -> Self {
        Self { base }
    }

    pub const fn base(self) -> usize {
        self.base
    }
}

#[cfg(target_arch = "aarch64")]
macro_rules! access {
    ($load:ident, $store:ident, $type:ty, $ldr:literal, $str:literal) => {
        #[inline(always)]
        fn $load(&self, offset: usize) -> $type {
            let value: $type;
            // SAFETY: `new` was promised a mapped device frame, and offsets are those of its registers; a load from
            // device memory does not touch the program's own.
            unsafe {
                core::arch::asm!($ldr, value = out(reg) value, address = in(reg) self.base.wrapping_add(offset),
                    options(nostack, preserves_flags));
            }
            value
        }
        #[inline(always)]
        fn $store(&self, offset: usize, value: $type) {
            // SAFETY: as for the load; what the register's new value makes the GIC do to memory was promised as well.
            unsafe {
                core::arch::asm!($str, value = in(reg) value, address = in(reg) self.base.wrapping_add(offset),
                    options(nostack, preserves_flags));
            }
        }
    };
}

#[cfg(not(target_arch = "aarch64"))]
macro_rules! access {
    ($load:ident, $store:ident, $type:ty, $ldr:literal, $str:literal) => {
        fn $load(&self, offset: usize) -> $type {
            // SAFETY: `new` was promised a mapped frame that holds every register of its kind.
            unsafe { (self.base.wrapping_add(offset) as *const $type).read_volatile() }
        }
        fn $store(&self, offset: usize, value: $type) {
            // SAFETY: as for the load.
            unsafe { (self.base.wrapping_add(offset) as *mut $type).write_volatile(value) }
        }
    };
}

impl Frame for MmioFrame {
    access!(read32, write32, u32, "ldr {value:w}, [{address}]", "str {value:w}, [{address}]");
    access!(read64, write64, u64, "ldr {value}, [{address}]", "str {value}, [{address}]");

    #[inline(always)]
    fn write8(&self, offset: usize, value: u8) {
        let address = self.base.wrapping_add(offset);
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as for `write32`.
        unsafe {
            core::arch::asm!("strb {value:w}, [{address}]", value = in(reg) u32::from(value), address = in(reg) address,
                options(nostack, preserves_flags));
        }
        #[cfg(not(target_arch = "aarch64"))]
        // SAFETY: as for `write32`.
        unsafe {
            (address as *mut u8).write_volatile(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accesses_are_as_wide_as_they_say() {
        let mut registers = [0u64; 2];
        // SAFETY: memory serves as a frame of two doublewords, which nothing else accesses while it lives.
        let frame = unsafe { MmioFrame::new(registers.as_mut_ptr() as usize) };
        frame.write64(8, 0x1122_3344_5566_7788);
        frame.write32(12, 0xaabb_ccdd);
        frame.write8(8, 0xff);
        assert_eq!(frame.read64(8), 0xaabb_ccdd_5566_77ff);
        assert_eq!(frame.read32(8), 0x5566_77ff);
        assert_eq!((frame.read64(0), frame.base()), (0, registers.as_ptr() as usize));
    }
}
