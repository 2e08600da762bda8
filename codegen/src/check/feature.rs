// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Features that EL2 does not switch: only for vPEs that are alone on their CPUs, whatever the
//! mode.

use crate::diag::{Report, rules};
use crate::model::{At, CpuUse, Feature, Sharing, System, Vm};

pub fn check(system: &System, report: &mut Report) {
    for (number, vm) in system.vms.iter().enumerate() {
        let Some(feature) = vm.features.iter().find(|one| one.value == Feature::Sve) else {
            continue;
        };
        let of_modes = system.modes.iter().flat_map(|mode| &mode.cpus);
        let shared = system.cpus.iter().chain(of_modes).find(|cpu| shares(cpu, number, vm));
        if let Some(cpu) = shared {
            refuse(report, vm, feature, cpu);
        }
    }
}

/// The description gives a CPU of the VM's to several vPEs, or moves one of its vPEs.
fn shares(cpu: &CpuUse, number: usize, vm: &Vm) -> bool {
    if cpu.sharing.vpes().iter().any(|vpe| vpe.vm.value == number) {
        return true;
    }
    let own = vm.vpes.iter().any(|vpe| vpe.cpu.value == cpu.cpu.value);
    own && !matches!(cpu.sharing, Sharing::Exclusive(None))
}

fn refuse(report: &mut Report, vm: &Vm, feature: &At<Feature>, cpu: &CpuUse) {
    let name = feature.value.name();
    report.push(
        rules::FEATURE_SHARED
            .says(format!("VM `{}` has \"{name}\" and shares a CPU", vm.name.value))
            .label(feature, "EL2 does not switch this between vPEs")
            .label(&cpu.cpu, "this CPU is shared in some mode")
            .help(format!("take \"{name}\" from `features`, or leave this CPU to the vPE alone")),
    );
}
