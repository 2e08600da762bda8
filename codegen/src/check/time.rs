// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Times that EL2 would have to compare over more than half of its counter's range.

use std::time::Duration;

use crate::diag::{Report, rules};
use crate::limits::TIME;
use crate::model::{At, Sharing, System};
use crate::units::Time;

pub fn check(system: &System, report: &mut Report) {
    let modes = system.modes.iter().flat_map(|mode| &mode.cpus);
    let mut times: Vec<(&str, &At<Duration>)> = Vec::new();
    for cpu in system.cpus.iter().chain(modes) {
        match &cpu.sharing {
            Sharing::Idle | Sharing::Exclusive(_) => {}
            Sharing::Cyclic(frame) => times.push(("a frame", &frame.length)),
            Sharing::Priority(claims) => {
                let budgets = claims.iter().filter_map(|claim| claim.budget.as_ref());
                times.extend(budgets.map(|budget| ("a period", &budget.period)));
            }
        }
    }
    for vm in &system.vms {
        let limits = vm.restarts.iter().chain(&vm.resets);
        times.extend(limits.map(|limit| ("`within`", &limit.value.within)));
        times.extend(vm.watchdog.iter().map(|own| ("a watchdog's time", &own.value.time)));
    }
    for (what, time) in times.into_iter().filter(|(_, time)| time.value > TIME) {
        report.push(
            rules::TOO_LONG
                .says(format!("{what} is {} at most", Time(TIME)))
                .label(time, "nobody would see its end")
                .help(format!("write \"{}\" or less", Time(TIME))),
        );
    }
}
