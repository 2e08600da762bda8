// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What happened to a vPE, counted.
//!
//! [`Counter`] says what there is to count. The CPU that runs the vPE is the only writer, so a
//! count is a plain load, add and store; anyone may read. "exits" is not counted: every exit has
//! exactly one reason, and the sum is taken when somebody asks.

use core::ops::Index;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub use abi::counter::{COUNT, Counter};

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

    #[inline(never)]
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
    use super::*;

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
