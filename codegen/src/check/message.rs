// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Messages of devices: MSI-X tables, and who is trusted with where they go.

use super::range::hex;
use crate::diag::{Report, rules};
use crate::limits::VECTORS as MOST_VECTORS;
use crate::model::{At, Bar, Device, DeviceKind, DeviceUse, Msix, System, Vm};
use crate::units::Size;

pub fn check(system: &System, report: &mut Report) {
    for device in &system.board.devices {
        if let DeviceKind::Pci { bars, msix: Some(msix), .. } = &device.kind
            && vectors(device, msix, report)
        {
            table(device, bars, msix, report);
        }
    }
    for vm in &system.vms {
        for given in &vm.devices {
            trusted(system, vm, given, report);
        }
    }
}

/// The table lies in a memory BAR of the device.
fn table(device: &Device, bars: &[Bar], msix: &Msix, report: &mut Report) {
    let name = &device.name.value;
    let Some(bar) = bars.iter().find(|bar| bar.index.value == msix.bar.value) else {
        report.push(
            rules::MSIX
                .says(format!("`{name}` has no BAR {} for its MSI-X table", msix.bar.value))
                .label(&msix.bar, "none of `bars`")
                .label(&device.name, "this device")
                .help("write the number of one of its BARs, or add the BAR to `bars`"),
        );
        return;
    };
    let wrong = match u64::from(msix.table.value) {
        table if table % 8 != 0 => Some("not a multiple of 8".to_owned()),
        _ if msix.end() > bar.size.value => Some(format!("it ends at {}", hex(msix.end()))),
        _ => None,
    };
    if let Some(wrong) = wrong {
        report.push(
            rules::MSIX
                .says(format!("the MSI-X table of `{name}` does not lie in BAR {}", msix.bar.value))
                .label(&msix.table, wrong)
                .label(&bar.size, format!("the BAR has {}", Size(bar.size.value)))
                .help("write `table` and `vectors` as `lspci -vv` has them"),
        );
    }
}

/// False: there cannot be so many.
fn vectors(device: &Device, msix: &Msix, report: &mut Report) -> bool {
    let (name, vectors) = (&device.name.value, &msix.vectors);
    if vectors.value == 0 || vectors.value > MOST_VECTORS {
        report.push(
            rules::MSIX
                .says(format!("the MSI-X table of `{name}` cannot have {} vectors", vectors.value))
                .label(vectors, format!("1 to {MOST_VECTORS}"))
                .label(&device.name, "this device")
                .help("write the number that `lspci -vv` has as `Count`"),
        );
        return false;
    }
    if device.events.value > vectors.value {
        report.push(
            rules::MSIX
                .says(format!("device `{name}` has more events than vectors"))
                .label(&device.events, format!("{} events", device.events.value))
                .label(vectors, format!("{} vectors", vectors.value))
                .help(format!("write events = {}", vectors.value)),
        );
    }
    true
}

/// A device of `vm` whose messages nobody checks.
fn trusted(system: &System, vm: &Vm, given: &DeviceUse, report: &mut Report) {
    let Some(device) = system.board.devices.get(given.device.value) else { return };
    let used = |event: &At<usize>| event.value == given.device.value;
    if device.events.value == 0 || !vm.events.iter().any(|event| used(&event.device)) {
        return;
    }
    if system.board.smmu(device).is_some() {
        return;
    }
    let name = &device.name.value;
    let why = match &device.kind {
        DeviceKind::Pci { msix: Some(msix), .. } if msix.is_trusted() => {
            msix.trusted.as_ref().map(|at| (at.with(()), "other registers are in its pages"))
        }
        DeviceKind::Platform { .. } => {
            Some((device.name.with(()), "registers of its own tell it where messages go"))
        }
        DeviceKind::Pci { .. } => None,
    };
    if let Some((at, why)) = why {
        report.push(
            rules::TRUSTED
                .says(format!("VM `{}` alone decides where messages of `{name}` go", vm.name.value))
                .label(&given.device, "it can make the device write anywhere")
                .label(&at, why)
                .help("give the device to a VM that is trusted with the whole board"),
        );
    }
}
