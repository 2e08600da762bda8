//! The hardware: memory-mapped frames, and the memory that the GIC reads. All unsafe code of the crate is here.
//!
//! Accesses to registers are single loads and stores without write-back, which any hypervisor underneath can emulate. Memory
//! that the GIC reads is written with volatile stores and made visible by a DSB (DDI 0487, B2.3.12); it is assumed to be coherent
//! with the GIC ([`crate::layout::Attributes::COHERENT`]), which the readback of the base registers confirms.
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
