// SPDX-License-Identifier: Apache-2.0 OR MIT
//! DeviceIDs: what the ITS tells requesters apart by. Each host has its own, and each device one.

use crate::diag::{Report, rules};
use crate::model::{At, Board, Device, DeviceKind, ItsDesc, Pcie, System};

/// DeviceIDs of the plan's own, above all others, where the GIC delivers events: doorbells and
/// channels.
const OWN: u64 = 2;

pub fn check(system: &System, report: &mut Report) {
    let board = &system.board;
    if board.gic.its.is_some() {
        hosts(board, report);
    }
    let with_id: Vec<(&Device, &At<u32>)> = board
        .devices
        .iter()
        .filter(|device| follows(board, device))
        .filter_map(|device| Some((device, device.device_id.as_ref()?)))
        .collect();
    for (n, (device, id)) in with_id.iter().enumerate() {
        twice(&with_id[..n], device, id, report);
        if let Some(its) = &board.gic.its {
            width(its, board.gic.direct_injection(), device, id, report);
        }
    }
    for device in &board.devices {
        events(board, device, report);
    }
}

/// No two hosts give the same DeviceIDs, and all fit a command of the ITS.
fn hosts(board: &Board, report: &mut Report) {
    let range = |host: &Pcie| {
        let ids = host.device_ids();
        format!("DeviceIDs {:#x} to {:#x}", ids.start, ids.end.saturating_sub(1))
    };
    for (n, host) in board.pcie.iter().enumerate() {
        let (name, ids) = (&host.name.value, host.device_ids());
        if !fits(host) {
            report.push(
                rules::ITS_WIDTH
                    .says(format!("DeviceIDs of `{name}` are more than 32 bits"))
                    .label(&host.device_id_base, range(host))
                    .label(&host.last_bus, "256 for each bus up to this")
                    .help("write the `device_id_base` that the board's manual has for it"),
            );
            continue;
        }
        let clash = |other: &&Pcie| {
            let others = other.device_ids();
            ids.start < others.end && others.start < ids.end
        };
        if let Some(first) = board.pcie[..n].iter().find(clash) {
            report.push(
                rules::DEVICE_ID_TWICE
                    .says(format!(
                        "PCIe hosts `{}` and `{name}` have the same DeviceIDs",
                        first.name.value
                    ))
                    .label(&host.device_id_base, format!("of `{name}`: {}", range(host)))
                    .label(
                        &first.device_id_base,
                        format!("of `{}`: {}", first.name.value, range(first)),
                    )
                    .help(
                        "the ITS tells requesters apart by them: write the `device_id_base` of \
                           each host, as the board's manual has it",
                    ),
            );
        }
    }
}

/// Its DeviceIDs are below 2^32.
fn fits(host: &Pcie) -> bool {
    host.device_ids().end <= 1 << 32
}

/// The device's DeviceID is its own, and does not follow from another mistake: a bus that its host
/// does not have, DeviceIDs that there are not.
fn follows(board: &Board, device: &Device) -> bool {
    let DeviceKind::Pci { host, address, .. } = &device.kind else { return true };
    let Some(host) = board.pcie.get(host.value) else { return false };
    let written = device.device_id.as_ref().is_some_and(|id| id.span != address.span);
    written || host.buses().contains(&address.bus) && fits(host)
}

fn twice(earlier: &[(&Device, &At<u32>)], device: &Device, id: &At<u32>, report: &mut Report) {
    let Some((first, place)) = earlier.iter().find(|(_, other)| other.value == id.value) else {
        return;
    };
    // Two functions at one address are told by the PCI rules.
    if place.span == id.span || same_function(device, first) {
        return;
    }
    report.push(
        rules::DEVICE_ID_TWICE
            .says(format!(
                "devices `{}` and `{}` have the same DeviceID {}",
                first.name.value, device.name.value, id.value
            ))
            .label(id, format!("of `{}`", device.name.value))
            .label(place, format!("of `{}`", first.name.value))
            .help(
                "the ITS tells devices apart by it: correct `device_id` or the host's \
                   `device_id_base`",
            ),
    );
}

fn width(its: &ItsDesc, direct: bool, device: &Device, id: &At<u32>, report: &mut Report) {
    let (name, bits) = (&device.name.value, &its.device_id_bits);
    let (value, limit) = (u64::from(id.value), 1u64 << bits.value);
    if value >= limit {
        report.push(
            rules::ITS_WIDTH
                .says(format!("DeviceID {value} of `{name}` has more bits than the ITS takes"))
                .label(id, "its DeviceID follows from this")
                .label(bits, format!("DeviceIDs are below {limit}"))
                .help("write `device_id_bits` as GITS_TYPER.Devbits + 1, or correct the DeviceID"),
        );
    } else if direct && value + OWN >= limit {
        report.push(
            rules::ITS_WIDTH
                .says(format!(
                    "above DeviceID {value} of `{name}` there is no room for the \
                               hypervisor's own"
                ))
                .label(id, "its DeviceID follows from this")
                .label(
                    bits,
                    format!(
                        "DeviceIDs are below {limit}, the hypervisor needs {OWN} of \
                                      them above all devices"
                    ),
                )
                .help("write `device_id_bits` as GITS_TYPER.Devbits + 1, or leave the device out"),
        );
    }
}

fn events(board: &Board, device: &Device, report: &mut Report) {
    let (name, events) = (&device.name.value, &device.events);
    let its = board.gic.its.as_ref();
    if let Some(its) = its.filter(|its| u64::from(events.value) > 1 << its.event_id_bits.value) {
        report.push(
            rules::ITS_WIDTH
                .says(format!("device `{name}` has more events than the ITS has EventIDs"))
                .label(events, format!("{} events", events.value))
                .label(&its.event_id_bits, format!("{} EventIDs", 1u64 << its.event_id_bits.value))
                .help("write `event_id_bits` as GITS_TYPER.ID_bits + 1, or fewer events"),
        );
    }
    if events.value > 0
        && matches!(device.kind, DeviceKind::Platform { .. })
        && device.device_id.is_none()
    {
        report.push(
            rules::ITS_WIDTH
                .says(format!("device `{name}` has events and no DeviceID"))
                .label(events, "the ITS could not tell whose they are")
                .label(&device.name, "no `device_id` here")
                .help("add device_id = ..., or leave out `events`"),
        );
    }
}

fn same_function(a: &Device, b: &Device) -> bool {
    match (&a.kind, &b.kind) {
        (
            DeviceKind::Pci { host, address, .. },
            DeviceKind::Pci { host: other, address: place, .. },
        ) => host.value == other.value && address.value == place.value,
        _ => false,
    }
}
