// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The hardware: memory-mapped frames, and the memory that the GIC reads. Unsafe code of the crate
//! is here and in [`crate::given`].
//!
//! Accesses to registers are single loads and stores without write-back, which any hypervisor
//! underneath can emulate. Memory that the GIC reads is written with volatile stores and made
//! visible by a DSB (DDI 0487, B2.3.12). A GIC whose accesses are not coherent with caches (base
//! registers with [`crate::layout::Attributes::UNCACHED`]) needs `COHERENT` false: each line that
//! was written is cleaned to the point of coherency as well. Whether it is coherent is for the
//! board to say; the readback of the base registers is no proof, since some GICs only pretend.
#![allow(unsafe_code)]

mod memory;
mod mmio;

pub use memory::{LpiTable, QueueRam};
pub use mmio::MmioFrame;

/// Waits until stores to memory are visible to the GIC.
#[inline]
pub fn publish() {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a barrier touches neither registers nor memory of the program.
    unsafe {
        core::arch::asm!("dsb sy", options(nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "aarch64"))]
    core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
}

/// Cleans the cache line at `address` to the point of coherency, before [`publish`].
#[inline]
fn clean(address: usize) {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: cleaning changes no value.
    unsafe {
        core::arch::asm!("dc cvac, {}", in(reg) address, options(nostack, preserves_flags));
    }
    #[cfg(all(test, not(target_arch = "aarch64")))]
    memory::tests::CLEANED.with_borrow_mut(|lines| lines.push(address & !(LINE - 1)));
    #[cfg(not(any(test, target_arch = "aarch64")))]
    let _ = address;
}

/// Bytes of the smallest cache line in use. A command fits into one.
#[cfg(test)]
const LINE: usize = 64;
