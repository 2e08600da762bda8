//! Reads of addresses that may not be there.
//!
//! Boot compares hardware with the plan, so it must be able to ask for a redistributor or for RAM
//! that is missing. EL2's own vector turns the abort of such a read into "no answer" (vectors.rs).
//! Reads only: at boot, and of registers of a guest's device.

use plan::Pa;

#[repr(C)]
struct Answer {
    value: u64,
    there: u64,
}

unsafe extern "C" {
    fn probe32(address: u64) -> Answer;
    fn probe64(address: u64) -> Answer;
}

impl Answer {
    fn checked(self) -> Option<u64> {
        (self.there != 0).then_some(self.value)
    }
}

/// A 32-bit register, or None if the read was answered with an abort.
pub fn read32(address: Pa) -> Option<u32> {
    // SAFETY: the address is one that the plan names: RAM, or a register whose read has no effect. An abort is caught.
    unsafe { probe32(address.value()) }.checked().map(|value| value as u32)
}

/// A 64-bit register or word of RAM, or None if the read was answered with an abort.
pub fn read64(address: Pa) -> Option<u64> {
    // SAFETY: as for `read32`.
    unsafe { probe64(address.value()) }.checked()
}
