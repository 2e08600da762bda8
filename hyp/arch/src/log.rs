// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Writes the log ([`abi::log`]).
//!
//! Every byte goes to memory at once, past the caches, so that a debugger finds it whatever becomes
//! of the CPU. One CPU writes at a time: the console's lock sees to that, except when EL2 has
//! failed.

use crate::lines;
use crate::sysreg::dsb_sy;
use crate::system::System;
use abi::log;
use core::marker::PhantomData;
use plan::{Console, Pa};

/// The ring of the board's log.
pub struct Ring<S> {
    base: Pa,
    /// Of the ring, without its header.
    bytes: u64,
    system: PhantomData<S>,
}

impl<S: System> Ring<S> {
    /// The plan's. None: the board has a UART.
    pub const fn of_board() -> Option<Self> {
        match &S::PLAN.board.console {
            Console::Log(log) => {
                Some(Self { base: log.base, bytes: log.bytes - log::RING, system: PhantomData })
            }
            Console::Uart(_) => None,
        }
    }

    /// Begins a new log, unless this is one that was written before a reset.
    pub fn enable(&self) {
        if self.word(0) == log::MAGIC && self.word(log::SIZE) == self.bytes {
            return;
        }
        self.set(0, log::MAGIC);
        self.set(log::SIZE, self.bytes);
        self.set(log::HEAD, 0);
    }

    /// A reader that sees the new head sees the byte.
    #[inline(never)]
    pub fn put(&self, byte: u8) {
        let head = self.word(log::HEAD);
        let at = self.base.offset(log::RING + head % self.bytes);
        let place = at.value() as *mut u8;
        // SAFETY: a byte of the log, which the plan gives to nobody else, mapped in EL2's table; no
        // Rust object lies there.
        unsafe { place.write_volatile(byte) };
        lines::flush(at.value(), 1);
        dsb_sy();
        self.set(log::HEAD, head.wrapping_add(1));
    }

    fn word(&self, offset: u64) -> u64 {
        let word = self.base.offset(offset).value() as *const u64;
        // SAFETY: as for `put`; the base is a multiple of a page.
        unsafe { word.read_volatile() }
    }

    fn set(&self, offset: u64, value: u64) {
        let word = self.base.offset(offset).value() as *mut u64;
        // SAFETY: as for `word`.
        unsafe { word.write_volatile(value) };
        lines::flush(self.base.value(), 1);
    }
}
