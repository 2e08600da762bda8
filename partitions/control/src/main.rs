//! A periodic loop on the virtual timer that measures its own jitter.
//!
//! The shape of a control task: a deadline every period, counted from the start so that lateness does not add up; at each the
//! handler notes the counter, and the loop records how late that was. Arguments: `period-us=` (1000), `count=` (1000),
//! `max-jitter-us=` (no bound: under an emulator the host's own scheduling is measured, too), `report-every=` (0: only at the end).
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
}

impl Lateness {
    const NONE: Self = Self { least: u64::MAX, most: 0, sum: 0, count: 0 };

    fn record(&mut self, ticks: u64) {
        self.least = self.least.min(ticks);
        self.most = self.most.max(ticks);
        self.sum += u128::from(ticks);
        self.count += 1;
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
    println!("{count} periods of {period} us");

    timer::init(machine);
    let mut periods = Periodic::new(timer::microseconds(period));
    let mut lateness = Lateness::NONE;
    for n in 1..=count {
        let expiry = periods.wait();
        lateness.record(expiry.handled.saturating_sub(expiry.planned));
        if every != 0 && n % every == 0 {
            println!("{n} periods, at most {} ticks late", lateness.most);
        }
    }
    figure!("jitter-min", lateness.least, "ticks");
    figure!("jitter-mean", lateness.mean(), "ticks");
    figure!("jitter-max", lateness.most, "ticks");
    figure!("jitter-max-ns", timer::nanoseconds(lateness.most), "ns");
    figure!("periods", lateness.count);
    match bound {
        Some(bound) if lateness.most > timer::microseconds(bound) => Outcome::Failed(TOO_LATE),
        _ => Outcome::Passed,
    }
}
