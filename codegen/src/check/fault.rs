//! What becomes of VMs that fail.

use crate::diag::{Report, rules};
use crate::limits::WATCHDOG;
use crate::model::{System, Vm};

pub fn check(system: &System, report: &mut Report) {
    for vm in &system.vms {
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

fn watchdog(vm: &Vm, report: &mut Report) {
    let Some(watchdog) = &vm.watchdog else { return };
    let time = &watchdog.value.time;
    if time.value < WATCHDOG {
        report.push(
            rules::WATCHDOG_TIME
                .says(format!("the watchdog of VM `{}` would expire all the time", *vm.name))
                .label(time, "shorter than 1 ms")
                .label(&vm.name, "of this VM")
                .help("write a time of 1 ms or more, several times what the guest needs between two feeds"),
        );
    }
}
