// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The function that a vPE is to begin in.
//!
//! Whoever starts it gives the function; the vPE takes it when it begins. While one is there,
//! nobody gives another: a start that PSCI refuses never changes what a vPE that is about to begin
//! does.

use core::mem;
use core::ptr;
use core::sync::atomic::{
    AtomicPtr,
    Ordering::{AcqRel, Acquire, Release},
};

pub struct Entry(AtomicPtr<()>);

impl Entry {
    pub const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// False: another one is there, and stays.
    #[must_use]
    pub fn give(&self, main: fn()) -> bool {
        self.0.compare_exchange(ptr::null_mut(), main as *mut (), AcqRel, Acquire).is_ok()
    }

    /// In place of any other, by the vPE itself.
    pub fn set(&self, main: fn()) {
        self.0.store(main as *mut (), Release);
    }

    /// It does not begin after all. What somebody else gave stays.
    pub fn withdraw(&self, main: fn()) {
        // A failure is that somebody else's is there.
        let _ = self.0.compare_exchange(main as *mut (), ptr::null_mut(), AcqRel, Acquire);
    }

    pub fn take(&self) -> Option<fn()> {
        let main = self.0.swap(ptr::null_mut(), AcqRel);
        if main.is_null() {
            return None;
        }
        // SAFETY: only `give` and `set` store what is not null, and that is a `fn()`.
        Some(unsafe { mem::transmute::<*mut (), fn()>(main) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    std::thread_local!(static BEGAN: Cell<u32> = const { Cell::new(0) });

    fn first() {
        BEGAN.set(1);
    }
    fn second() {
        BEGAN.set(2);
    }

    fn begun(entry: &Entry) -> u32 {
        BEGAN.set(0);
        if let Some(main) = entry.take() {
            main();
        }
        BEGAN.get()
    }

    #[test]
    fn a_refused_start_changes_nothing() {
        let entry = Entry::new();
        assert!(entry.give(first));
        assert!(!entry.give(second), "it has not begun yet");
        entry.withdraw(second);
        assert_eq!(begun(&entry), 1);
        // It is on, and PSCI refuses to start it.
        assert!(entry.give(second));
        entry.withdraw(second);
        assert_eq!(begun(&entry), 0);
    }

    #[test]
    fn a_vpe_that_sleeps_begins_where_it_says() {
        let entry = Entry::new();
        assert!(entry.give(first));
        entry.set(second);
        entry.withdraw(first);
        assert_eq!(begun(&entry), 2);
        entry.set(second);
        entry.withdraw(second);
        assert_eq!(begun(&entry), 0, "it did not go down");
    }
}
