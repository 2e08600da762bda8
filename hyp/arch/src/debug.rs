// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Breakpoints, watchpoints and the debug channel of a vPE while another one runs (DDI 0487 D2,
//! H6.2).
//!
//! Saved and restored behind the OS lock, which opens the states of the debug channel. MDSCR_EL1 of
//! a guest without `debug` is [`super::context`]'s. What a debugger outside holds (OSECCR_EL1, HDE,
//! INTdis, TDA) stays the CPU's.

use super::sysreg::{isb, read, write};
use core::arch::asm;

/// Breakpoints, and watchpoints, that an architecture can have.
const MOST: usize = 16;

/// Debug registers of a vPE.
pub struct Points {
    /// MDSCR_EL1 as it is behind the OS lock: with the states of the debug channel.
    control: u64,
    /// MDCCINT_EL1, OSDTRRX_EL1, OSDTRTX_EL1: the debug channel.
    channel: u64,
    receive: u64,
    transmit: u64,
    /// Claim tags.
    claims: u64,
    breakpoints: [Point; MOST],
    watchpoints: [Point; MOST],
}

#[derive(Clone, Copy)]
struct Point {
    value: u64,
    control: u64,
}

/// Functions that read and write the pair of registers with a number, "b" or "w".
macro_rules! points {
    ($read:ident, $write:ident, $kind:literal: $($number:literal)*) => {
        fn $read(number: usize) -> Point {
            match number {
                $($number => Point {
                    value: read!(concat!("dbg", $kind, "vr", $number, "_el1")),
                    control: read!(concat!("dbg", $kind, "cr", $number, "_el1")),
                },)*
                _ => NONE,
            }
        }

        fn $write(number: usize, point: Point) {
            match number {
                $($number => {
                    write!(concat!("dbg", $kind, "vr", $number, "_el1"), point.value);
                    write!(concat!("dbg", $kind, "cr", $number, "_el1"), point.control);
                })*
                _ => {}
            }
        }
    };
}

points! { read_breakpoint, write_breakpoint, "b": 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 }
points! { read_watchpoint, write_watchpoint, "w": 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 }

const NONE: Point = Point { value: 0, control: 0 };

impl Points {
    /// As after reset, or better: nothing is enabled.
    pub const OFF: Self = Self {
        control: 0,
        channel: 0,
        receive: 0,
        transmit: 0,
        claims: 0,
        breakpoints: [NONE; MOST],
        watchpoints: [NONE; MOST],
    };

    /// Takes them out of the CPU: no debug exception comes any more, and nothing of them can be
    /// read.
    pub fn save(&mut self) {
        lock();
        self.control = read!(MDSCR_EL1);
        self.channel = read!(MDCCINT_EL1);
        self.receive = read!(OSDTRRX_EL1);
        self.transmit = read!(OSDTRTX_EL1);
        self.claims = read!(DBGCLAIMCLR_EL1);
        let (breakpoints, watchpoints) = counts();
        for (number, point) in self.breakpoints.iter_mut().enumerate().take(breakpoints) {
            *point = read_breakpoint(number);
            write_breakpoint(number, NONE);
        }
        for (number, point) in self.watchpoints.iter_mut().enumerate().take(watchpoints) {
            *point = read_watchpoint(number);
            write_watchpoint(number, NONE);
        }
        forget_rest();
        unlock();
    }

    /// Makes them this CPU's, where none are.
    pub fn load(&self) {
        lock();
        let (breakpoints, watchpoints) = counts();
        for (number, &point) in self.breakpoints.iter().enumerate().take(breakpoints) {
            write_breakpoint(number, point);
        }
        for (number, &point) in self.watchpoints.iter().enumerate().take(watchpoints) {
            write_watchpoint(number, point);
        }
        write!(MDCCINT_EL1, self.channel);
        write!(OSDTRRX_EL1, self.receive);
        write!(OSDTRTX_EL1, self.transmit);
        write!(DBGCLAIMSET_EL1, self.claims);
        write!(MDSCR_EL1, self.control);
        unlock();
    }
}

/// No debug exception comes, and nothing that firmware or a vPE left can be read. Also on a CPU's
/// way to its first guest.
pub fn disarm() {
    lock();
    let (breakpoints, watchpoints) = counts();
    clear_points(breakpoints, watchpoints);
    forget_rest();
    unlock();
}

/// The OS lock, which a guest cannot reach, holds debug exceptions back, and opens what only a
/// debugger writes else.
fn lock() {
    write!(OSLAR_EL1, 1);
    isb();
}

fn unlock() {
    isb();
    write!(OSLAR_EL1, 0);
    isb();
}

/// All but breakpoints and watchpoints, and but what a debugger outside set in MDSCR_EL1. Behind
/// the lock.
fn forget_rest() {
    // RXfull, TXfull; MDE, KDE, TDCC, SS.
    const OURS: u64 = 1 << 30 | 1 << 29 | 1 << 15 | 1 << 13 | 1 << 12 | 1;
    write!(MDSCR_EL1, read!(MDSCR_EL1) & !OURS);
    write!(MDCCINT_EL1, 0);
    write!(OSDTRRX_EL1, 0);
    write!(OSDTRTX_EL1, 0);
    write!(DBGCLAIMCLR_EL1, 0xff);
}

/// Turns the first so many off (DBGBCR<n>_EL1, DBGWCR<n>_EL1). At most 16 of each.
fn clear_points(breakpoints: usize, watchpoints: usize) {
    // SAFETY: both jumps go to the last `breakpoints`, or `watchpoints`, of 16 instructions. They
    // turn debug exceptions off.
    unsafe {
        asm!(
            "adr {at}, 2f",
            "sub {at}, {at}, {breakpoints}, lsl #2",
            "br {at}",
            ".irp n, 15,14,13,12,11,10,9,8,7,6,5,4,3,2,1,0",
            r"msr dbgbcr\n\()_el1, xzr",
            ".endr",
            "2: adr {at}, 3f",
            "sub {at}, {at}, {watchpoints}, lsl #2",
            "br {at}",
            ".irp n, 15,14,13,12,11,10,9,8,7,6,5,4,3,2,1,0",
            r"msr dbgwcr\n\()_el1, xzr",
            ".endr",
            "3:",
            at = out(reg) _,
            breakpoints = in(reg) breakpoints.min(MOST),
            watchpoints = in(reg) watchpoints.min(MOST),
            options(nostack, nomem, preserves_flags),
        );
    }
}

/// How many breakpoints and watchpoints this CPU has (ID_AA64DFR0_EL1.BRPs, WRPs).
fn counts() -> (usize, usize) {
    let features = read!(ID_AA64DFR0_EL1);
    ((features >> 12 & 0xf) as usize + 1, (features >> 20 & 0xf) as usize + 1)
}
