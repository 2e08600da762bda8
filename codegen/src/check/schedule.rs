// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Shared CPUs: windows within their frame, budgets within their periods, priorities that leave
//! something for all.
//!
//! A frame and a period are whole numbers of ticks, because they repeat for ever; starts and
//! lengths are rounded down. Starving by construction (W309), precisely: a vPE starves when, among
//! those of higher priority on its CPU, one has no budget, or a budget that is all of its period,
//! or when their budgets come to all of the CPU's time.

use std::time::Duration;

use plan::SLOTS;

use super::placement::{cpu_name, known, vpe_name};
use crate::bounds::WINDOWS;
use crate::diag::{Report, rules};
use crate::model::{At, Budget, Claim, CpuUse, Frame, Sharing, System, Window};
use crate::units::Time;

/// A whole CPU, in the parts that utilisation is counted in.
const WHOLE: u128 = 1_000_000_000_000_000;

pub fn check(system: &System, report: &mut Report) {
    let modes = system.modes.iter().flat_map(|mode| &mode.cpus);
    for cpu in system.cpus.iter().chain(modes) {
        let name = cpu_name(system, cpu, report);
        match &cpu.sharing {
            Sharing::Idle | Sharing::Exclusive(_) => {}
            Sharing::Priority(claims) => priority(system, report, cpu, &name, claims),
            Sharing::Cyclic(frame) => cyclic(system, report, cpu, &name, frame),
        }
    }
}

// Cyclic
// -------------------------------------------------------------------------------------------------

fn cyclic(system: &System, report: &mut Report, cpu: &CpuUse, name: &str, frame: &Frame) {
    slots(report, cpu, name);
    let length = &frame.length;
    if !some(report, length, &format!("the frame of `{name}`")) {
        return;
    }
    whole(system, report, length, &format!("the frame of `{name}`"));
    if let Some(one) = frame.windows.get(WINDOWS) {
        report.push(
            rules::TOO_MANY_WINDOWS
                .says(format!("the frame of `{name}` has {} windows", frame.windows.len()))
                .label(&one.at, "this is one too many")
                .label(length, format!("a frame has {WINDOWS} at most"))
                .help("write a shorter frame: windows repeat with it"),
        );
        return;
    }
    let mut sorted: Vec<&Window> = frame.windows.iter().collect();
    sorted.sort_by_key(|window| window.start.value);
    for (n, window) in sorted.iter().enumerate() {
        let whose = vm_name(system, window);
        let what = format!("a window of {whose} on `{name}`");
        if some(report, &window.length, &what) {
            lasts(system, report, &window.length, &what);
        }
        outside(report, window, &what, length);
        let earlier = sorted[..n].iter().filter(|earlier| earlier.end() > window.start.value);
        if let Some(earlier) = earlier.max_by_key(|earlier| earlier.end()) {
            report.push(
                rules::WINDOW_OVERLAP
                    .says(format!(
                        "windows of {} and {whose} on `{name}` overlap",
                        vm_name(system, earlier)
                    ))
                    .label(&window.at, extent(window))
                    .label(&earlier.at, extent(earlier))
                    .help(format!(
                        "write start = \"{}\" here, or a shorter length there",
                        Time(earlier.end())
                    )),
            );
        }
    }
}

fn outside(report: &mut Report, window: &Window, what: &str, frame: &At<Duration>) {
    let (start, end) = (window.start.value, window.end());
    if end <= frame.value {
        return;
    }
    let diagnostic = rules::WINDOW_OUTSIDE.says(format!("{what} leaves the frame"));
    let room = frame.value.saturating_sub(start);
    report.push(if room.is_zero() {
        diagnostic
            .label(&window.start, "it begins after the frame's end")
            .label(frame, format!("the frame has {}", Time(frame.value)))
            .help(format!("write a start below \"{}\"", Time(frame.value)))
    } else {
        diagnostic
            .label(&window.length, format!("from {} on this ends at {}", Time(start), Time(end)))
            .label(frame, format!("the frame has {}", Time(frame.value)))
            .help(format!("write length = \"{}\", or a longer frame", Time(room)))
    });
}

/// "2 ms to 5 ms".
fn extent(window: &Window) -> String {
    match window.start.value {
        Duration::ZERO => format!("0 to {}", Time(window.end())),
        start => format!("{} to {}", Time(start), Time(window.end())),
    }
}

fn vm_name(system: &System, window: &Window) -> String {
    match system.vms.get(window.vpe.vm.value) {
        Some(vm) => format!("`{}`", vm.name.value),
        None => "an unknown VM".into(),
    }
}

// Priority
// -------------------------------------------------------------------------------------------------

fn priority(system: &System, report: &mut Report, cpu: &CpuUse, name: &str, claims: &[Claim]) {
    slots(report, cpu, name);
    let (mut given, mut fine) = (0, true);
    for (n, claim) in claims.iter().enumerate() {
        if !known(system, &claim.vpe) {
            continue;
        }
        let who = vpe_name(system, &claim.vpe);
        let same = |c: &&Claim| c.priority.value == claim.priority.value && known(system, &c.vpe);
        if let Some(first) = claims[..n].iter().find(same) {
            let other = vpe_name(system, &first.vpe);
            report.push(
                rules::EQUAL_PRIORITY
                    .says(format!("{other} and {who} have the same priority on `{name}`"))
                    .label(&claim.priority, "the priority is taken")
                    .label(&first.priority, format!("by {other}"))
                    .help(
                        "write another number: the higher one goes first, equal ones would not \
                             take turns",
                    ),
            );
        }
        let Some(budget) = &claim.budget else { continue };
        if !period(system, report, budget, &who) {
            fine = false;
            continue;
        }
        let before = given;
        given += share(budget);
        if before <= WHOLE && given > WHOLE {
            report.push(
                rules::UTILISATION
                    .says(format!("the budgets of `{name}` add up to {}", percent(given)))
                    .label(&budget.time, format!("{who} wants {}", percent(share(budget))))
                    .label(&cpu.cpu, format!("{} are given to those before", percent(before)))
                    .help(format!("reduce them by {} in all", percent(given - WHOLE))),
            );
        }
    }
    if fine && given <= WHOLE {
        starved(system, report, name, claims);
    }
    one_cpu(system, report, name, claims);
}

/// Whether the budget makes sense.
fn period(system: &System, report: &mut Report, budget: &Budget, who: &str) -> bool {
    let (time, period) = (&budget.time, &budget.period);
    if !some(report, time, &format!("the budget of {who}"))
        || !some(report, period, &format!("the period of {who}"))
    {
        return false;
    }
    if time.value > period.value {
        report.push(
            rules::BUDGET_PERIOD
                .says(format!("the budget of {who} is more than its period"))
                .label(time, format!("{} of CPU time", Time(time.value)))
                .label(period, format!("in each {}", Time(period.value)))
                .help(format!(
                    "write time = \"{}\" at most, or no budget: then it may run as long as it likes",
                    Time(period.value)
                )),
        );
        return false;
    }
    let whole = whole(system, report, period, &format!("the period of {who}"));
    whole && lasts(system, report, time, &format!("the budget of {who}"))
}

fn starved(system: &System, report: &mut Report, name: &str, claims: &[Claim]) {
    let mut sorted: Vec<&Claim> = claims.iter().filter(|c| known(system, &c.vpe)).collect();
    sorted.sort_by_key(|claim| std::cmp::Reverse(claim.priority.value));
    let mut given = 0;
    for (n, high) in sorted.iter().enumerate() {
        let lower = sorted[n..].iter().find(|low| low.priority.value < high.priority.value);
        let Some(low) = lower else { return };
        let (who, other) = (vpe_name(system, &high.vpe), vpe_name(system, &low.vpe));
        let own = high.budget.as_ref().map_or(WHOLE, share);
        given += own;
        // Of vPEs of one VM more is wrong than that: `one_cpu` says it.
        if high.budget.is_none() && high.vpe.vm.value == low.vpe.vm.value {
            given = 0;
            continue;
        }
        if own >= WHOLE {
            let label = match &high.budget {
                None => "it has no budget",
                Some(_) => "its budget is all of the time",
            };
            report.push(
                rules::STARVED
                    .says(format!("{who} never has to leave `{name}` to {other}"))
                    .label(&high.priority, label)
                    .label(&low.priority, format!("{other} runs only while {who} waits"))
                    .help(
                        "write budget = { time = \"...\", period = \"...\" } there; or keep it, \
                           if it is trusted to wait",
                    ),
            );
        } else if given + SLOTS as u128 > WHOLE {
            report.push(
                rules::STARVED
                    .says(format!("the budgets above {other} take all of `{name}`'s time"))
                    .label(&low.priority, format!("{other} runs only while the others wait"))
                    .label(&high.priority, format!("with {who} nothing is left"))
                    .help("reduce a budget; or keep it, if one of them is trusted to wait"),
            );
        }
        if given + SLOTS as u128 > WHOLE {
            given = 0;
        }
    }
}

/// A guest's vPEs wait for each other by spinning, as if each had a CPU. One that never has to
/// yield waits for ever for one below it.
fn one_cpu(system: &System, report: &mut Report, name: &str, claims: &[Claim]) {
    let mut told = Vec::new();
    for high in claims.iter().filter(|claim| known(system, &claim.vpe) && claim.budget.is_none()) {
        let vm = high.vpe.vm.value;
        let below = |low: &&Claim| {
            low.vpe.vm.value == vm
                && low.priority.value < high.priority.value
                && known(system, &low.vpe)
        };
        let Some(low) = claims.iter().find(below).filter(|_| !told.contains(&vm)) else { continue };
        told.push(vm);
        let (who, other) = (vpe_name(system, &high.vpe), vpe_name(system, &low.vpe));
        report.push(
            rules::ONE_CPU
                .says(format!("{who} and {other} share `{name}` by strict priority"))
                .label(&high.priority, "while it spins for what the other holds")
                .label(&low.priority, "this one does not run")
                .help(
                    "give one of them another CPU, or the upper one a budget; or keep it, if the \
                       guest never spins",
                ),
        );
    }
}

/// Of a whole CPU, rounded down.
fn share(budget: &Budget) -> u128 {
    let (time, period) = (budget.time.value.as_nanos(), budget.period.value.as_nanos());
    time.saturating_mul(WHOLE).checked_div(period).unwrap_or(0)
}

/// "12.5 %".
fn percent(share: u128) -> String {
    let tenths = share / (WHOLE / 1000);
    match tenths % 10 {
        0 => format!("{} %", tenths / 10),
        rest => format!("{}.{rest} %", tenths / 10),
    }
}

// Both
// -------------------------------------------------------------------------------------------------

fn slots(report: &mut Report, cpu: &CpuUse, name: &str) {
    let mut seen = Vec::new();
    for vpe in cpu.sharing.vpes() {
        if !seen.contains(&vpe.key()) {
            seen.push(vpe.key());
            if seen.len() == SLOTS + 1 {
                report.push(
                    rules::TOO_MANY_VPES
                        .says(format!("more than {SLOTS} vPEs share `{name}`"))
                        .label(&vpe.vm, "this is one too many")
                        .label(&cpu.cpu, format!("its scheduler has {SLOTS} slots"))
                        .help("move some of them to another CPU"),
                );
            }
        }
    }
}

/// `time` must not be zero.
fn some(report: &mut Report, time: &At<Duration>, what: &str) -> bool {
    if time.value.is_zero() {
        report.push(
            rules::EMPTY
                .says(format!("{what} is zero"))
                .label(time, "no time at all")
                .help("write a time, or leave the whole entry out"),
        );
    }
    !time.value.is_zero()
}

/// `time` repeats for ever, so it must be a whole number of ticks.
fn whole(system: &System, report: &mut Report, time: &At<Duration>, what: &str) -> bool {
    let frequency = &system.board.timer.frequency;
    let whole = system.board.timer.is_whole(time.value);
    if !whole {
        report.push(
            rules::WHOLE_TICKS
                .says(format!("{what} is not a whole number of ticks"))
                .label(time, "it would drift")
                .label(frequency, format!("{} ticks in a second", frequency.value))
                .help(format!("write a multiple of \"{}\"", Time(system.board.timer.step()))),
        );
    }
    whole
}

/// `time` must be a tick at least, and longer than it takes to hand the CPU over.
fn lasts(system: &System, report: &mut Report, time: &At<Duration>, what: &str) -> bool {
    if !tick(system, report, time, what) {
        return false;
    }
    let switch = &system.board.switch_time;
    let fine = time.value >= switch.value;
    if !fine {
        report.push(
            rules::TOO_SHORT
                .says(format!("{what} is too short to run in"))
                .label(time, format!("all of the {} goes into the switch", Time(time.value)))
                .label(switch, format!("a switch takes up to {} on this board", Time(switch.value)))
                .help(format!(
                    "write \"{}\" or more; a faster board says so by `switch_time`",
                    Time(switch.value)
                )),
        );
    }
    fine
}

/// `time` must be a tick at least.
fn tick(system: &System, report: &mut Report, time: &At<Duration>, what: &str) -> bool {
    let frequency = &system.board.timer.frequency;
    let long_enough = system.board.timer.ticks(time.value) > 0;
    if !long_enough {
        report.push(
            rules::WHOLE_TICKS
                .says(format!("{what} is shorter than a tick"))
                .label(time, "nothing would be left of it")
                .label(frequency, format!("{} ticks in a second", frequency.value))
                .help("write a longer time"),
        );
    }
    long_enough
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_short() {
        assert_eq!(percent(WHOLE), "100 %");
        assert_eq!(percent(WHOLE / 8), "12.5 %");
        assert_eq!(percent(WHOLE / 3), "33.3 %");
    }
}
