// SPDX-License-Identifier: Apache-2.0 OR MIT
//! All rules over one system, in one run.
//!
//! A system that `load` returned has all its names resolved; whether it makes sense is decided
//! here. When a name did not resolve, `load` calls the rules itself over what there is, and returns
//! everything that was found as its error: so a rule skips what is `UNRESOLVED` and never says what
//! follows from another mistake alone. One file for each family of rules; each pushes its findings,
//! the report puts them in order.

mod board;
mod bridge;
mod channel;
mod console;
mod cpu;
mod device;
mod device_id;
mod dma;
mod fault;
mod feature;
mod interrupt;
mod limits;
mod memory;
mod message;
mod mode;
mod names;
mod node;
mod payload;
mod pci;
mod placement;
mod platform;
mod quirk;
pub(crate) mod range;
mod schedule;
mod smmu;
mod time;
pub(crate) mod uart;

pub(crate) use limits::beyond;

use crate::diag::Report;
use crate::model::System;

/// What is wrong with the system as a whole: errors and warnings. The plan may be made only when
/// there is no error.
pub fn run(system: &System) -> Report {
    let mut report = Report { sources: system.sources.clone(), ..Report::default() };
    let families = [
        names::check,
        board::check,
        device_id::check,
        pci::check,
        bridge::check,
        memory::check,
        cpu::check,
        placement::check,
        schedule::check,
        mode::check,
        time::check,
        fault::check,
        device::check,
        platform::check,
        node::check,
        message::check,
        smmu::check,
        uart::check,
        dma::check,
        feature::check,
        quirk::check,
        interrupt::check,
        payload::check,
        channel::check,
        console::check,
        limits::check,
    ];
    for family in families {
        family(system, &mut report);
    }
    report.sort();
    report
}
