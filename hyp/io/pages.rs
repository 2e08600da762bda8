// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Pages of EL2's own that are to be printed; the lowest is printed first.

use core::sync::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Acquire},
};

pub const DMA: u32 = 1 << 0;
pub const FAULTS: u32 = 1 << 1;
pub const MODE: u32 = 1 << 2;
pub const FOCUS: u32 = 1 << 3;
pub const NO_CONSOLE: u32 = 1 << 4;
pub const KEYS: u32 = 1 << 5;
pub const PLACES: u32 = 1 << 6;
pub const STATES: u32 = 1 << 7;
pub const COUNTERS: u32 = 1 << 8;

static ASKED: AtomicU32 = AtomicU32::new(0);

/// The next visits to the console print these pages.
#[inline(never)]
pub fn ask(pages: u32) {
    ASKED.fetch_or(pages, AcqRel);
}

/// Something is asked for.
#[inline(always)]
pub fn any() -> bool {
    ASKED.load(Acquire) != 0
}

/// The first page that is asked for, which no longer is; 0: none.
pub fn next() -> u32 {
    let asked = ASKED.load(Acquire);
    let page = asked & asked.wrapping_neg();
    ASKED.fetch_and(!page, AcqRel);
    page
}
