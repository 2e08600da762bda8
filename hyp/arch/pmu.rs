//! The performance monitors of a vPE while it does not run (DDI 0487 D13).
//!
//! They stand still then, and so count their vPE alone. What EL2 does for it meanwhile is counted by no event counter
//! (MDCR_EL2.HPMD, from FEAT_PMUv3p1 on), and by the cycle counter unless the CPU has FEAT_PMUv3p5 (HCCD) or the guest
//! sets PMCR_EL0.DP.

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
        self.control = read!("pmcr_el0") & CONTROL;
        write!("pmcr_el0", self.control & !ENABLE);
        isb();
        self.enabled = read!("pmcntenset_el0");
        self.interrupting = read!("pmintenset_el1");
        self.overflowed = read!("pmovsset_el0");
        self.selected = read!("pmselr_el0");
        self.user = read!("pmuserenr_el0");
        write!("pmcntenclr_el0", ALL);
        write!("pmintenclr_el1", ALL);
        write!("pmovsclr_el0", ALL);
        self.cycles = Counter { value: read!("pmccntr_el0"), kind: read!("pmccfiltr_el0") };
        for (number, counter) in events(&mut self.events) {
            select(number);
            *counter = Counter { value: read!("pmxevcntr_el0"), kind: read!("pmxevtyper_el0") };
        }
        isb();
    }

    /// Puts them back, where `take` left others or none.
    pub fn put(&mut self) {
        for (number, counter) in events(&mut self.events) {
            select(number);
            write!("pmxevtyper_el0", counter.kind);
            write!("pmxevcntr_el0", counter.value);
        }
        write!("pmccfiltr_el0", self.cycles.kind);
        write!("pmccntr_el0", self.cycles.value);
        write!("pmuserenr_el0", self.user);
        write!("pmselr_el0", self.selected);
        write!("pmovsset_el0", self.overflowed);
        write!("pmcr_el0", self.control);
        write!("pmcntenset_el0", self.enabled);
        // Last: QEMU does not look at the interrupt's line when PMCR_EL0.E changes.
        write!("pmintenset_el1", self.interrupting);
        isb();
    }
}

/// The counters in the CPU ask for an interrupt.
pub fn asks() -> bool {
    read!("pmovsset_el0") & read!("pmintenset_el1") != 0 && read!("pmcr_el0") & ENABLE != 0
}

/// Those that this CPU has (PMCR_EL0.N), and their numbers.
fn events(all: &mut [Counter; MOST]) -> impl Iterator<Item = (u64, &mut Counter)> {
    let count = read!("pmcr_el0") >> 11 & 0x1f;
    (0..count).zip(all)
}

/// What PMXEVCNTR_EL0 and PMXEVTYPER_EL0 are from here on.
fn select(number: u64) {
    write!("pmselr_el0", number);
    isb();
}
