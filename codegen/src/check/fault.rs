// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What becomes of VMs that fail.

use crate::diag::{Report, rules};
use crate::limits::WATCHDOG;
use crate::model::{At, Fault, System, Vm, VpeName, WatchdogAction};

pub fn check(system: &System, report: &mut Report) {
    for (number, vm) in system.vms.iter().enumerate() {
        suspended(system, number, vm, report);
        if let Some(resets) = &vm.resets
            && resets.value.within.value.is_zero()
        {
            report.push(
                rules::EMPTY
                    .says(format!("resets of VM `{}` are counted within no time", *vm.name))
                    .label(&resets.value.within, "none would ever be too many")
                    .help("write a time, as in within = \"10 s\""),
            );
        }
        watchdog(vm, report);
        let Some(restarts) = &vm.restarts else { continue };
        if !vm.is_restarted() {
            report.push(
                rules::RESTARTS_UNUSED
                    .says(format!("faults do not restart VM `{}`", *vm.name))
                    .label(restarts, "this has no effect")
                    .label(&vm.name, "no `on_fault = \"restart\"` here")
                    .help("write on_fault = \"restart\", or leave out `restarts`"),
            );
        }
        if restarts.value.within.value.is_zero() {
            report.push(
                rules::EMPTY
                    .says(format!("restarts of VM `{}` are counted within no time", *vm.name))
                    .label(&restarts.value.within, "none would ever be too many")
                    .help("write a time, as in within = \"10 s\""),
            );
        }
    }
}

/// A restart loads the VM where its vPE 0 runs.
fn suspended(system: &System, number: usize, vm: &Vm, report: &mut Report) {
    let on_fault = vm.on_fault == Fault::Restart;
    let watchdog = vm.watchdog.as_ref().map(|watchdog| &watchdog.value);
    let by_watchdog = watchdog.filter(|watchdog| match watchdog.action {
        WatchdogAction::OnFault => on_fault,
        action => action == WatchdogAction::Restart,
    });
    let to: [Option<&At<usize>>; 2] = [
        vm.mode_on_fault.as_ref().filter(|_| on_fault),
        by_watchdog.and_then(|watchdog| watchdog.mode.as_ref()),
    ];
    for to in to.into_iter().flatten() {
        // 0 is the first mode, which suspends nobody.
        let mode = to.value.checked_sub(1).and_then(|mode| system.modes.get(mode));
        let Some(mode) = mode else { continue };
        let is_first = |vpe: &&VpeName| vpe.vm.value == number && vpe.number.value == 0;
        let Some(vpe) = mode.suspended.iter().find(is_first) else { continue };
        report.push(
            rules::RESTART_SUSPENDED
                .says(format!(
                    "VM `{}` restarts in mode `{}`, which suspends it",
                    *vm.name, *mode.name
                ))
                .label(to, "this mode comes with the restart")
                .label(&vpe.vm, "suspended here")
                .help(
                    "choose a mode that runs its vPE 0; or keep it, if it is to start with the \
                       next mode",
                ),
        );
    }
}

fn watchdog(vm: &Vm, report: &mut Report) {
    let Some(watchdog) = &vm.watchdog else { return };
    let time = &watchdog.value.time;
    if time.value < WATCHDOG {
        report.push(
            rules::WATCHDOG_TIME
                .says(format!("the watchdog of VM `{}` would always expire", *vm.name))
                .label(time, "shorter than 1 ms")
                .label(&vm.name, "of this VM")
                .help(
                    "write a time of 1 ms or more, several times what the guest needs between \
                       two feeds",
                ),
        );
    }
}
