// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Interrupts: every event one vLPI, every vLPI one event, all within the ITS's widths.

use std::collections::{HashMap, HashSet};

use crate::diag::{FileId, Report, rules};
use crate::limits;
use crate::model::{
    At, Board, Device, DeviceKind, EventUse, GicVersion, ItsPolicy, System, UNRESOLVED, Vm,
};

/// First and last INTID that a vLPI may have: 16 INTID bits.
const LPI_FIRST: u32 = 8192;
const LPI_LAST: u32 = 65535;
/// Of one VM.
const VLPIS: usize = (LPI_LAST - LPI_FIRST + 1) as usize;

pub fn check(system: &System, report: &mut Report) {
    events_twice(system, report);
    for (n, vm) in system.vms.iter().enumerate() {
        vintids(system, vm, n, report);
        priority(vm, report);
        allowance(vm, report);
    }
    events_exist(system, report);
    translated(system, report);
}

/// Where a value is written. The events of a run are written in one place, of which a mistake is
/// told once.
fn place<T>(at: &At<T>) -> (FileId, usize) {
    (at.file, at.span.start)
}

fn events_twice(system: &System, report: &mut Report) {
    let all = system.vms.iter().flat_map(|vm| vm.events.iter().map(move |event| (vm, event)));
    let mut seen: HashMap<(usize, u32), (&Vm, &EventUse)> = HashMap::new();
    let mut told = HashSet::new();
    for (vm, event) in all {
        let Some(device) = system.board.devices.get(event.device.value) else { continue };
        let key = (event.device.value, event.event.value);
        let Some((first, other)) = seen.get(&key) else {
            seen.insert(key, (vm, event));
            continue;
        };
        if !told.insert((place(&event.event), place(&other.event))) {
            continue;
        }
        report.push(
            rules::EVENT_TWICE
                .says(format!(
                    "event {} of device `{}` is given twice",
                    event.event.value, device.name.value
                ))
                .label(&event.event, format!("to VM `{}` here", vm.name.value))
                .label(&other.event, format!("already to VM `{}` here", first.name.value))
                .help("one event becomes one vLPI: write another event, or leave this one out"),
        );
    }
}

/// The two lowest bits of a configuration byte mean something else (IHI 0069H 6.1.1).
fn priority(vm: &Vm, report: &mut Report) {
    let priority = vm.key(|vm| &vm.event_priority);
    let Some(priority) = priority.filter(|priority| priority.value % 4 != 0) else { return };
    let value = priority.value;
    report.push(
        rules::EVENT_PRIORITY
            .says(format!("no vLPI of VM `{}` can have priority {value:#04x}", vm.name.value))
            .label(&priority, "not a multiple of 4")
            .label(&vm.name, "of this VM")
            .help(format!("write {:#04x}", value & !3)),
    );
}

/// Without any a VM would wait for ever; no ITS executes more.
fn allowance(vm: &Vm, report: &mut Report) {
    const MOST: u32 = limits::ALLOWANCE;
    let allowance = vm.key(|vm| &vm.its_allowance);
    let Some(allowance) = allowance.filter(|allowance| !(1..=MOST).contains(&allowance.value))
    else {
        return;
    };
    report.push(
        rules::ITS_ALLOWANCE
            .says(format!(
                "VM `{}` cannot have {} batches of ITS commands in a millisecond",
                vm.name.value, allowance.value
            ))
            .label(&allowance, "not 1 to 1000")
            .label(&vm.name, "of this VM")
            .help(format!("write {}", allowance.value.clamp(1, MOST))),
    );
}

fn vintids(system: &System, vm: &Vm, position: usize, report: &mut Report) {
    let own = vm.events.iter().filter_map(|event| event.vintid.as_ref());
    let ends = system
        .channels
        .iter()
        .flat_map(|channel| &channel.ends)
        .filter(|end| end.vm.value == position);
    let ends_of = ends.clone();
    let takers = vm.events.iter().map(|event| event.event.with(()));
    if let Some(one) = takers.chain(ends_of.map(|end| end.vm.with(()))).nth(VLPIS) {
        report.push(
            rules::TOO_MANY_EVENTS
                .says(format!("VM `{}` has more events and channel ends than vLPIs", vm.name.value))
                .label(&one, "this is one too many")
                .label(
                    &vm.name,
                    format!("a VM has {VLPIS} vINTIDs, from {LPI_FIRST} to {LPI_LAST}"),
                )
                .help("give some of them to another VM"),
        );
    }
    let all: Vec<&At<u32>> = own.chain(ends.filter_map(|end| end.vintid.as_ref())).collect();
    let used: HashSet<u32> = all.iter().map(|vintid| vintid.value).collect();
    let mut seen: HashMap<u32, &At<u32>> = HashMap::new();
    let mut told = HashSet::new();
    for vintid in all {
        if !(LPI_FIRST..=LPI_LAST).contains(&vintid.value) && told.insert((place(vintid), None)) {
            report.push(
                rules::VINTID_RANGE
                    .says(format!("no vLPI can be {}", vintid.value))
                    .label(vintid, format!("an event of VM `{}`", vm.name.value))
                    .help(format!(
                        "write a number from {LPI_FIRST} to {LPI_LAST}, or leave out `vintid`"
                    )),
            );
        }
        let Some(first) = seen.get(&vintid.value) else {
            seen.insert(vintid.value, vintid);
            continue;
        };
        if told.insert((place(vintid), Some(place(first)))) {
            let free =
                (LPI_FIRST..=LPI_LAST).find(|free| !used.contains(free)).unwrap_or(LPI_FIRST);
            report.push(
                rules::VINTID_TWICE
                    .says(format!(
                        "vINTID {} of VM `{}` is given twice",
                        vintid.value, vm.name.value
                    ))
                    .label(vintid, "again here")
                    .label(first, "first here")
                    .help(format!("{free} is free; without `vintid` the plan chooses")),
            );
        }
    }
}

fn events_exist(system: &System, report: &mut Report) {
    let mut told = HashSet::new();
    for event in system.vms.iter().flat_map(|vm| &vm.events) {
        let Some(device) = system.board.devices.get(event.device.value) else { continue };
        let events = device.events.value;
        let beyond = events > 0 && event.event.value >= events;
        if beyond && told.insert(place(&event.event)) {
            report.push(
                rules::EVENT_RANGE
                    .says(format!(
                        "device `{}` has no event {}",
                        device.name.value, event.event.value
                    ))
                    .label(&event.event, "this event")
                    .label(&device.events, format!("it has {events}"))
                    .help(format!("write an event from 0 to {}", events - 1)),
            );
        }
    }
}

/// What an ITS is needed for, and how much of it.
fn translated(system: &System, report: &mut Report) {
    let mut events = system.vms.iter().flat_map(|vm| &vm.events);
    let event = events.find(|event| event.device.value != UNRESOLVED);
    let Some(its) = &system.board.gic.its else {
        let virtual_its = system.vms.iter().find(|vm| vm.its.value != ItsPolicy::None);
        let virtual_its = virtual_its.map(|vm| vm.its.with("a virtual ITS"));
        let user = event.map(|event| event.event.with("an event"));
        if let Some(user) = user.or(virtual_its) {
            let device = event.and_then(|event| system.board.devices.get(event.device.value));
            let instead = device.and_then(|device| signals(&system.board, device));
            let instead = instead.unwrap_or("or leave this out".into());
            report.push(
                rules::NO_ITS
                    .says(format!("{} on a board without ITS", user.value))
                    .label(&user, "signalled by the ITS")
                    .label(&system.board.gic.at, "no [gic.its] here")
                    .help(format!("describe the board's ITS by [gic.its], {instead}")),
            );
        }
        return;
    };
    let gic = &system.board.gic;
    let keys = [
        ("shared_vpe_table", &its.shared_vpe_table),
        ("virtual_sgis", &its.virtual_sgis),
        ("invalidation_registers", &gic.invalidation_registers),
    ];
    for (name, key) in keys {
        if let Some(key) = key.as_ref().filter(|_| gic.version.value != GicVersion::V4_1) {
            report.push(
                rules::GICV41_ONLY
                    .says(format!("`{name}` on a board without a GICv4.1"))
                    .label(key, "only a GICv4.1 has it")
                    .label(&gic.version, "the GIC's version")
                    .help(format!("leave `{name}` out, or write version = \"v4.1\"")),
            );
        }
    }
    if !gic.direct_injection() {
        return;
    }
    let room = 1u64 << its.event_id_bits.value;
    let ends: Vec<_> = system.channels.iter().flat_map(|channel| &channel.ends).collect();
    if let Some(end) = ends.get(room as usize) {
        report.push(too_many(&end.vm, "channel ends", ends.len(), &its.event_id_bits));
    }
    let doorbells = doorbells(system);
    if let Some(vpe) = doorbells.get(room as usize) {
        report.push(too_many(vpe, "vPEs with events", doorbells.len(), &its.event_id_bits));
    }
}

/// What a device has besides events, as the end of a sentence.
fn signals(board: &Board, device: &Device) -> Option<String> {
    let name = &device.name.value;
    match &device.kind {
        DeviceKind::Platform { intids, .. } => {
            let line = intids.first()?.intid.value;
            Some(format!("or leave this out: `{name}` signals INTID {line}"))
        }
        DeviceKind::Pci { host, .. } => {
            let pins = !board.pcie.get(host.value)?.intx.is_empty();
            pins.then(|| {
                format!("or write intx = [\"{name}\"] instead: its host has INTIDs for pins")
            })
        }
    }
}

/// The vPEs that take an event or a ring, each of which needs a doorbell.
fn doorbells(system: &System) -> Vec<At<usize>> {
    let mut taken: Vec<(usize, usize)> = Vec::new();
    let mut places = Vec::new();
    let events = system
        .vms
        .iter()
        .enumerate()
        .flat_map(|(n, vm)| vm.events.iter().map(move |event| (n, &event.vpe)));
    let ends = system
        .channels
        .iter()
        .flat_map(|channel| &channel.ends)
        .map(|end| (end.vm.value, &end.vpe));
    for (vm, vpe) in events.chain(ends).filter(|(vm, _)| *vm != UNRESOLVED) {
        if !taken.contains(&(vm, vpe.value)) {
            taken.push((vm, vpe.value));
            places.push(vpe.clone());
        }
    }
    places
}

fn too_many(place: &At<usize>, what: &str, count: usize, bits: &At<u8>) -> crate::diag::Diagnostic {
    let room = 1u64 << bits.value;
    rules::TOO_MANY_EVENTS
        .says(format!("{count} {what}, more than the ITS has EventIDs for"))
        .label(place, format!("number {}", room + 1))
        .label(bits, format!("a device has {room} EventIDs"))
        .help(format!("keep to {room} {what}"))
}
