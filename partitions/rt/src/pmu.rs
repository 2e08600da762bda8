// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The cycle counter of this vPE, and the interrupt by which it says that it overflowed (DDI 0487
//! D13).
//!
//! Only in a VM with `features = ["pmu"]`. The interrupt is level-sensitive: high until
//! `clear_overflow`.

use core::arch::asm;

use crate::Machine;
use crate::interrupts::IntId;

/// PMCR_EL0.E: counters count; PMCR_EL0.LC: the cycle counter has 64 bits.
const ENABLE: u64 = 1 | 1 << 6;
/// The cycle counter's bit.
const CYCLES: u64 = 1 << 31;

macro_rules! read {
    ($register:literal) => {{
        let value: u64;
        // SAFETY: reading it has no effect.
        unsafe { asm!(concat!("mrs {}, ", $register), out(reg) value, options(nostack)) };
        value
    }};
}

macro_rules! write {
    ($register:literal, $value:expr) => {
        // SAFETY: the PMU counts and interrupts, and touches nothing else.
        unsafe { asm!(concat!("msr ", $register, ", {}"), "isb", in(reg) $value, options(nostack)) }
    };
}

/// Its interrupt. None: the VM has no PMU, or one without.
pub fn intid(machine: &Machine) -> Option<IntId> {
    machine.pmu_intid().map(IntId::new)
}

/// Nothing counts, nothing has overflowed, nothing interrupts: as after reset.
pub fn is_off() -> bool {
    read!("pmcr_el0") & 1 == 0
        && read!("pmcntenset_el0") | read!("pmintenset_el1") | read!("pmovsclr_el0") == 0
}

/// The counter overflows after `cycles`, and interrupts then.
pub fn overflow_after(cycles: u64) {
    write!("pmccntr_el0", cycles.wrapping_neg());
    write!("pmccfiltr_el0", 0u64);
    write!("pmintenset_el1", CYCLES);
    write!("pmcntenset_el0", CYCLES);
    write!("pmcr_el0", ENABLE);
}

/// The counter.
pub fn cycles() -> u64 {
    read!("pmccntr_el0")
}

/// The counter overflowed since that was last cleared.
pub fn overflowed() -> bool {
    read!("pmovsclr_el0") & CYCLES != 0
}

/// It did not overflow.
pub fn clear_overflow() {
    write!("pmovsclr_el0", CYCLES);
}

/// The counter neither counts nor interrupts any more.
pub fn stop() {
    write!("pmcntenclr_el0", CYCLES);
    write!("pmintenclr_el1", CYCLES);
    clear_overflow();
}
