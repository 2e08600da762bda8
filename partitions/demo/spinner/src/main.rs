// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Takes all the CPU time it gets, measures it, and guards every register.
//!
//! It reads the counter again and again. Two readings further apart than `gap-us=` (10) are a time
//! in which somebody else had the CPU; all the rest is its own. `share` is its part of the whole,
//! in thousandths, over `ms=` (100) milliseconds. After each gap all registers that another vPE
//! could have changed are compared with what they were.
//!
//! On a cyclic CPU with `frame-us=` and `start-us=`, the times of its only window, it also says how
//! late its first instruction of each window was: the counter's zero is where frames begin, and EL2
//! leaves it as it is.
//!
//! With `wait-us=` it sleeps that long at first, so that others can get ready.
#![no_std]
#![no_main]

mod guard;

use rt::random::Random;
use rt::{Machine, Outcome, cpu, figure, timer};

rt::entry!(main);

const DISTURBED: u32 = 2;

fn main(machine: &'static Machine) -> Outcome {
    let microseconds = |key, default| timer::microseconds(machine.number(key).unwrap_or(default));
    let gap = microseconds("gap-us", 10);
    let length = timer::microseconds(machine.number("ms").unwrap_or(100) * 1000);
    let window = machine
        .number("frame-us")
        .map(|frame| (timer::microseconds(frame), microseconds("start-us", 0)));
    if let Some(wait) = machine.number("wait-us") {
        timer::init(machine);
        cpu::enable_interrupts();
        timer::sleep(wait);
    }
    let mut random = Random::new(machine.vpes().into());
    let began = timer::now();
    let end = began + length;
    let (mut lost, mut gaps, mut disturbed) = (0, 0u64, 0u64);
    let (mut soonest, mut latest, mut sum, mut windows) = (u64::MAX, 0, 0, 0u64);
    let mut now = began;
    while now < end {
        let stretch = guard::spin(random.draw(), gap, end);
        disturbed += u64::from(!stretch.intact);
        // Setting up and comparing are its own time as well, unless they took too long.
        let apart = [stretch.first.wrapping_sub(now), stretch.after - stretch.before];
        for ticks in apart.into_iter().filter(|&ticks| ticks > gap && ticks < length) {
            lost += ticks;
            gaps += 1;
        }
        if let Some((frame, start)) = window
            && stretch.after - stretch.before > gap
        {
            let late = stretch.after.wrapping_sub(start) % frame;
            soonest = soonest.min(late);
            latest = latest.max(late);
            sum += late;
            windows += 1;
        }
        now = stretch.after;
    }
    let whole = now - began;
    figure!("share", (whole - lost) * 1000 / whole, "thousandths");
    figure!("gaps", gaps);
    figure!("registers-disturbed", disturbed);
    if let Some(mean) = sum.checked_div(windows) {
        figure!("window-late-min", soonest, "ticks");
        figure!("window-late-mean", mean, "ticks");
        figure!("window-late-max", latest, "ticks");
        figure!("windows", windows);
    }
    if disturbed == 0 { Outcome::Passed } else { Outcome::Failed(DISTURBED) }
}
