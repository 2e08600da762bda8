// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The performance monitors of a vPE while it does not run (DDI 0487 D13).
//!
//! They stand still then, and so count their vPE alone. What EL2 does for it meanwhile is counted
//! by no event counter (MDCR_EL2.HPMD, from FEAT_PMUv3p1 on), and by the cycle counter unless the
//! CPU has FEAT_PMUv3p5 (HCCD) or the guest sets PMCR_EL0.DP.

use super::sysreg::{isb, read, write};

/// Event counters that an architecture can have besides the cycle counter.
const MOST: usize = 31;
const ALL: u64 = u32::MAX as u64;

/// PMCR_EL0.E.
const ENABLE: u64 = 1;
/// PMCR_EL0's bits that hold something: E, D, X, DP, LC, LP, FZO.
const CONTROL: u64 = 0x2f9;

/// The counters of a vPE.
pub struct Counters {
    control: u64,
    enabled: u64,
    interrupting: u64,
    overflowed: u64,
    selected: u64,
    user: u64,
    cycles: Counter,
    events: [Counter; MOST],
}

#[derive(Clone, Copy)]
struct Counter {
    value: u64,
    kind: u64,
}

impl Counters {
    /// As after reset.
    pub const OFF: Self = {
        let zero = Counter { value: 0, kind: 0 };
        Self {
            control: 0,
            enabled: 0,
            interrupting: 0,
            overflowed: 0,
            selected: 0,
            user: 0,
            cycles: zero,
            events: [zero; MOST],
        }
    };

    /// Takes them out of the CPU: nothing counts, and their interrupt goes away.
    pub fn take(&mut self) {
        self.control = read!(PMCR_EL0) & CONTROL;
        write!(PMCR_EL0, self.control & !ENABLE);
        isb();
        self.enabled = read!(PMCNTENSET_EL0);
        self.interrupting = read!(PMINTENSET_EL1);
        self.overflowed = read!(PMOVSSET_EL0);
        self.selected = read!(PMSELR_EL0);
        self.user = read!(PMUSERENR_EL0);
        write!(PMCNTENCLR_EL0, ALL);
        write!(PMINTENCLR_EL1, ALL);
        write!(PMOVSCLR_EL0, ALL);
        self.cycles = Counter { value: read!(PMCCNTR_EL0), kind: read!(PMCCFILTR_EL0) };
        for (number, counter) in events(&mut self.events) {
            select(number);
            *counter = Counter { value: read!(PMXEVCNTR_EL0), kind: read!(PMXEVTYPER_EL0) };
        }
        isb();
    }

    /// Puts them back, where `take` left others or none.
    pub fn put(&mut self) {
        for (number, counter) in events(&mut self.events) {
            select(number);
            write!(PMXEVTYPER_EL0, counter.kind);
            write!(PMXEVCNTR_EL0, counter.value);
        }
        write!(PMCCFILTR_EL0, self.cycles.kind);
        write!(PMCCNTR_EL0, self.cycles.value);
        write!(PMUSERENR_EL0, self.user);
        write!(PMSELR_EL0, self.selected);
        write!(PMOVSSET_EL0, self.overflowed);
        write!(PMCR_EL0, self.control);
        write!(PMCNTENSET_EL0, self.enabled);
        // Last: QEMU does not look at the interrupt's line when PMCR_EL0.E changes.
        write!(PMINTENSET_EL1, self.interrupting);
        isb();
    }
}

/// The counters in the CPU ask for an interrupt.
pub fn asks() -> bool {
    read!(PMOVSSET_EL0) & read!(PMINTENSET_EL1) != 0 && read!(PMCR_EL0) & ENABLE != 0
}

/// Those that this CPU has (PMCR_EL0.N), and their numbers.
fn events(all: &mut [Counter; MOST]) -> impl Iterator<Item = (u64, &mut Counter)> {
    let count = read!(PMCR_EL0) >> 11 & 0x1f;
    (0..count).zip(all)
}

/// What PMXEVCNTR_EL0 and PMXEVTYPER_EL0 are from here on.
fn select(number: u64) {
    write!(PMSELR_EL0, number);
    isb();
}
