// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Physical SErrors, which EL2 keeps masked, taken by hand.
//!
//! With RAS an error synchronisation barrier defers what is pending to DISR_EL1. Without it a DSB
//! completes what can still raise one, ISR_EL1 says whether one is pending, and it is taken in a
//! window of two instructions in which they are not masked (vectors.rs). Both follow DDI 0487 D1.3;
//! HCR_EL2.AMO is always 1, so that no physical SError is EL1's.

use super::cpu::has_deferred_errors;
use super::sysreg::{dsb_sy, read, write};
use core::arch::asm;

/// One is pending.
#[inline(always)]
pub fn is_pending() -> bool {
    if has_deferred_errors() {
        // SAFETY: ESB, a hint: errors that are pending go to DISR_EL1.
        unsafe { asm!("hint #16", options(nostack, preserves_flags)) };
        return read!(DISR_EL1) != 0;
    }
    dsb_sy();
    read!(ISR_EL1) & 1 << 8 != 0
}

unsafe extern "C" {
    safe fn take_error() -> u64;
}

/// What is known of an SError that was taken.
pub enum Taken {
    /// DISR_EL1.
    Deferred(u64),
    /// ESR_EL2; 0: there was none.
    Syndrome(u64),
}

/// Takes it.
#[cold]
#[inline(never)]
pub fn take() -> Taken {
    if has_deferred_errors() {
        let deferred = read!(DISR_EL1);
        write!(DISR_EL1, 0);
        return Taken::Deferred(deferred);
    }
    let (elr, spsr) = (read!(ELR_EL2), read!(SPSR_EL2));
    let esr = take_error();
    // Where the guest goes on, and as what.
    write!(ELR_EL2, elr);
    write!(SPSR_EL2, spsr);
    Taken::Syndrome(esr)
}
