// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The CPU interface by hand, for partitions that try it: with interrupts masked, no handler is in
//! between.

use core::arch::asm;

use crate::gic;

/// What ICC_IAR1_EL1 answers when nothing is pending.
pub const NOTHING: u32 = 1023;

/// ICC_IAR1_EL1.
pub fn acknowledge() -> u32 {
    gic::acknowledge()
}

/// ICC_EOIR1_EL1: drops the priority and, without a split end, deactivates.
pub fn end(intid: u32) {
    gic::end(intid);
}

/// ICC_DIR_EL1, with a split end.
pub fn deactivate(intid: u32) {
    // SAFETY: changes the state of an interrupt of this VM.
    unsafe { asm!("msr S3_0_C12_C11_1, {}", "isb", in(reg) u64::from(intid), options(nostack)) };
}

/// ICC_CTLR_EL1.EOImode.
pub fn split_end(split: bool) {
    // SAFETY: changes how this vPE ends interrupts.
    unsafe {
        asm!("msr S3_0_C12_C12_4, {}", "isb", in(reg) u64::from(split) << 1, options(nostack));
    }
}

/// ICC_CTLR_EL1.
pub fn control() -> u64 {
    let value: u64;
    // SAFETY: reads.
    unsafe { asm!("mrs {}, S3_0_C12_C12_4", out(reg) value, options(nostack)) };
    value
}

/// ICC_PMR_EL1, as read and as written.
pub fn mask() -> u64 {
    let value: u64;
    // SAFETY: reads.
    unsafe { asm!("mrs {}, S3_0_C4_C6_0", out(reg) value, options(nostack)) };
    value
}

/// The same: only interrupts of higher priority come.
pub fn set_mask(priority: u8) {
    // SAFETY: changes which interrupts this vPE takes.
    unsafe { asm!("msr S3_0_C4_C6_0, {}", "isb", in(reg) u64::from(priority), options(nostack)) };
}

/// ICC_RPR_EL1.
pub fn running_priority() -> u64 {
    let value: u64;
    // SAFETY: reads.
    unsafe { asm!("mrs {}, S3_0_C12_C11_3", out(reg) value, options(nostack)) };
    value
}
