// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A value that is made once, by whoever asks first, and stays as it is.
//!
//! Unlike `spin::Once` it cannot panic: what makes the value cannot, so that there is nothing to
//! poison.

use core::cell::UnsafeCell;
use core::hint::spin_loop;
use core::mem::MaybeUninit;
use core::sync::atomic::{
    AtomicU8,
    Ordering::{Acquire, Relaxed, Release},
};

const EMPTY: u8 = 0;
const BEGUN: u8 = 1;
const MADE: u8 = 2;

/// A place for the value.
pub struct Once<T> {
    state: AtomicU8,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value is written by one CPU, the one that changed `state` to BEGUN, and only read
// after MADE.
unsafe impl<T: Send + Sync> Sync for Once<T> {}

impl<T> Once<T> {
    /// Nobody has made it.
    pub const fn new() -> Self {
        Self { state: AtomicU8::new(EMPTY), value: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// None: nobody has made it yet.
    #[inline(always)]
    pub fn get(&self) -> Option<&T> {
        if self.state.load(Acquire) != MADE {
            return None;
        }
        let value = self.value.get();
        // SAFETY: with MADE, nobody writes it any more.
        let value = unsafe { &*value };
        // SAFETY: with MADE, it has been written.
        Some(unsafe { value.assume_init_ref() })
    }

    /// The value, made now if nobody has. While another CPU makes it, waits: a few instructions.
    pub fn get_or_make(&self, make: impl FnOnce() -> T) -> &T {
        if self.state.compare_exchange(EMPTY, BEGUN, Acquire, Relaxed).is_ok() {
            let value = self.value.get();
            // SAFETY: nobody else writes after BEGUN, nobody reads before MADE.
            unsafe { value.write(MaybeUninit::new(make())) };
            self.state.store(MADE, Release);
        }
        loop {
            match self.get() {
                Some(value) => return value,
                None => spin_loop(),
            }
        }
    }
}
