// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The last exits of a vPE, for whoever asks why it failed.
//!
//! Kept of exits that go the whole way through `trap`; those of frequent kinds that have a short
//! one, and interrupts, are counted only. Written by the vPE's own CPU; any CPU may read, and finds
//! at worst an entry that is just being replaced.

use core::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// Exits that are kept.
pub const LAST: usize = 6;

/// One exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    pub esr: u64,
    pub elr: u64,
    /// Of an abort: the guest's address. Of others: whatever was there.
    pub far: u64,
    /// Of an abort: HPFAR_EL2 ([`crate::exit::abort_ipa`]).
    pub hpfar: u64,
}

#[derive(Debug)]
struct Entry {
    esr: AtomicU64,
    elr: AtomicU64,
    far: AtomicU64,
    hpfar: AtomicU64,
}

#[derive(Debug)]
pub struct History {
    /// How many there were, all in all.
    count: AtomicU32,
    entries: [Entry; LAST],
}

impl Entry {
    const fn new() -> Self {
        Self {
            esr: AtomicU64::new(0),
            elr: AtomicU64::new(0),
            far: AtomicU64::new(0),
            hpfar: AtomicU64::new(0),
        }
    }
}

impl History {
    pub const fn new() -> Self {
        Self { count: AtomicU32::new(0), entries: [const { Entry::new() }; LAST] }
    }

    /// Keeps an exit, in the place of the oldest.
    #[inline]
    pub fn keep(&self, past: Past) {
        let count = self.count.load(Relaxed);
        if let Some(entry) = self.entries.get(count as usize % LAST) {
            entry.esr.store(past.esr, Relaxed);
            entry.elr.store(past.elr, Relaxed);
            entry.far.store(past.far, Relaxed);
            entry.hpfar.store(past.hpfar, Relaxed);
        }
        self.count.store(count.wrapping_add(1), Release);
    }

    /// Of those that are kept, the oldest but `n`.
    #[inline(never)]
    pub fn nth(&self, n: usize) -> Option<Past> {
        let count = self.count.load(Acquire) as usize;
        let kept = count.min(LAST);
        let index = count.wrapping_sub(kept).wrapping_add(n) % LAST;
        let entry = self.entries.get(index).filter(|_| n < kept)?;
        Some(Past {
            esr: entry.esr.load(Relaxed),
            elr: entry.elr.load(Relaxed),
            far: entry.far.load(Relaxed),
            hpfar: entry.hpfar.load(Relaxed),
        })
    }

    /// The kept ones, oldest first.
    pub fn all(&self) -> impl Iterator<Item = Past> + '_ {
        (0..).map_while(|n| self.nth(n))
    }

    /// The vPE begins anew.
    pub fn clear(&self) {
        self.count.store(0, Release);
    }
}

impl Default for History {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn the_last_ones_oldest_first() {
        let history = History::new();
        let past = |n: u64| Past { esr: n, elr: n + 100, far: n + 200, hpfar: n + 300 };
        let kept = || history.all().collect::<Vec<_>>();
        assert_eq!(kept(), []);
        (0..3).for_each(|n| history.keep(past(n)));
        assert_eq!(kept(), (0..3).map(past).collect::<Vec<_>>());
        (3..21).for_each(|n| history.keep(past(n)));
        assert_eq!(kept(), (21 - LAST as u64..21).map(past).collect::<Vec<_>>());
        history.clear();
        assert_eq!(kept(), []);
    }
}
