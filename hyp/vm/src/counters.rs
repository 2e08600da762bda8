//! What happened to a vPE, counted.
//!
//! One table, [`Counter`], is the source of the numbers and names of docs/guest-abi.md. The CPU that runs the vPE is the
//! only writer, so a count is a plain load, add and store; anyone may read. "exits" is not counted: every exit has
//! exactly one reason, and the sum is taken when somebody asks.

use core::ops::Index;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)*) => {
        /// What is counted; the number is the guest's (hypercall COUNTER).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Counter {
            $($(#[$doc])* $variant = $number,)*
        }
        impl Counter {
            /// Every counter, by number.
            pub const ALL: &'static [Counter] = &[$(Counter::$variant,)*];
            /// Name in the report and in docs/guest-abi.md.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Counter::$variant => $name,)*
                }
            }
        }
    };
}

counters! {
    /// For all reasons: the sum of the exits below; never counted itself.
    Exits = 0, "exits";
    ExitInterrupt = 1, "exits: interrupt";
    ExitHvc = 2, "exits: HVC";
    ExitSmc = 3, "exits: SMC";
    ExitSysReg = 4, "exits: system register";
    ExitSgi = 5, "exits: SGI register";
    ExitMmio = 6, "exits: emulated MMIO";
    /// An abort or an UNDEFINED exception was given to the guest.
    ExitDenied = 7, "exits: denied";
    ExitWfx = 8, "exits: WFI or WFE";
    ExitOther = 9, "exits: other";
    InjectedSgi = 10, "injections by list register: SGI";
    InjectedTimer = 11, "injections by list register: timer";
    InjectedSpi = 12, "injections by list register: SPI";
    InjectedEmulated = 13, "injections by list register: emulated device";
    Doorbells = 14, "doorbells";
    ResidencyChanges = 15, "residency changes";
    /// In ticks of the counter.
    LongestStay = 16, "longest stay in EL2";
    ChannelRings = 17, "channel rings";
    Overflows = 18, "list register overflows";
    /// Times the vPE's registers were loaded on a shared CPU.
    Switches = 19, "residency switches";
    Overruns = 20, "budget overruns";
    /// In ticks of the counter.
    LongestWake = 21, "longest wake to run";
    /// Commands of the guest to its ITS, refused ones too.
    ItsCommands = 22, "guest ITS: commands";
    ItsRefused = 23, "guest ITS: commands refused";
    /// What they made of the physical ITS: DISCARD or VMAPTI of an event,
    ItsDiscarded = 24, "physical ITS: events unmapped";
    ItsRemapped = 25, "physical ITS: events mapped";
    /// VMOVI,
    ItsMoved = 26, "physical ITS: events moved";
    /// INV after a change of the configuration byte,
    ItsConfigured = 27, "physical ITS: events configured";
    /// INT or CLEAR.
    ItsSet = 28, "physical ITS: events set or cleared";
    InjectedPmu = 29, "injections by list register: PMU";
    /// The VM had used up what it may cause there.
    ItsWaits = 30, "physical ITS: waits for the allowance";
    /// Rings that were delivered later, or with others.
    RingsKept = 31, "channel rings: kept for later";
    /// Of the VM's memory, before its starts: counted for its first vPE.
    ClearedBytes = 32, "starts: bytes cleared";
    /// In ticks of the counter.
    ClearedTicks = 33, "starts: ticks of clearing";
    /// GICR_VPENDBASER.Dirty was not clear in time: something was taken for pending.
    SlowTables = 34, "pending table: waits given up";
}

/// How many counters there are.
pub const COUNT: usize = Counter::ALL.len();

/// Counters of one vPE.
#[derive(Debug)]
pub struct Counters([AtomicU64; COUNT]);

impl Index<Counter> for Counters {
    type Output = AtomicU64;

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "there is an entry for each counter")]
    fn index(&self, counter: Counter) -> &AtomicU64 {
        &self.0[counter as usize]
    }
}

impl Counters {
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; COUNT])
    }

    /// One more. Only for the CPU that runs the vPE.
    #[inline(always)]
    pub fn count(&self, counter: Counter) {
        let cell = &self[counter];
        cell.store(cell.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// One less: an exit that turned out to be of another kind. Only for the CPU that runs the vPE.
    #[inline(always)]
    pub fn uncount(&self, counter: Counter) {
        let cell = &self[counter];
        cell.store(cell.load(Relaxed).wrapping_sub(1), Relaxed);
    }

    /// So many more. Only for the CPU that runs the vPE.
    pub fn add(&self, counter: Counter, more: u64) {
        let cell = &self[counter];
        cell.store(cell.load(Relaxed).wrapping_add(more), Relaxed);
    }

    /// Keeps the largest value. Only for the CPU that runs the vPE.
    #[inline(always)]
    pub fn largest(&self, counter: Counter, value: u64) {
        let cell = &self[counter];
        if cell.load(Relaxed) < value {
            cell.store(value, Relaxed);
        }
    }

    /// What somebody else has counted. Only for the CPU that runs the vPE.
    pub fn set(&self, counter: Counter, value: u64) {
        self[counter].store(value, Relaxed);
    }

    pub fn get(&self, counter: Counter) -> u64 {
        if matches!(counter, Counter::Exits) {
            let first = Counter::ExitInterrupt as usize;
            let last = Counter::ExitOther as usize;
            let cells = self.0.get(first..=last).unwrap_or_default();
            return cells.iter().map(|cell| cell.load(Relaxed)).fold(0, u64::wrapping_add);
        }
        self[counter].load(Relaxed)
    }

    /// By the guest's number; None: no such counter.
    pub fn by_number(&self, number: u64) -> Option<u64> {
        let index = usize::try_from(number).ok()?;
        Counter::ALL.get(index).map(|&counter| self.get(counter))
    }

    /// All zero again, as for a measurement.
    pub fn clear(&self) {
        for cell in &self.0 {
            cell.store(0, Relaxed);
        }
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::{format, string::String, vec::Vec};

    /// The table in docs/guest-abi.md and the enum say the same.
    #[test]
    fn table_of_the_guest_abi() {
        let page = include_str!("../../../docs/guest-abi.md");
        let table: Vec<&str> = page
            .lines()
            .skip_while(|line| !line.starts_with("| n | counter |"))
            .skip(2)
            .take_while(|line| line.starts_with('|'))
            .collect();
        let ours: Vec<String> = Counter::ALL
            .iter()
            .map(|counter| format!("| {} | {} |", *counter as u8, counter.name()))
            .collect();
        assert_eq!(table, ours);
    }

    #[test]
    fn exits_are_the_sum_of_their_reasons() {
        let counters = Counters::new();
        counters.count(Counter::ExitHvc);
        counters.count(Counter::ExitHvc);
        counters.count(Counter::ExitOther);
        counters.count(Counter::InjectedSgi);
        assert_eq!(counters.get(Counter::Exits), 3);
        assert_eq!(counters.by_number(2), Some(2));
        assert_eq!(counters.by_number(COUNT as u64), None);
        assert_eq!(counters.by_number(u64::MAX), None);
    }

    #[test]
    fn largest_stays() {
        let counters = Counters::new();
        counters.largest(Counter::LongestStay, 7);
        counters.largest(Counter::LongestStay, 5);
        assert_eq!(counters.get(Counter::LongestStay), 7);
    }
}
