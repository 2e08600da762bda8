// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Modes: somebody can switch to them, and a switch is never far away.

use std::time::Duration;

use crate::diag::{Report, rules};
use crate::model::{At, CpuUse, Sharing, System};
use crate::units::Time;

/// A switch waits for the frames of the CPUs concerned to begin together; not longer than this.
const LONGEST: Duration = Duration::from_secs(60);

pub fn check(system: &System, report: &mut Report) {
    reached(system, report);
    way_back(system, report);
    boundary(system, report, &system.initial_mode, &[]);
    for mode in &system.modes {
        boundary(system, report, &mode.name, &mode.cpus);
    }
}

fn reached(system: &System, report: &mut Report) {
    let on_fault = system.vms.iter().any(|vm| {
        let watchdog = vm.watchdog.as_ref().and_then(|watchdog| watchdog.value.mode.as_ref());
        vm.mode_on_fault.as_ref().or(watchdog).is_some()
    });
    match (system.modes.first(), &system.switch_by) {
        (Some(mode), None) if !on_fault => report.push(
            rules::MODE_UNREACHED
                .says(format!("nothing switches to mode `{}`", *mode.name))
                .label(&mode.name, "it would never be used")
                .label(&system.name, "no `switch_by` here")
                .help(
                    "write switch_by = \"...\" in [system], or mode_on_fault = \"...\" in a [[vm]]",
                ),
        ),
        (None, Some(by)) => report.push(
            rules::MODE_UNREACHED
                .says(format!("VM `{}` may ask for modes, but there are none", vm_name(system, by)))
                .label(by, "it has nothing to ask for")
                .label(&system.name, "the system has no [[mode]]")
                .help("add a [[mode]], or leave out `switch_by`"),
        ),
        _ => {}
    }
}

/// Who alone may ask for another mode must run in each, unless a fault leads out of it.
fn way_back(system: &System, report: &mut Report) {
    let Some(by) = &system.switch_by else { return };
    let Some(asker) = system.vms.get(by.value) else { return };
    for (n, mode) in system.modes.iter().enumerate() {
        let suspended = |number: usize| {
            let mut all = mode.suspended.iter();
            all.any(|vpe| vpe.vm.value == by.value && vpe.number.value == number)
        };
        let on_fault = system
            .vms
            .iter()
            .any(|vm| vm.mode_on_fault.as_ref().is_some_and(|to| to.value != n + 1));
        let Some(first) = mode.suspended.iter().find(|vpe| vpe.vm.value == by.value) else {
            continue;
        };
        if (0..asker.vpes.len()).all(suspended) && !on_fault {
            report.push(
                rules::NO_WAY_BACK
                    .says(format!("in mode `{}` no VM can ask for another mode", *mode.name))
                    .label(&first.vm, "suspended here")
                    .label(by, format!("VM `{}` alone may ask", *asker.name))
                    .help(
                        "leave one of its vPEs running; or keep it, if the mode is meant to be \
                           the last",
                    ),
            );
        }
    }
}

fn vm_name<'a>(system: &'a System, vm: &At<usize>) -> &'a str {
    system.vms.get(vm.value).map_or("?", |vm| vm.name.as_str())
}

/// The frames of all CPUs that a switch may concern, in the mode whose own descriptions are `own`.
fn boundary(system: &System, report: &mut Report, name: &At<String>, own: &[CpuUse]) {
    let concerned = |cpu: &&CpuUse| {
        let mut all = system.modes.iter().flat_map(|mode| &mode.cpus);
        all.any(|other| other.cpu.value == cpu.cpu.value)
    };
    let own_cpu = |cpu: &CpuUse| own.iter().any(|other| other.cpu.value == cpu.cpu.value);
    let inherited = system.cpus.iter().filter(|cpu| !own_cpu(cpu));
    let mut common: Option<(u128, &At<Duration>)> = None;
    for cpu in own.iter().chain(inherited).filter(concerned) {
        let Sharing::Cyclic(frame) = &cpu.sharing else { continue };
        let length = frame.length.value.as_nanos();
        if length == 0 {
            continue;
        }
        let Some((before, first)) = common else {
            common = Some((length, &frame.length));
            continue;
        };
        // Below 2^64 ns each as long as the limit holds.
        let together = before / gcd(before, length) * length;
        common = Some((together, first));
        if together > LONGEST.as_nanos() {
            report.push(
                rules::MODE_BOUNDARY
                    .says(format!("the frames of mode `{}` hardly ever begin together", **name))
                    .label(&frame.length, "this frame")
                    .label(first, format!("and this one: every {} s", together / 1_000_000_000))
                    .help(format!("write a multiple of \"{}\" or a part of it", Time(first.value))),
            );
            return;
        }
    }
}

/// Greatest common divisor.
fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}
