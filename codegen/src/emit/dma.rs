// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the report says of DMA: what devices reach, and what EL2 does to SMMUs for it.

use super::section::{Section, Table};
use crate::plan::{Plan, Smmu, SmmuStep};

/// What each device reaches past the CPUs. None: no VM has such a device.
pub fn reach(plan: &Plan) -> Option<Section> {
    if plan.masters.is_empty() && plan.closed_smmus.is_empty() {
        return None;
    }
    let mut section = Section::new("dma", "DMA: what devices reach past the CPUs");
    for smmu in &plan.smmus {
        let (name, cpu) = (&smmu.name, &plan.cpus[smmu.cpu.index()].name);
        let (event, error) = (smmu.event_intid, smmu.error_intid);
        section.line(format!("{name}: faults come by INTID {event}, errors by {error}, to {cpu}"));
    }
    for smmu in &plan.closed_smmus {
        section.line(format!("{}: aborts everything, no VM's device is behind it", smmu.name));
    }
    if plan.masters.is_empty() {
        return Some(section);
    }
    let head = ["device", "VM", "reaches", "SMMU", "StreamID", "stage 2", "on a fault"];
    let mut table = Table::new(&head);
    for master in &plan.masters {
        let vm = &plan.vms[master.vm].name;
        if master.trusted {
            let trusted = match &master.past {
                Some(iommu) => format!("trusted: can reach all memory; {iommu}, is not supported"),
                None => "trusted: can reach all memory".to_owned(),
            };
            table.row(&[&master.name, vm, &trusted, &"-", &"-", &"-", &"-"]);
            continue;
        }
        let smmu = &plan.smmus[usize::from(master.smmu)].name;
        let streams: Vec<_> = master.streams.iter().map(|id| format!("{id:#06x}")).collect();
        let root = format!("{:#012x}", master.vttbr.0 & 0xffff_ffff_ffff);
        let (reaches, policy) = ("its VM's memory, channels, the ITS", master.on_fault.name());
        let streams = streams.join(" ");
        table.row(&[&master.name, vm, &reaches, smmu, &streams, &root, &policy]);
    }
    Some(section.with(table))
}

/// What EL2 does to an SMMU, as its registers, its table and its command queue see it.
pub fn script(smmu: &Smmu) -> Section {
    let Smmu { name, base, .. } = smmu;
    let heading =
        format!("SMMU {name} at {base}: at boot, and when its devices' VMs start and stop");
    let mut section = Section::new(format!("smmu-{name}"), heading);
    for script in &smmu.scripts {
        section.line(format!("{}:", script.when));
        let mut table = Table::default();
        // Doublewords of an entry that are written one after the other are one line.
        let one = |a: &SmmuStep, b: &SmmuStep| match (a, b) {
            (SmmuStep::Entry { address: a, .. }, SmmuStep::Entry { address: b, .. }) => {
                b.value() == a.value() + 8
            }
            _ => false,
        };
        for steps in script.steps.chunk_by(one) {
            let words = steps.iter().map(|step| match step {
                SmmuStep::Register { value, bytes: 4, .. } => format!("{:08x}", value.0),
                SmmuStep::Register { value, .. } | SmmuStep::Entry { value, .. } => {
                    format!("{:016x}", value.0)
                }
                SmmuStep::Command { words, .. } => {
                    words.map(|word| format!("{:016x}", word.0)).join(" ")
                }
            });
            let words = words.collect::<Vec<_>>().join(" ");
            match &steps[0] {
                SmmuStep::Register { name, .. } => table.row(&[name, &words]),
                SmmuStep::Entry { address, .. } => {
                    table.row(&[&format!("STE at {address}"), &words])
                }
                SmmuStep::Command { text, .. } => table.row(&[text, &words]),
            }
        }
        section.table(table);
    }
    section
}
