//! Breakpoints and watchpoints of a vPE while another one runs (DDI 0487 D2).

use super::sysreg::{isb, read, write};

/// Breakpoints, and watchpoints, that an architecture can have.
const MOST: usize = 16;

/// Debug registers of a vPE.
pub struct Points {
    /// MDSCR_EL1, MDCCINT_EL1.
    control: u64,
    channel: u64,
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
    pub const OFF: Self =
        Self { control: 0, channel: 0, breakpoints: [NONE; MOST], watchpoints: [NONE; MOST] };

    /// Takes them out of the CPU: no debug exception comes any more.
    pub fn save(&mut self) {
        self.control = read!("mdscr_el1");
        self.channel = read!("mdccint_el1");
        disarm();
        let (breakpoints, watchpoints) = counts();
        for (number, point) in self.breakpoints.iter_mut().enumerate().take(breakpoints) {
            *point = read_breakpoint(number);
        }
        for (number, point) in self.watchpoints.iter_mut().enumerate().take(watchpoints) {
            *point = read_watchpoint(number);
        }
    }

    /// Makes them this CPU's, whose own are disarmed.
    pub fn load(&self) {
        let (breakpoints, watchpoints) = counts();
        for (number, &point) in self.breakpoints.iter().enumerate().take(breakpoints) {
            write_breakpoint(number, point);
        }
        for (number, &point) in self.watchpoints.iter().enumerate().take(watchpoints) {
            write_watchpoint(number, point);
        }
        // The OS lock, which a guest cannot reach, would hold its debug exceptions back.
        write!("oslar_el1", 0);
        write!("mdccint_el1", self.channel);
        isb();
        write!("mdscr_el1", self.control);
        isb();
    }
}

/// No debug exception comes, whatever the points are.
pub fn disarm() {
    write!("mdscr_el1", 0);
    write!("mdccint_el1", 0);
    isb();
}

/// How many breakpoints and watchpoints this CPU has (ID_AA64DFR0_EL1.BRPs, WRPs).
fn counts() -> (usize, usize) {
    let features = read!("id_aa64dfr0_el1");
    ((features >> 12 & 0xf) as usize + 1, (features >> 20 & 0xf) as usize + 1)
}
