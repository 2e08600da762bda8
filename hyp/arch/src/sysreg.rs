// SPDX-License-Identifier: Apache-2.0 OR MIT
//! System registers by name, and barriers.
//!
//! `read!` and `write!` are for this crate alone: what a write means for memory safety is known
//! only beside its use, where its barrier is too. Names are the manual's ([`crate::registers`]).

use aarch64_cpu::asm::barrier;
use core::arch::asm;

/// Reads a system register. Reads of the interrupt controller have effects; none touches memory
/// that Rust knows.
macro_rules! read {
    ($name:ident) => {
        read!(name!($name))
    };
    ($name:expr) => {{
        let value: u64;
        // SAFETY: reading this register is permitted at EL2 and changes no memory that Rust knows
        // of.
        unsafe {
            core::arch::asm!(
                concat!("mrs {}, ", $name),
                out(reg) value,
                options(nostack, nomem, preserves_flags)
            );
        }
        value
    }};
}

/// Writes a system register. The compiler keeps memory accesses on their side of it.
macro_rules! write {
    ($name:ident, $value:expr) => {
        write!(name!($name), $value)
    };
    ($name:expr, $value:expr) => {{
        let value: u64 = $value;
        // SAFETY: the function that holds this write says why the new value is right, and follows
        // it with the barrier it needs.
        unsafe {
            core::arch::asm!(
                concat!("msr ", $name, ", {}"),
                in(reg) value,
                options(nostack, preserves_flags)
            );
        }
    }};
}

pub(crate) use {read, write};

/// What follows sees the effect of register writes before.
#[inline(always)]
pub fn isb() {
    barrier::isb(barrier::SY);
}

/// All memory accesses and maintenance before are complete for everyone.
#[inline(always)]
pub fn dsb_sy() {
    barrier::dsb(barrier::SY);
}

/// Stores before are seen, by the CPUs of the board, before what follows.
#[inline(always)]
pub fn dsb_ish() {
    barrier::dsb(barrier::ISH);
}

/// New instructions were written and cleaned: no CPU may run old ones.
pub fn invalidate_instructions() {
    // SAFETY: drops cached copies only.
    unsafe { asm!("ic ialluis", "dsb ish", "isb", options(nostack, preserves_flags)) }
}

/// Sleeps until an interrupt is pending, masked or not. The caller looks at what woke it.
pub fn wfi() {
    dsb_sy();
    aarch64_cpu::asm::wfi();
}

/// A hint inside a polling loop.
pub fn pause() {
    // SAFETY: a hint.
    unsafe { asm!("yield", options(nomem, nostack, preserves_flags)) }
}

/// The system counter, not before what precedes it.
pub fn ticks() -> u64 {
    read!(CNTPCT_EL0)
}

/// Ticks of the system counter in a second, as firmware says.
pub fn ticks_per_second() -> u64 {
    read!(CNTFRQ_EL0) & 0xffff_ffff
}

/// Affinity fields of this CPU's MPIDR_EL1.
pub fn affinity() -> u64 {
    read!(MPIDR_EL1) & 0xff_00ff_ffff
}

/// How a CPU waits for a lock: with a hint that lets another run.
pub struct Pause;

impl spin::RelaxStrategy for Pause {
    fn relax() {
        pause();
    }
}
