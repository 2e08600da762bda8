// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices: each is one VM's own, and can interrupt it.

use std::collections::HashSet;

use super::cpu::pair;
use crate::diag::{Report, rules};
use crate::model::{
    At, DeviceKind, DeviceUse, Format, ItsPolicy, PayloadKind, System, UNRESOLVED, Vm,
};

pub fn check(system: &System, report: &mut Report) {
    twice(system, report);
    slots(system, report);
    for vm in &system.vms {
        owned(system, vm, report);
        interrupted(system, vm, report);
        served(system, vm, report);
    }
}

/// Every device of every VM.
fn given(system: &System) -> Vec<(&Vm, &At<usize>)> {
    let all =
        system.vms.iter().flat_map(|vm| vm.devices.iter().map(move |given| (vm, &given.device)));
    all.filter(|(_, device)| device.value != UNRESOLVED).collect()
}

fn twice(system: &System, report: &mut Report) {
    let all = given(system);
    for (n, (vm, device)) in all.iter().enumerate() {
        let Some((first, place)) = all[..n].iter().find(|(_, other)| other.value == device.value)
        else {
            continue;
        };
        let name = &system.board.devices[device.value].name.value;
        report.push(
            rules::DEVICE_TWICE
                .says(format!("device `{name}` is given {}", pair("to", first, vm)))
                .label(device, format!("to `{}` here", vm.name.value))
                .label(place, format!("to `{}` here", first.name.value))
                .help("a device has one owner: take it from one of the lists"),
        );
    }
}

fn slots(system: &System, report: &mut Report) {
    let slot = |index: usize| match &system.board.devices[index].kind {
        DeviceKind::Pci { host, address, .. } => {
            Some((host.value, address.value.bus, address.value.device))
        }
        DeviceKind::Platform { .. } => None,
    };
    let all = given(system);
    for (n, (vm, device)) in all.iter().enumerate() {
        let shared = all[..n].iter().find(|(other, d)| {
            other.name.value != vm.name.value
                && d.value != device.value
                && slot(d.value).is_some()
                && slot(d.value) == slot(device.value)
        });
        if let Some((first, place)) = shared {
            report.push(
                rules::SLOT_SHARED
                    .says(format!(
                        "VM `{}` and VM `{}` have functions of one PCI device",
                        first.name.value, vm.name.value
                    ))
                    .label(device, format!("this function goes to `{}`", vm.name.value))
                    .label(place, format!("that one to `{}`", first.name.value))
                    .help(
                        "functions of one device share its interrupt lines and its reset: give \
                           all of them to one VM",
                    ),
            );
        }
    }
}

/// What an operating system needs to take a PCI function's interrupts. Whether a payload is one,
/// its format tells: an Image.
fn served(system: &System, vm: &Vm, report: &mut Report) {
    if !matches!(vm.payload.kind, PayloadKind::File { format: Format::Image, .. }) {
        return;
    }
    for given in &vm.devices {
        let Some(device) = system.board.devices.get(given.device.value) else { continue };
        let polled = vm.polled.iter().any(|polled| polled.value == given.device.value);
        if device.is_platform() || device.events.value == 0 || polled {
            continue;
        }
        let name = &device.name.value;
        let events = vm.events.iter().filter(|event| event.device.value == given.device.value);
        let planned: HashSet<u32> = events.map(|event| event.event.value).collect();
        let wanted = device.events.value.min(vm.vpes.len() as u32 + 1);
        let missing = (0..wanted).find(|event| !planned.contains(event));
        if vm.its.value == ItsPolicy::None {
            report.push(
                rules::NO_VIRTUAL_ITS
                    .says(format!(
                        "VM `{}` has no ITS for the interrupts of `{name}`",
                        vm.name.value
                    ))
                    .label(
                        &given.device,
                        "Linux takes a PCI function's MSIs by an ITS, or its driver fails",
                    )
                    .label(&vm.its, "no `its` here")
                    .help("write its = \"remap\"; or keep it, if the payload knows its vINTIDs"),
            );
        } else if let Some(event) = missing.filter(|_| !planned.is_empty()) {
            report.push(
                rules::FEW_EVENTS
                    .says(format!("`{name}` has no event {event} in VM `{}`", vm.name.value))
                    .label(
                        &given.device,
                        "a queue without its event answers only after the driver's timeout",
                    )
                    .label(
                        &device.events,
                        format!(
                            "it has {}: Linux takes one, and one for each CPU",
                            device.events.value
                        ),
                    )
                    .help(format!(
                        "write events = \"0..{}\" for it; or keep it, if the driver uses fewer",
                        wanted - 1
                    )),
            );
        }
    }
}

fn owned(system: &System, vm: &Vm, report: &mut Report) {
    let named = vm
        .events
        .iter()
        .map(|event| (&event.device, "an event of"))
        .chain(vm.polled.iter().map(|d| (d, "polled")));
    for (device, what) in named {
        // A misspelt name in the list may have meant this very device.
        let own = |own: &DeviceUse| [device.value, UNRESOLVED].contains(&own.device.value);
        if device.value == UNRESOLVED || vm.devices.iter().any(own) {
            continue;
        }
        let name = &system.board.devices[device.value].name.value;
        let owner = system.vms.iter().find_map(|other| {
            let own = other.devices.iter().find(|own| own.device.value == device.value)?;
            Some((other, &own.device))
        });
        let mut diagnostic = rules::DEVICE_OF_OTHER
            .says(format!("device `{name}` is not VM `{}`'s", vm.name.value))
            .label(device, format!("{what} `{name}`"));
        if let Some((owner, place)) = owner {
            diagnostic = diagnostic.label(place, format!("it is VM `{}`'s", owner.name.value));
        }
        report.push(diagnostic.help(format!(
            "add devices = [\"{name}\"] to VM `{}`, or name a device of its own",
            vm.name.value
        )));
    }
}

fn interrupted(system: &System, vm: &Vm, report: &mut Report) {
    for given in &vm.devices {
        let Some(device) = system.board.devices.get(given.device.value) else { continue };
        let name = &device.name.value;
        let of = |other: &At<usize>| other.value == given.device.value;
        let events: Vec<_> = vm.events.iter().filter(|event| of(&event.device)).collect();
        let polled = vm.polled.iter().find(|polled| of(polled));
        if let (Some(event), 0) = (events.first(), device.events.value) {
            report.push(
                rules::DEVICE_NO_EVENTS
                    .says(format!("device `{name}` has no events"))
                    .label(&event.device, "an event of it")
                    .label(&device.events, "`events` is 0, or not given")
                    .help("leave out the event; a platform device interrupts by its `intids`"),
            );
        } else if let (Some(event), Some(polled)) = (events.first(), polled) {
            report.push(
                rules::DEVICE_NO_EVENTS
                    .says(format!(
                        "device `{name}` of VM `{}` is polled and has an event",
                        vm.name.value
                    ))
                    .label(&event.device, "an event of it")
                    .label(polled, "the guest polls it")
                    .help("leave out one of them"),
            );
        } else if let (DeviceKind::Pci { .. }, 0, None) =
            (&device.kind, device.events.value, polled)
        {
            report.push(
                rules::NO_INTERRUPT
                    .says(format!("device `{name}` would never interrupt VM `{}`", vm.name.value))
                    .label(&given.device, "INTx is not passed on")
                    .label(&device.events, "no MSI or MSI-X: `events` is 0, or not given")
                    .help(format!(
                        "write the `events` that the device has, or add polled = [\"{name}\"] if \
                         the guest polls it"
                    )),
            );
        } else if events.is_empty() && polled.is_none() && device.events.value > 0 {
            report.push(
                rules::NO_EVENT
                    .says(format!("device `{name}` would never interrupt VM `{}`", vm.name.value))
                    .label(&given.device, "none of its events is given to the VM")
                    .label(&device.events, format!("it has {}", device.events.value))
                    .help(format!(
                        "add [[vm.event]] with device = \"{name}\" and event = 0, or \
                                   polled = [\"{name}\"] if the guest polls it"
                    )),
            );
        }
    }
}
