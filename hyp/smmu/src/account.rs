// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a device did that it must not: how often, what of it is told, and when it is enough.
//!
//! A device that goes on for ever must cost EL2 a bounded time and the console a bounded number of
//! lines. So faults are counted in each life of the device's VM; after so many of them, or the
//! first if the VM's policy says so, its streams are to be cut off. Any CPU may count.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

/// Faults that a device may have in one life of its VM, if nothing else is said.
pub const MOST: u32 = 64;
/// Of no page: addresses have 52 bits at most.
const NO_PAGE: u64 = u64::MAX;

/// What to do about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is told.
    Tell,
    /// It has been told of this page.
    Known,
    /// It is one too many: the device is cut off, once.
    CutOff,
    /// The device is cut off already.
    Late,
}

/// A device's faults.
#[derive(Debug)]
pub struct Account {
    /// Of all lives.
    total: AtomicU64,
    /// Of this one.
    life: AtomicU32,
    /// Page of the last one that was told, as its number.
    page: AtomicU64,
    cut: AtomicBool,
}

impl Account {
    pub const fn new() -> Self {
        Self {
            total: AtomicU64::new(0),
            life: AtomicU32::new(0),
            page: AtomicU64::new(NO_PAGE),
            cut: AtomicBool::new(false),
        }
    }

    /// Its VM starts.
    pub fn start(&self) {
        self.life.store(0, Relaxed);
        self.page.store(NO_PAGE, Relaxed);
        self.cut.store(false, Relaxed);
    }

    /// One more fault, at an address; a record may have none. There may be `most`.
    pub fn fault(&self, address: Option<u64>, most: u32) -> Verdict {
        self.total.fetch_add(1, Relaxed);
        if self.life.fetch_add(1, Relaxed) >= most || self.cut.load(Relaxed) {
            return if self.cut_off() { Verdict::CutOff } else { Verdict::Late };
        }
        // A transfer is many accesses: each page is told once.
        let page = address.unwrap_or(0) >> 12;
        if self.page.swap(page, Relaxed) == page { Verdict::Known } else { Verdict::Tell }
    }

    /// It is cut off until its VM starts again. False: it was before.
    pub fn cut_off(&self) -> bool {
        !self.cut.swap(true, Relaxed)
    }

    /// It is cut off.
    pub fn is_cut_off(&self) -> bool {
        self.cut.load(Relaxed)
    }

    /// Faults of all its VM's lives.
    pub fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }
}

impl Default for Account {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_told_once_in_a_row() {
        let account = Account::new();
        let said = [0x1000, 0x1008, 0x2000, 0x1000].map(|at| account.fault(Some(at), MOST));
        assert_eq!(said, [Verdict::Tell, Verdict::Known, Verdict::Tell, Verdict::Tell]);
        assert_eq!(account.total(), 4);
    }

    #[test]
    fn too_many_cut_it_off_once_and_a_new_life_begins_anew() {
        let account = Account::new();
        for life in 0..3 {
            for n in 0..3 {
                assert_eq!(account.fault(Some(n << 12), 3), Verdict::Tell, "{life} {n}");
            }
            assert!(!account.is_cut_off());
            assert_eq!(account.fault(None, 3), Verdict::CutOff);
            assert!(account.is_cut_off());
            assert_eq!(account.fault(None, MOST), Verdict::Late);
            account.start();
        }
        assert_eq!(account.total(), 3 * 5);
    }

    #[test]
    fn whoever_cuts_it_off_is_the_only_one() {
        let account = Account::new();
        assert_eq!(account.fault(Some(0), MOST), Verdict::Tell);
        assert!(account.cut_off());
        assert!(!account.cut_off());
        assert_eq!(account.fault(Some(0x5000), MOST), Verdict::Late);
    }
}
