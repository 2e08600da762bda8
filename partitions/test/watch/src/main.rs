// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Watches an address of its own while others run, and guards its debug registers.
//!
//! There are two cells in memory, at the same addresses in every VM with the same memory. `watch=0`
//! or `watch=1` puts a watchpoint on one of them; without it the VM has none, and needs no
//! `features = ["debug"]`. For `ms=` (100) milliseconds both cells are read again and again: the
//! watched one takes a watchpoint exception each time, the other one never. The other breakpoints
//! and watchpoints hold patterns, which are compared each time.
#![no_std]
#![no_main]

use core::sync::atomic::AtomicU64;

use rt::debug::{self, Point, WATCHPOINT};
use rt::probe::{self, Width};
use rt::random::Random;
use rt::{Machine, Outcome, figure, println, timer};

rt::entry!(main);

const FAILED: u32 = 2;
/// The watchpoint that watches.
const WATCHING: usize = 1;
/// A breakpoint that is off, whatever else it is (DBGBCR_EL1.BAS).
const OFF: u64 = 0xf << 5;

#[repr(align(64))]
struct Cells([AtomicU64; 2]);
static CELLS: Cells = Cells([const { AtomicU64::new(0) }; 2]);

fn main(machine: &'static Machine) -> Outcome {
    let length = timer::microseconds(machine.number("ms").unwrap_or(100) * 1000);
    let watched = machine.number("watch").map(|number| number as usize);
    let points = watched.map(|number| patterns(address(number)));
    // Where it has none, an exception that was meant for another guest would be let in.
    debug::enable();
    let end = timer::now() + length;
    let (mut rounds, mut wrong, mut disturbed) = (0u64, 0u64, 0u64);
    while timer::now() < end {
        rounds += 1;
        for number in 0..CELLS.0.len() {
            // SAFETY: an aligned read of memory that nobody writes.
            let class = match unsafe { probe::read(address(number), Width::Double) } {
                Ok(_) => None,
                Err(syndrome) => Some(syndrome.class()),
            };
            let expected = (watched == Some(number)).then_some(WATCHPOINT);
            if class != expected {
                if wrong == 0 {
                    println!("cell {number}: exception class {class:x?}, not {expected:x?}");
                }
                wrong += 1;
            }
        }
        if let Some(points) = &points {
            disturbed += u64::from(!debug::is_enabled() || read(points) != *points);
        }
    }
    figure!("rounds", rounds);
    figure!("wrong", wrong);
    figure!("registers-disturbed", disturbed);
    if wrong + disturbed == 0 { Outcome::Passed } else { Outcome::Failed(FAILED) }
}

fn address(cell: usize) -> u64 {
    &raw const CELLS.0[cell % CELLS.0.len()] as u64
}

/// Breakpoints and watchpoints; those that the vPE does not have are None.
type Points = [[Option<Point>; 8]; 2];

/// Fills them with patterns, but for the one that watches `address`; what they hold then.
fn patterns(address: u64) -> Points {
    let (breakpoints, watchpoints) = debug::counts();
    let mut random = Random::new(address);
    let mut points = Points::default();
    let mut pattern = || Point { value: random.draw() & 0x7fff_ffff_fff8, control: OFF };
    for (number, point) in points[0].iter_mut().enumerate().take(breakpoints) {
        debug::set_breakpoint(number, *point.insert(pattern()));
    }
    for (number, point) in points[1].iter_mut().enumerate().take(watchpoints) {
        let new = if number == WATCHING { Point::watch(address) } else { pattern() };
        debug::set_watchpoint(number, *point.insert(new));
    }
    points
}

/// What they hold now.
fn read(like: &Points) -> Points {
    let mut points = *like;
    for (number, point) in points[0].iter_mut().enumerate().filter(|(_, point)| point.is_some()) {
        *point = debug::breakpoint(number);
    }
    for (number, point) in points[1].iter_mut().enumerate().filter(|(_, point)| point.is_some()) {
        *point = debug::watchpoint(number);
    }
    points
}
