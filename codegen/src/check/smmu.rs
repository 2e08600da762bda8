//! StreamIDs: what an SMMU tells devices apart by.

use crate::diag::{Report, rules};
use crate::model::{At, Device, DeviceKind, Smmu, System, UNRESOLVED, Vm};

/// StreamID bits of the largest stream table that is made: linear, 256 KiB.
const TABLE_BITS: u8 = 12;

/// A device of a VM that is behind an SMMU.
struct Behind<'a> {
    vm: &'a Vm,
    given: &'a At<usize>,
    device: &'a Device,
    smmu: usize,
    stream: u32,
}

pub fn check(system: &System, report: &mut Report) {
    let all = behind(system);
    for (n, one) in all.iter().enumerate() {
        let smmu = &system.board.smmus[one.smmu];
        width(one, smmu, report);
        let same = |other: &&Behind| {
            (other.smmu, other.stream) == (one.smmu, one.stream)
                && !std::ptr::eq(other.device, one.device)
        };
        if let Some(first) = all[..n].iter().find(same) {
            twice(first, one, smmu, report);
        }
    }
    if let Some(first) = all.first()
        && let Some(other) = all.iter().find(|other| other.smmu != first.smmu)
    {
        report.push(
            rules::SMMUS
                .says(format!(
                    "`{}` and `{}` are behind two SMMUs",
                    first.device.name.value, other.device.name.value
                ))
                .label(
                    other.given,
                    format!("behind `{}`", system.board.smmus[other.smmu].name.value),
                )
                .label(
                    first.given,
                    format!("behind `{}`", system.board.smmus[first.smmu].name.value),
                )
                .help("give VMs devices of one SMMU alone"),
        );
    }
}

fn behind(system: &System) -> Vec<Behind<'_>> {
    let board = &system.board;
    let mut all = Vec::new();
    for vm in &system.vms {
        for used in vm.devices.iter().filter(|used| used.device.value != UNRESOLVED) {
            let Some(device) = board.devices.get(used.device.value) else { continue };
            if let Some((smmu, stream)) = board.stream(device) {
                all.push(Behind { vm, given: &used.device, device, smmu, stream });
            }
        }
    }
    all
}

fn width(one: &Behind, smmu: &Smmu, report: &mut Report) {
    let (name, bits) = (&one.device.name.value, smmu.stream_id_bits.value);
    let DeviceKind::Pci { address, .. } = &one.device.kind else { return };
    let most = bits.min(TABLE_BITS);
    if u64::from(one.stream) >> most == 0 {
        return;
    }
    let why = match most < bits {
        true => format!("stream tables of more than {TABLE_BITS} bits are not made"),
        false => format!("`{}` has {bits} bits", smmu.name.value),
    };
    report.push(
        rules::STREAM_ID
            .says(format!("StreamID {:#x} of `{name}` is too wide", one.stream))
            .label(address, format!("its host makes StreamID {:#x} of this", one.stream))
            .label(&smmu.stream_id_bits, why)
            .help("write the host's `stream_id_base` as the board's `iommu-map` has it"),
    );
}

fn twice(first: &Behind, one: &Behind, smmu: &Smmu, report: &mut Report) {
    let (a, b) = (&first.device.name.value, &one.device.name.value);
    report.push(
        rules::STREAM_TWICE
            .says(format!("`{a}` and `{b}` have the same StreamID, {:#x}", one.stream))
            .label(one.given, format!("`{b}` of VM `{}`", one.vm.name.value))
            .label(first.given, format!("`{a}` of VM `{}`", first.vm.name.value))
            .label(&smmu.name, "this SMMU cannot tell them apart")
            .help("write the `stream_id_base` of each host, as the board's `iommu-map` has it"),
    );
}
