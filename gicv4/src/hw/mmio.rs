// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A register frame in physical memory.

use crate::frame::{Block, Frame, Readable, Register, Width, Writable};
use core::marker::PhantomData;

/// The registers of a block at a virtual address that is mapped Device-nGnRE, or Device-nGnRnE.
///
/// Not `Copy`: who has the frame has the registers. Who wants to share it lends it, since `&F` is a
/// [`Frame`] too.
#[derive(Debug)]
pub struct MmioFrame<B> {
    base: usize,
    block: PhantomData<fn() -> B>,
}

impl<B: Block> MmioFrame<B> {
    /// # Safety
    /// * The [`Block::BYTES`] from `base` on are the registers of such a block, mapped as device
    ///   memory for the whole life of the value; no Rust object lies there.
    /// * What the block's base registers name already, from firmware or an earlier user, is not
    ///   used by the program.
    /// * No value that `gicv4::model` made for its own memory is given to it.
    pub const unsafe fn new(base: usize) -> Self {
        Self { base, block: PhantomData }
    }

    /// The virtual address of the block.
    pub const fn base(&self) -> usize {
        self.base
    }
}

#[cfg(target_arch = "aarch64")]
macro_rules! access {
    ($load:ident, $store:ident, $type:ty, $ldr:literal, $str:literal) => {
        /// # Safety
        /// A register that `MmioFrame::new` was promised, aligned to its width.
        #[inline(always)]
        unsafe fn $load(address: usize) -> u64 {
            let value: u64;
            // SAFETY: a load from device memory does not touch the program's own.
            unsafe {
                core::arch::asm!($ldr, value = out(reg) value, address = in(reg) address,
                    options(nostack, preserves_flags));
            }
            value
        }
        /// # Safety
        /// As for the load. If the value names memory, it was given to the GIC.
        #[inline(always)]
        unsafe fn $store(address: usize, value: u64) {
            // SAFETY: as for the load, and what the register's new value makes the GIC do to memory
            // was promised as well.
            unsafe {
                core::arch::asm!($str, value = in(reg) value, address = in(reg) address,
                    options(nostack, preserves_flags));
            }
        }
    };
}

#[cfg(not(target_arch = "aarch64"))]
macro_rules! access {
    ($load:ident, $store:ident, $type:ty, $ldr:literal, $str:literal) => {
        /// # Safety
        /// A register that `MmioFrame::new` was promised, aligned to its width.
        unsafe fn $load(address: usize) -> u64 {
            // SAFETY: the caller's promise.
            unsafe { (address as *const $type).read_volatile() }.into()
        }
        /// # Safety
        /// As for the load. If the value names memory, it was given to the GIC.
        unsafe fn $store(address: usize, value: u64) {
            // SAFETY: the caller's promise.
            unsafe { (address as *mut $type).write_volatile(value as $type) }
        }
    };
}

// The loads fill the upper half with zeros.
access!(load8, store8, u8, "ldrb {value:w}, [{address}]", "strb {value:w}, [{address}]");
access!(load32, store32, u32, "ldr {value:w}, [{address}]", "str {value:w}, [{address}]");
access!(load64, store64, u64, "ldr {value}, [{address}]", "str {value}, [{address}]");

impl<B: Block> Frame for MmioFrame<B> {
    type Block = B;

    #[inline(always)]
    fn read<W: Width, A: Readable, L>(&self, register: Register<B, W, A, L>) -> W {
        let address = self.base.wrapping_add(register.offset());
        // The register lies in the block, aligned, by construction of the constant; `new` was
        // promised that the block is there.
        let value = match W::BYTES {
            // SAFETY: so it may be loaded with its width.
            1 => unsafe { load8(address) },
            // SAFETY: likewise.
            4 => unsafe { load32(address) },
            // SAFETY: likewise.
            _ => unsafe { load64(address) },
        };
        W::from_bits(value)
    }

    #[inline(always)]
    fn write<W: Width, A: Writable<W, L>, L>(
        &self,
        register: Register<B, W, A, L>,
        value: A::Value,
    ) {
        let (address, value) = (self.base.wrapping_add(register.offset()), A::bits(value).bits());
        match W::BYTES {
            // SAFETY: as for `read`.
            1 => unsafe { store8(address, value) },
            // SAFETY: as for `read`.
            4 => unsafe { store32(address, value) },
            // SAFETY: as for `read`; a value that names memory is a `Base`.
            _ => unsafe { store64(address, value) },
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::frame::Distributor;
    use crate::regs::gicd;
    use std::boxed::Box;

    #[test]
    fn accesses_are_as_wide_as_they_say() {
        let mut registers = Box::new([0u64; Distributor::BYTES / 8]);
        // SAFETY: memory of a block's size serves as its registers; nothing else accesses it while
        // the frame lives.
        let frame = unsafe { MmioFrame::<Distributor>::new(registers.as_mut_ptr() as usize) };
        frame.write_at(gicd::IROUTER, 32, 0x1122_3344_5566_7788);
        frame.write_at(gicd::IPRIORITYR, 9, 0xaabb_ccdd);
        frame.write_at(gicd::IPRIORITYR_BYTES, 37, 0xff);
        frame.write_at(gicd::IPRIORITYR_BYTES, 1020, 0xff);
        assert_eq!(frame.read_at(gicd::IROUTER, 32), 0x1122_3344_5566_7788);
        assert_eq!(frame.read_at(gicd::IPRIORITYR, 9), 0xaabb_ffdd);
        assert_eq!(frame.read_at(gicd::IPRIORITYR_BYTES, 39), 0xaa);
        assert_eq!(frame.base(), registers.as_ptr() as usize);
        assert_eq!(registers.iter().filter(|word| **word != 0).count(), 2);
    }
}
