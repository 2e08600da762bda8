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

/// Functions that read and write the pair of registers with a number.
macro_rules! points {
    ($read:ident, $write:ident: $($number:literal $value:literal $control:literal,)*) => {
        fn $read(number: usize) -> Point {
            match number {
                $($number => Point { value: read!($value), control: read!($control) },)*
                _ => NONE,
            }
        }

        fn $write(number: usize, point: Point) {
            match number {
                $($number => {
                    write!($value, point.value);
                    write!($control, point.control);
                })*
                _ => {}
            }
        }
    };
}

points! { read_breakpoint, write_breakpoint:
    0 "dbgbvr0_el1" "dbgbcr0_el1",
    1 "dbgbvr1_el1" "dbgbcr1_el1",
    2 "dbgbvr2_el1" "dbgbcr2_el1",
    3 "dbgbvr3_el1" "dbgbcr3_el1",
    4 "dbgbvr4_el1" "dbgbcr4_el1",
    5 "dbgbvr5_el1" "dbgbcr5_el1",
    6 "dbgbvr6_el1" "dbgbcr6_el1",
    7 "dbgbvr7_el1" "dbgbcr7_el1",
    8 "dbgbvr8_el1" "dbgbcr8_el1",
    9 "dbgbvr9_el1" "dbgbcr9_el1",
    10 "dbgbvr10_el1" "dbgbcr10_el1",
    11 "dbgbvr11_el1" "dbgbcr11_el1",
    12 "dbgbvr12_el1" "dbgbcr12_el1",
    13 "dbgbvr13_el1" "dbgbcr13_el1",
    14 "dbgbvr14_el1" "dbgbcr14_el1",
    15 "dbgbvr15_el1" "dbgbcr15_el1",
}

points! { read_watchpoint, write_watchpoint:
    0 "dbgwvr0_el1" "dbgwcr0_el1",
    1 "dbgwvr1_el1" "dbgwcr1_el1",
    2 "dbgwvr2_el1" "dbgwcr2_el1",
    3 "dbgwvr3_el1" "dbgwcr3_el1",
    4 "dbgwvr4_el1" "dbgwcr4_el1",
    5 "dbgwvr5_el1" "dbgwcr5_el1",
    6 "dbgwvr6_el1" "dbgwcr6_el1",
    7 "dbgwvr7_el1" "dbgwcr7_el1",
    8 "dbgwvr8_el1" "dbgwcr8_el1",
    9 "dbgwvr9_el1" "dbgwcr9_el1",
    10 "dbgwvr10_el1" "dbgwcr10_el1",
    11 "dbgwvr11_el1" "dbgwcr11_el1",
    12 "dbgwvr12_el1" "dbgwcr12_el1",
    13 "dbgwvr13_el1" "dbgwcr13_el1",
    14 "dbgwvr14_el1" "dbgwcr14_el1",
    15 "dbgwvr15_el1" "dbgwcr15_el1",
}

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
