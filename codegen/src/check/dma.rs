// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who reaches memory past the CPUs: devices that no SMMU holds, and functions that reach each
//! other.

use crate::diag::{Report, rules};
use crate::model::{Board, Bridge, DeviceKind, DeviceUse, System, Vm};

pub fn check(system: &System, report: &mut Report) {
    for (n, vm) in system.vms.iter().enumerate() {
        if !system.dma_trusted {
            trusted(&system.board, vm, report);
        }
        for given in &vm.devices {
            let others = system.vms[..n].iter();
            let others = others.flat_map(|other| other.devices.iter().map(move |its| (other, its)));
            peers(&system.board, (vm, given), others, report);
        }
    }
}

/// The devices of a VM by which it can reach all memory.
fn trusted(board: &Board, vm: &Vm, report: &mut Report) {
    let free = vm.devices.iter().filter_map(|given| {
        let device = board.devices.get(given.device.value)?;
        (device.dma && board.smmu(device).is_none()).then_some((given, device))
    });
    let free: Vec<_> = free.collect();
    let Some((_, first)) = free.first() else { return };
    let mut says = rules::DMA_TRUSTED.says(format!(
        "VM `{}` is trusted with the whole board: no SMMU holds `{}`",
        vm.name.value, first.name.value
    ));
    for (given, device) in &free {
        says = says.label(
            &given.device,
            match board.iommu(device) {
                Some(iommu) => format!(
                    "can reach all memory: `{}`, {}, is not supported",
                    iommu.name.value,
                    iommu.kind.text()
                ),
                None => "can reach all memory".into(),
            },
        );
    }
    report.push(says.help(
        "write dma = \"trusted\" in [system] if such VMs may be trusted with the whole board",
    ));
}

/// Functions of two VMs, held by an SMMU, whose accesses a switch passes from one to the other.
fn peers<'a>(
    board: &Board,
    (vm, given): (&Vm, &DeviceUse),
    others: impl Iterator<Item = (&'a Vm, &'a DeviceUse)>,
    report: &mut Report,
) {
    let Some(own) = way(board, given) else { return };
    for (other, its) in others {
        let Some(theirs) = way(board, its) else { continue };
        // Ports of one switch have a bridge before them in common, and are not the same.
        let fork = own.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
        let (Some(above), Some(port), Some(beside)) =
            (fork.checked_sub(1), own.get(fork), theirs.get(fork))
        else {
            continue;
        };
        let bridge = |index: usize| -> &Bridge { &board.bridges[index] };
        if bridge(*port).acs && bridge(*beside).acs {
            continue;
        }
        let open = if bridge(*port).acs { beside } else { port };
        let name = |given: &DeviceUse| &board.devices[given.device.value].name.value;
        let (a, b) = (name(its), name(given));
        report.push(
            rules::NO_ACS
                .says(format!("`{a}` and `{b}` could reach each other past the SMMU"))
                .label(&given.device, format!("`{b}` of VM `{}`", vm.name.value))
                .label(&its.device, format!("`{a}` of VM `{}`", other.name.value))
                .label(
                    &bridge(*open).name,
                    format!("a port behind `{}`, without ACS", bridge(own[above]).name.value),
                )
                .help(
                    "give both to one VM, or write acs = true if `lspci -vv` has Access Control \
                     Services for the port",
                ),
        );
        return;
    }
}

/// Bridges on the way to a PCI function that an SMMU holds, the host's first.
fn way(board: &Board, given: &DeviceUse) -> Option<Vec<usize>> {
    let device = board.devices.get(given.device.value)?;
    board.streams(device)?;
    let DeviceKind::Pci { host, address, .. } = &device.kind else { return None };
    board.way(host.value, address.bus)
}
