// SPDX-License-Identifier: Apache-2.0 OR MIT
//! vPEs by number: that the VM has them.

use crate::diag::{Report, rules};
use crate::model::{At, System, Vm};

pub fn check(system: &System, report: &mut Report) {
    for vm in &system.vms {
        for event in &vm.events {
            vpe(report, vm, &event.vpe, "this event goes to");
        }
    }
    let modes = system.modes.iter();
    let suspended = modes.clone().flat_map(|mode| &mode.suspended);
    let cpus = system.cpus.iter().chain(modes.flat_map(|mode| &mode.cpus));
    for named in cpus.flat_map(|cpu| cpu.sharing.vpes()).chain(suspended) {
        if let Some(vm) = system.vms.get(named.vm.value) {
            vpe(report, vm, &named.number, "this is for");
        }
    }
    for end in system.channels.iter().flat_map(|channel| &channel.ends) {
        if let Some(vm) = system.vms.get(end.vm.value) {
            vpe(report, vm, &end.vpe, "this end is rung on");
        }
    }
}

/// "by VM `a` and VM `b`", "twice by VM `a`".
pub fn pair(preposition: &str, first: &Vm, second: &Vm) -> String {
    let (first, second) = (&first.name.value, &second.name.value);
    match first == second {
        true => format!("twice {preposition} VM `{first}`"),
        false => format!("{preposition} VM `{first}` and VM `{second}`"),
    }
}

fn vpe(report: &mut Report, vm: &Vm, vpe: &At<usize>, what: &str) {
    if vpe.value >= vm.vpes.len() {
        let last = vm.vpes.len().saturating_sub(1);
        report.push(
            rules::VPE_RANGE
                .says(format!("VM `{}` has no vPE {}", vm.name.value, vpe.value))
                .label(vpe, format!("{what} vPE {}", vpe.value))
                .label(&vm.name, format!("its last vPE is {last}"))
                .help(match last {
                    0 => "write vpe = 0, or add to the VM's `vpes`".into(),
                    _ => format!("write a vPE from 0 to {last}, or add to the VM's `vpes`"),
                }),
        );
    }
}
