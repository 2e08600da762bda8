// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Breakpoint and watchpoint registers of this vPE (DDI 0487 D2).
//!
//! Only in a VM with `features = ["debug"]`; other guests find two of each that hold nothing.

use core::arch::asm;

/// MDSCR_EL1.MDE and KDE: debug exceptions, at EL1 as well.
const ENABLED: u64 = 1 << 15 | 1 << 13;
/// DBGWCR_EL1 of a watchpoint: 8 bytes, loads and stores, at EL1, on.
const WATCH: u64 = 0xff << 5 | 0b11 << 3 | 0b01 << 1 | 1;

/// Exception class of a watchpoint in `probe::Syndrome`.
pub const WATCHPOINT: u64 = 0x35;

/// Value and control of a breakpoint or watchpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    pub value: u64,
    pub control: u64,
}

impl Point {
    /// A watchpoint on the 8 bytes at `address`.
    pub fn watch(address: u64) -> Self {
        Self { value: address, control: WATCH }
    }
}

macro_rules! points {
    ($get:ident, $set:ident, $what:literal: $($number:literal)*) => {
        #[doc = concat!("The ", $what, " register pair with a number. None: this module does not \
                                        know it.")]
        pub fn $get(number: usize) -> Option<Point> {
            let (value, control);
            match number {
                // SAFETY: reading them has no effect.
                $($number => unsafe {
                    asm!(
                        concat!("mrs {}, dbg", $what, "vr", $number, "_el1"),
                        concat!("mrs {}, dbg", $what, "cr", $number, "_el1"),
                        out(reg) value, out(reg) control, options(nostack),
                    )
                },)*
                _ => return None,
            }
            Some(Point { value, control })
        }

        #[doc = concat!("Sets the ", $what, " register pair with a number.")]
        pub fn $set(number: usize, point: Point) {
            match number {
                // SAFETY: the worst that comes of it is a debug exception, which is reported.
                $($number => unsafe {
                    asm!(
                        concat!("msr dbg", $what, "vr", $number, "_el1, {}"),
                        concat!("msr dbg", $what, "cr", $number, "_el1, {}"), "isb",
                        in(reg) point.value, in(reg) point.control, options(nostack),
                    )
                },)*
                _ => {}
            }
        }
    };
}

points! { breakpoint, set_breakpoint, "b": 0 1 2 3 4 5 6 7 }
points! { watchpoint, set_watchpoint, "w": 0 1 2 3 4 5 6 7 }

/// How many breakpoints and watchpoints the vPE has (ID_AA64DFR0_EL1.BRPs, WRPs), at most 8.
pub fn counts() -> (usize, usize) {
    let features: u64;
    // SAFETY: reading it has no effect.
    unsafe { asm!("mrs {}, id_aa64dfr0_el1", out(reg) features, options(nostack)) };
    let count = |lowest: u32| ((features >> lowest & 0xf) as usize + 1).min(8);
    (count(12), count(20))
}

/// Lets debug exceptions in, also where interrupts are masked.
pub fn enable() {
    // SAFETY: debug exceptions are taken by the runtime's vectors.
    unsafe {
        asm!("msr mdscr_el1, {}", "isb", "msr daifclr, #8", in(reg) ENABLED, options(nostack))
    };
}

/// They are let in.
pub fn is_enabled() -> bool {
    let control: u64;
    // SAFETY: reading it has no effect.
    unsafe { asm!("mrs {}, mdscr_el1", out(reg) control, options(nostack)) };
    control & ENABLED == ENABLED
}
