//! What becomes of VMs that fail.

use crate::diag::{Report, rules};
use crate::model::{Fault, System};

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
        let Some(restarts) = &vm.restarts else { continue };
        if vm.on_fault != Fault::Restart {
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
