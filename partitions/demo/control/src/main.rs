// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A periodic loop on the virtual timer that measures its own jitter.
//!
//! The shape of a control task: a deadline every period, counted from the start so that lateness
//! does not add up; at each the handler notes the counter, and the loop records how late that was.
//! Arguments: `period-us=` (1000), `count=` (1000), `max-jitter-us=` (no bound: under an emulator
//! the host's own scheduling is measured, too), `report-every=` (0: only at the end), `late-ticks=`
//! (counts the periods that were later than that), `last=` (0: so many periods at the end are
//! measured apart, for a time in which the neighbours are known to have ended).
//!
//! It fails when the latest handler was later than the bound, or when a period was lost.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use rt::timer::{self, Periodic};
use rt::{Machine, Outcome, figure, println};

rt::entry!(main);

const TOO_LATE: u32 = 2;

/// Lateness in ticks.
struct Lateness {
    least: u64,
    most: u64,
    sum: u128,
    count: u64,
    /// Periods that were later than `bound`.
    late: u64,
    bound: u64,
}

impl Lateness {
    fn none(bound: u64) -> Self {
        Self { least: u64::MAX, most: 0, sum: 0, count: 0, late: 0, bound }
    }

    /// Waits for the end of a period.
    fn period(&mut self, periods: &mut Periodic) {
        let expiry = periods.wait();
        self.record(expiry.handled.saturating_sub(expiry.planned));
    }

    fn record(&mut self, ticks: u64) {
        self.least = self.least.min(ticks);
        self.most = self.most.max(ticks);
        self.sum += u128::from(ticks);
        self.count += 1;
        self.late += u64::from(ticks > self.bound);
    }

    fn mean(&self) -> u64 {
        (self.sum / u128::from(self.count.max(1))) as u64
    }
}

fn main(machine: &'static Machine) -> Outcome {
    let period = machine.number("period-us").unwrap_or(1000);
    let count = machine.number("count").unwrap_or(1000).max(1);
    let bound = machine.number("max-jitter-us");
    let every = machine.number("report-every").unwrap_or(0);
    let late = machine.number("late-ticks");
    let last = machine.number("last").unwrap_or(0).min(count);
    println!("{count} periods of {period} us");

    timer::init(machine);
    let mut periods = Periodic::new(timer::microseconds(period));
    let mut lateness = Lateness::none(late.unwrap_or(u64::MAX));
    for n in 1..=count - last {
        lateness.period(&mut periods);
        if every != 0 && n % every == 0 {
            println!("{n} periods, at most {} ticks late", lateness.most);
        }
    }
    // Figures are printed at the end: that takes longer than a short period.
    let mut apart = Lateness::none(u64::MAX);
    if last != 0 {
        println!("the last {last} periods are measured apart");
        for _ in 0..last {
            apart.period(&mut periods);
        }
    }
    figure!("jitter-min", lateness.least, "ticks");
    figure!("jitter-mean", lateness.mean(), "ticks");
    figure!("jitter-max", lateness.most, "ticks");
    figure!("jitter-max-ns", timer::nanoseconds(lateness.most), "ns");
    if late.is_some() {
        figure!("late", lateness.late);
    }
    if last != 0 {
        figure!("last-jitter-mean", apart.mean(), "ticks");
        figure!("last-jitter-max", apart.most, "ticks");
    }
    figure!("periods", lateness.count + apart.count);
    let most = lateness.most.max(apart.most);
    match bound {
        Some(bound) if most > timer::microseconds(bound) => Outcome::Failed(TOO_LATE),
        _ => Outcome::Passed,
    }
}
