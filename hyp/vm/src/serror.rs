// SPDX-License-Identifier: Apache-2.0 OR MIT
//! SErrors that came while EL2 ran: whose they are.
//!
//! An SError is asynchronous: a write that nothing answers may be reported long after it. EL2 keeps
//! them masked and looks for them before another vPE gets the CPU (hyp/serror.rs), so that each is
//! charged to whoever ran last. DDI 0487 D1.3 (SError), D24.2 (DISR_EL1).

use core::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire},
};

/// ESR_ELx.EC and IL of an SError.
const CLASS: u64 = 0x2f << 26 | 1 << 25;
/// DISR_EL1.A: an SError was deferred.
const DEFERRED: u64 = 1 << 31;
/// DISR_EL1: IDS, and the syndrome as ESR_ELx has it.
const SYNDROME: u64 = 0x1ff_ffff;

/// ESR_ELx of the SError that DISR_EL1 tells of. None: none was deferred.
pub const fn of_deferred(disr: u64) -> Option<u64> {
    if disr & DEFERRED == 0 { None } else { Some(CLASS | disr & SYNDROME) }
}

/// The SError that a vPE is charged with, until its own CPU fails its VM for it.
#[derive(Debug, Default)]
pub struct Charge(AtomicU64);

impl Charge {
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The first one counts; its syndrome, an ESR_ELx, is not 0.
    pub fn put(&self, esr: u64) {
        let _ = self.0.compare_exchange(0, esr, AcqRel, Acquire);
    }

    /// Takes it, once.
    pub fn take(&self) -> Option<u64> {
        Some(self.0.swap(0, AcqRel)).filter(|&esr| esr != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deferred_error_has_the_syndrome_of_a_taken_one() {
        assert_eq!(of_deferred(0), None);
        assert_eq!(of_deferred(0x11), None, "DISR_EL1.A is 0");
        // Architectural: AET 0b010, EA, DFSC 0x11; then implementation defined (IDS).
        assert_eq!(of_deferred(0x8000_0a11), Some(0xbe00_0a11));
        assert_eq!(of_deferred(0x81ab_cdef), Some(0xbfab_cdef));
        assert_eq!(of_deferred(0x8000_0000), Some(0xbe00_0000), "class 0x2f, IL");
    }

    #[test]
    fn the_first_error_is_charged_once() {
        let charge = Charge::new();
        assert_eq!(charge.take(), None);
        charge.put(0xbe00_0011);
        charge.put(0xbe00_0000);
        assert_eq!((charge.take(), charge.take()), (Some(0xbe00_0011), None));
    }
}
