// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a GIC's quirks want of the board and of the system.

use crate::diag::{Report, rules};
use crate::model::quirk::{self, Quirk};
use crate::model::{At, DeviceKind, RdBase, System, Vm};

pub fn check(system: &System, report: &mut Report) {
    for listed in &system.board.gic.quirks {
        if let Some((what, help)) = wants(system, listed.value) {
            refuse(report, listed, what, help);
        }
    }
}

/// What is missing, and what to write.
fn wants(system: &System, one: &Quirk) -> Option<(&'static str, &'static str)> {
    let gic = &system.board.gic;
    let rings = gic.direct_injection() && !system.channels.is_empty();
    let events = system.vms.iter().any(|vm| !vm.events.is_empty()) || rings;
    let low = system.hypervisor.end() <= 1 << 32;
    let numbers = gic.its.as_ref().is_some_and(|its| its.rdbase != RdBase::Address);
    let rockchip = *one == quirk::ROCKCHIP_3588001 || *one == quirk::ROCKCHIP_3568002;
    if rockchip && gic.coherent {
        Some(("its accesses are not coherent", "write coherent = false in [gic]"))
    } else if *one == quirk::ROCKCHIP_3568002 && !low {
        Some((
            "its tables, in the hypervisor's memory, would lie above 4 GiB",
            "begin the list of RAM with a range whose first megabytes are below 4 GiB",
        ))
    } else if *one == quirk::HISILICON_161600802 && numbers {
        Some((
            "its ITS names redistributors by number",
            "write rdbase = \"address\" in [gic.its], or take the quirk from the list",
        ))
    } else if *one == quirk::SOCIONEXT_PRE_ITS && events {
        Some((
            "its DeviceIDs come from addresses, which is not supported",
            "do without events on this board",
        ))
    } else if *one == quirk::NVIDIA_T241_FABRIC_4 {
        Some((
            "SPIs of its other chips are not supported",
            "describe a board of one chip, whose GIC does not have it",
        ))
    } else if *one == quirk::ARM_2941627 && spis_wander(system) {
        Some((
            "the GIC loses the end of an SPI on a CPU that it is not routed to",
            "give SPIs to VMs of one vPE only, and have no modes",
        ))
    } else {
        None
    }
}

/// A guest may handle an SPI on another CPU than it is routed to: with several vPEs, or in modes.
fn spis_wander(system: &System) -> bool {
    let devices = &system.board.devices;
    let signals = |vm: &Vm| {
        let own = vm.devices.iter().filter_map(|used| devices.get(used.device.value));
        let mut kinds = own.map(|device| &device.kind);
        kinds.any(|kind| matches!(kind, DeviceKind::Platform { intids, .. } if !intids.is_empty()))
    };
    let wanders = |vm: &&Vm| vm.vpes.len() > 1 || !system.modes.is_empty();
    system.vms.iter().filter(wanders).any(signals)
}

fn refuse(report: &mut Report, listed: &At<&'static Quirk>, what: &str, help: &str) {
    report.push(
        rules::QUIRK
            .says(format!(
                "the GIC's quirk \"{}\" does not fit the board or the system",
                listed.value.name
            ))
            .label(listed, what)
            .help(help),
    );
}
