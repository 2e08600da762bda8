// SPDX-License-Identifier: Apache-2.0 OR MIT
//! StreamIDs: what an SMMU tells devices apart by.

use super::range::hex;
use crate::diag::{Report, rules};
use crate::model::{At, Device, DeviceKind, Smmu, System, UNRESOLVED, Vm};

/// StreamID bits of the largest linear stream table that is made: 256 KiB.
const LINEAR_BITS: u8 = 12;

/// A StreamID of a VM's device that is behind an SMMU.
struct Behind<'a> {
    vm: &'a Vm,
    given: &'a At<usize>,
    device: &'a Device,
    smmu: usize,
    stream: u32,
}

pub fn check(system: &System, report: &mut Report) {
    for device in &system.board.devices {
        half(device, report);
    }
    let all = behind(system);
    for (n, one) in all.iter().enumerate() {
        let smmu = &system.board.smmus[one.smmu];
        width(one, smmu, report);
        // Devices of one VM may share a StreamID: they reach the same. A device that two VMs have
        // is another rule's.
        let same = |other: &&Behind| {
            (other.smmu, other.stream) == (one.smmu, one.stream)
                && !std::ptr::eq(other.vm, one.vm)
                && !std::ptr::eq(other.device, one.device)
        };
        if let Some(first) = all[..n].iter().find(same) {
            twice(first, one, smmu, report);
        }
    }
    let used = |smmu: usize| all.iter().find(|one| one.smmu == smmu);
    for (number, smmu) in system.board.smmus.iter().enumerate() {
        if let Some(first) = used(number) {
            size(system, first, smmu, report);
        }
    }
}

fn behind(system: &System) -> Vec<Behind<'_>> {
    let board = &system.board;
    let mut all = Vec::new();
    for vm in &system.vms {
        for used in vm.devices.iter().filter(|used| used.device.value != UNRESOLVED) {
            let Some(device) = board.devices.get(used.device.value) else { continue };
            let Some((smmu, streams)) = board.streams(device) else { continue };
            all.extend(streams.into_iter().map(|stream| Behind {
                vm,
                given: &used.device,
                device,
                smmu,
                stream,
            }));
        }
    }
    all
}

/// A platform device with an SMMU and no StreamID, or with StreamIDs and no SMMU.
fn half(device: &Device, report: &mut Report) {
    let name = &device.name.value;
    let DeviceKind::Platform { smmu, streams, .. } = &device.kind else { return };
    let said = match (smmu, streams.first()) {
        (Some(smmu), None) => rules::STREAM_MISSING
            .says(format!("`{name}` is behind an SMMU and has no StreamID"))
            .label(smmu, "its accesses would be aborted")
            .help("write streams = [...] as the board's `iommus` has them, or leave `smmu` out"),
        (None, Some(stream)) => rules::STREAM_MISSING
            .says(format!("`{name}` has a StreamID and is behind no SMMU"))
            .label(stream, "nobody looks at this")
            .help("write smmu = \"...\", or leave `streams` out"),
        _ => return,
    };
    report.push(said.label(&device.name, "this device"));
}

fn width(one: &Behind, smmu: &Smmu, report: &mut Report) {
    let (name, bits) = (&one.device.name.value, smmu.stream_id_bits.value);
    let linear = !smmu.two_level && LINEAR_BITS < bits;
    let most = if linear { LINEAR_BITS } else { bits };
    if u64::from(one.stream) >> most == 0 {
        return;
    }
    let why = match linear {
        true => format!("linear stream tables of more than {LINEAR_BITS} bits are not made"),
        false => format!("`{}` has {bits} bits", smmu.name.value),
    };
    let says = rules::STREAM_ID.says(format!("StreamID {:#x} of `{name}` is too wide", one.stream));
    report.push(match &one.device.kind {
        DeviceKind::Pci { address, .. } => says
            .label(address, format!("its host makes StreamID {:#x} of this", one.stream))
            .label(&smmu.stream_id_bits, why)
            .help("write the host's `stream_id_base` as the board's `iommu-map` has it"),
        DeviceKind::Platform { .. } => says
            .label(one.given, "given to a VM")
            .label(&smmu.stream_id_bits, why)
            .help("write the device's `streams` as the board's `iommus` has them"),
    });
}

fn twice(first: &Behind, one: &Behind, smmu: &Smmu, report: &mut Report) {
    let (a, b) = (&first.device.name.value, &one.device.name.value);
    report.push(
        rules::STREAM_TWICE
            .says(format!("`{a}` and `{b}` have the same StreamID, {:#x}", one.stream))
            .label(one.given, format!("`{b}` of VM `{}`", one.vm.name.value))
            .label(first.given, format!("`{a}` of VM `{}`", first.vm.name.value))
            .label(&smmu.name, "this SMMU cannot tell them apart")
            .help(
                "give both to one VM; or, if the board's `iommu-map` and `iommus` have other \
                 StreamIDs, write `stream_id_base` of each host and `streams` of each device",
            ),
    );
}

/// Addresses that VMs' devices must reach, and that the SMMU cannot give out.
fn size(system: &System, first: &Behind, smmu: &Smmu, report: &mut Report) {
    let (has, needs) = (smmu.address_bits.value, &system.board.address_bits);
    if has < needs.value {
        report.push(
            rules::SMMU_SIZE
                .says(format!(
                    "`{}` gives out addresses of {has} bits, and VMs' memory may have {}",
                    smmu.name.value, needs.value
                ))
                .label(first.given, format!("`{}` is behind it", first.device.name.value))
                .label(&smmu.address_bits, format!("addresses below {}", hex(1 << has)))
                .help(format!("write address_bits = {has} in [board] if no memory is beyond")),
        );
    }
}
