// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Address space given out by aligned first fit.
//!
//! The free space is a sorted list of disjoint ranges; nothing is ever given back. First fit from
//! the lowest address keeps plans stable: a request depends only on those before it.

use std::ops::Range;

/// Free ranges, lowest first.
#[derive(Clone, Debug, Default)]
pub struct Arena {
    free: Vec<Range<u64>>,
}

impl Arena {
    /// All of `range` is free.
    pub fn new(range: Range<u64>) -> Self {
        let mut arena = Self::default();
        arena.add(range);
        arena
    }

    /// More free space; it must not overlap what is there.
    pub fn add(&mut self, range: Range<u64>) {
        if range.start < range.end {
            self.free.push(range);
            self.free.sort_by_key(|free| free.start);
        }
    }

    /// Takes out `range`, or as much of it as is free. True: all of it was free.
    pub fn remove(&mut self, range: Range<u64>) -> bool {
        let mut taken = 0;
        let mut rest = Vec::with_capacity(self.free.len() + 1);
        for free in &self.free {
            let cut = free.start.max(range.start)..free.end.min(range.end);
            if cut.start >= cut.end {
                rest.push(free.clone());
                continue;
            }
            taken += cut.end - cut.start;
            rest.extend(
                [free.start..cut.start, cut.end..free.end]
                    .into_iter()
                    .filter(|part| part.start < part.end),
            );
        }
        self.free = rest;
        taken == range.end.saturating_sub(range.start)
    }

    /// The lowest free `bytes` at a multiple of `align`, a power of two.
    pub fn take(&mut self, bytes: u64, align: u64) -> Option<u64> {
        let base = self.free.iter().find_map(|free| {
            let base = free.start.checked_next_multiple_of(align)?;
            (base.checked_add(bytes)? <= free.end).then_some(base)
        })?;
        self.remove(base..base + bytes);
        Some(base)
    }

    /// What is free, lowest first.
    pub fn ranges(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.free.iter().cloned()
    }

    /// Bytes of the largest free range.
    pub fn largest(&self) -> u64 {
        self.free.iter().map(|free| free.end - free.start).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_fit_fills_the_gap_that_alignment_left() {
        let mut arena = Arena::new(0x1000..0x10_0000);
        assert_eq!(arena.take(0x1000, 0x1_0000), Some(0x1_0000));
        assert_eq!(arena.take(0x1000, 0x1000), Some(0x1000));
        assert_eq!(arena.take(0xe000, 0x1000), Some(0x2000));
        assert_eq!(arena.take(0x1000, 0x1000), Some(0x1_1000));
        assert_eq!(arena.take(0x10_0000, 0x1000), None);
    }

    #[test]
    fn remove_says_whether_all_was_free() {
        let mut arena = Arena::new(0..0x4000);
        assert!(arena.remove(0x1000..0x2000));
        assert!(!arena.remove(0x1800..0x2800));
        assert!(!arena.remove(0x3000..0x5000));
        assert_eq!(arena.largest(), 0x1000);
        assert_eq!(arena.take(0x800, 0x800), Some(0));
    }
}
