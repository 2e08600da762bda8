//! Physical SErrors, which EL2 keeps masked, taken by hand.
//!
//! With RAS an error synchronisation barrier defers what is pending to DISR_EL1. Without it a DSB completes what can still raise
//! one, ISR_EL1 says whether one is pending, and it is taken in a window of two instructions in which they are not masked
//! (vectors.rs). Both follow DDI 0487 D1.3; HCR_EL2.AMO is always 1, so that no physical SError is EL1's.

use super::cpu::has_deferred_errors;
use super::sysreg::{dsb_sy, read, write};
use core::arch::asm;
use vm::serror::of_deferred;

/// One is pending. The guest's return state must be saved: [`take`] overwrites it.
#[inline(always)]
pub fn is_pending() -> bool {
    if has_deferred_errors() {
        // SAFETY: ESB, a hint: errors that are pending go to DISR_EL1.
        unsafe { asm!("hint #16", options(nostack, preserves_flags)) };
        return read!("S3_0_C12_C1_1") != 0; // DISR_EL1
    }
    dsb_sy();
    read!("isr_el1") & 1 << 8 != 0
}

unsafe extern "C" {
    safe fn take_error() -> u64;
}

/// Takes it: its syndrome, as ESR_EL2 has it. Overwrites ELR_EL2 and SPSR_EL2.
#[cold]
#[inline(never)]
pub fn take() -> Option<u64> {
    if has_deferred_errors() {
        let deferred = of_deferred(read!("S3_0_C12_C1_1"));
        write!("S3_0_C12_C1_1", 0);
        return deferred;
    }
    Some(take_error()).filter(|&esr| esr != 0)
}
