// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices: each is one VM's own, and can interrupt it.

use std::collections::HashSet;

use super::cpu::pair;
use crate::diag::{Diagnostic, Report, rules};
use crate::model::{
    At, Device, DeviceKind, DeviceUse, EventUse, Format, ItsPolicy, PayloadKind, System,
    UNRESOLVED, Vm,
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
        let by_pin = vm.intx.iter().any(|one| one.value == given.device.value);
        if device.is_platform() || device.events.value == 0 || polled || by_pin {
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
        .chain(vm.polled.iter().map(|d| (d, "polled")))
        .chain(vm.intx.iter().map(|d| (d, "INTx of")));
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
        let by_pin = vm.intx.iter().find(|one| of(one));
        if let Some(wanted) = by_pin {
            by_intx(system, vm, device, wanted, events.first().copied(), polled, report);
        } else if let (Some(event), 0) = (events.first(), device.events.value) {
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
            if system.board.intx(vm, given.device.value).is_none() {
                report.push(silent(system, vm, device, given));
            }
        } else if events.is_empty() && polled.is_none() && device.events.value > 0 {
            report.push(
                rules::NO_EVENT
                    .says(format!("device `{name}` would never interrupt VM `{}`", vm.name.value))
                    .label(&given.device, "none of its events is given to the VM")
                    .label(&device.events, format!("it has {}", device.events.value))
                    .help(format!(
                        "add [[vm.event]] with device = \"{name}\" and event = 0, or \
                         polled = [\"{name}\"] if the guest polls it, or intx = [\"{name}\"] if \
                         the board has its pin"
                    )),
            );
        }
    }
}

/// A PCI function without events, whose pin leads nowhere.
fn silent(system: &System, vm: &Vm, device: &Device, given: &DeviceUse) -> Diagnostic {
    let name = &device.name.value;
    let silent = rules::NO_INTERRUPT
        .says(format!("device `{name}` would never interrupt VM `{}`", vm.name.value))
        .label(&given.device, "given to the VM here")
        .label(&device.events, "no MSI or MSI-X: `events` is 0, or not given");
    match nowhere(system, device) {
        Some((place, why)) => silent.label(&place, why).help(format!(
            "write the host's `intx`, or the device's `events`, or add polled = [\"{name}\"] if \
             the guest polls it"
        )),
        None => silent.help(format!(
            "write the `events` or the `pin` that the device has, or add polled = [\"{name}\"] \
             if the guest polls it"
        )),
    }
}

/// A pin of a host that has no lines: where, and why.
fn nowhere(system: &System, device: &Device) -> Option<(At<()>, String)> {
    let DeviceKind::Pci { host, address, pin, .. } = &device.kind else { return None };
    let pin = pin.as_ref()?;
    let pcie = system.board.pcie.get(host.value)?;
    let lost = system.board.pin(host.value, address.value, pin.value).is_none();
    lost.then(|| (pcie.name.with(()), format!("`{}` has no `intx`", pcie.name.value)))
}

/// A device in the VM's `intx`.
fn by_intx(
    system: &System,
    vm: &Vm,
    device: &Device,
    wanted: &At<usize>,
    event: Option<&EventUse>,
    polled: Option<&At<usize>>,
    report: &mut Report,
) {
    let name = &device.name.value;
    let (title, other, why, help) = match (&device.kind, event, polled) {
        (_, Some(event), _) => (
            "has an event, too",
            event.device.with(()),
            "an event of it".into(),
            "leave out one of them",
        ),
        (_, None, Some(polled)) => (
            "is polled, too",
            polled.with(()),
            "the guest polls it".into(),
            "leave out one of them",
        ),
        (DeviceKind::Platform { .. }, ..) => (
            "is no PCI function",
            device.name.with(()),
            "a device at fixed addresses".into(),
            "leave it out: a platform device signals by its `intids`",
        ),
        (DeviceKind::Pci { pin: None, .. }, ..) => (
            "has no interrupt pin",
            device.name.with(()),
            "no `pin` here".into(),
            "write pin = \"A\", or as `lspci -v` says; or give it an event",
        ),
        (DeviceKind::Pci { .. }, ..) => match nowhere(system, device) {
            Some((place, why)) => (
                "has a pin that leads nowhere",
                place,
                why,
                "write the host's `intx`; or give the device an event",
            ),
            None => return,
        },
    };
    report.push(
        rules::INTX_NONE
            .says(format!("device `{name}` in `intx` of VM `{}` {title}", vm.name.value))
            .label(wanted, "it is to signal by INTx")
            .label(&other, why)
            .help(help),
    );
}
