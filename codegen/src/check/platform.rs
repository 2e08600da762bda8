// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Platform devices: what they share with each other, and the names of their parts.
//!
//! A VM is given whole pages and whole interrupts, so devices that share one go to one VM.

use std::collections::BTreeSet;

use super::range::{self, Range, hex};
use crate::diag::{Diagnostic, Report, rules};
use crate::model::{At, Device, DeviceKind, Line, Region, System, Vm};

pub fn check(system: &System, report: &mut Report) {
    pages(system, report);
    lines(system, report);
    system.board.devices.iter().for_each(|device| names(device, report));
}

/// A VM's device with its registers.
struct Given<'a> {
    vm: &'a Vm,
    /// Where the VM's list names it.
    place: &'a At<usize>,
    device: &'a Device,
    regions: &'a [Region],
}

fn given(system: &System) -> Vec<Given<'_>> {
    let all =
        system.vms.iter().flat_map(|vm| vm.devices.iter().map(move |used| (vm, &used.device)));
    all.filter_map(|(vm, place)| {
        let device = system.board.devices.get(place.value)?;
        let DeviceKind::Platform { regions, .. } = &device.kind else { return None };
        Some(Given { vm, place, device, regions })
    })
    .collect()
}

/// The first page of 4 KiB that both touch, unless they overlap: another rule says that.
fn page(one: &[Region], other: &[Region]) -> Option<u64> {
    let pairs = one.iter().flat_map(|a| other.iter().map(move |b| (a, b)));
    if pairs.clone().any(|(a, b)| a.overlaps(b)) {
        return None;
    }
    let touch = pairs.filter_map(|(a, b)| {
        let (a, b) = (a.pages(), b.pages());
        let first = a.start.max(b.start);
        (first < a.end.min(b.end)).then_some(first)
    });
    touch.min()
}

fn pages(system: &System, report: &mut Report) {
    let all = given(system);
    for (n, own) in all.iter().enumerate() {
        for other in all[..n].iter().filter(|other| other.vm.name.value != own.vm.name.value) {
            if let Some(page) = page(own.regions, other.regions) {
                report.push(both_in(page, own, other));
            }
        }
        kept(system, own, report);
        nobodys(system, &all, own, report);
    }
}

fn both_in(page: u64, own: &Given, other: &Given) -> Diagnostic {
    let (name, first) = (&own.device.name.value, &other.device.name.value);
    rules::PAGE_SHARED
        .says(format!("devices `{first}` and `{name}` of two VMs are in one page"))
        .label(own.place, format!("`{name}` goes to VM `{}`", own.vm.name.value))
        .label(other.place, format!("`{first}` to VM `{}`", other.vm.name.value))
        .label(&own.regions[0].base, format!("both are in the page at {}", hex(page)))
        .help(format!(
            "give both to one VM: what is mapped is 4 KiB, so each would reach the other's, as \
             devices = [\"{first}\", \"{name}\"]"
        ))
}

/// The hypervisor's registers are in pages that no VM has.
fn kept(system: &System, own: &Given, report: &mut Report) {
    let devices = range::devices(&system.board).len();
    let mut kept = range::registers(&system.board);
    kept.truncate(kept.len() - devices);
    let name = &own.device.name.value;
    let found = own.regions.iter().find_map(|region| {
        let pages = Range::pages("", region);
        let exact = Range::of("", region);
        let touches = |one: &&Range| {
            one.start & !(range::PAGE - 1) < pages.end
                && pages.start < one.end
                && !one.overlaps(&exact)
        };
        Some((region, kept.iter().find(touches)?))
    });
    if let Some((region, other)) = found {
        report.push(
            rules::PAGE_SHARED
                .says(format!("device `{name}` is in one page with {}", other.owner))
                .label(own.place, format!("`{name}` goes to VM `{}`", own.vm.name.value))
                .label(&region.base, "its registers")
                .label(&other.at, other.label())
                .help("no VM can have it: what is mapped is 4 KiB, with the hypervisor's in it"),
        );
    }
}

/// A VM reaches what is in its pages, whether it was given that or not.
fn nobodys(system: &System, all: &[Given], own: &Given, report: &mut Report) {
    for (index, device) in system.board.devices.iter().enumerate() {
        let DeviceKind::Platform { regions, .. } = &device.kind else { continue };
        if all.iter().any(|given| given.place.value == index) {
            continue;
        }
        let Some(page) = page(own.regions, regions) else { continue };
        let (name, other) = (&own.device.name.value, &device.name.value);
        report.push(
            rules::PAGE_ALONG
                .says(format!(
                    "VM `{}` reaches device `{other}` along with `{name}`",
                    own.vm.name.value
                ))
                .label(own.place, format!("the page at {} comes with `{name}`", hex(page)))
                .label(&device.name, "in the same page, and given to no VM")
                .help(format!(
                    "add \"{other}\" to its `devices`; or keep it, if `{other}` may do what this \
                     VM tells it"
                )),
        );
    }
}

/// EL2 gives an SPI to one VM.
fn lines(system: &System, report: &mut Report) {
    let all = system.lines();
    let mut told = BTreeSet::new();
    for (n, line) in all.iter().enumerate() {
        let same = |other: &&Line| other.intid.value == line.intid.value && other.vm != line.vm;
        let Some(first) = all[..n].iter().find(same) else { continue };
        if !told.insert((line.intid.value, first.vm, line.vm)) {
            continue;
        }
        let of = |line: &Line| {
            let device = &system.board.devices[line.device.value].name.value;
            (device.clone(), system.vms[line.vm].name.value.clone())
        };
        let ((name, vm), (other, owner)) = (of(line), of(first));
        report.push(
            rules::LINE_SHARED
                .says(format!(
                    "devices `{other}` and `{name}` of two VMs signal INTID {}",
                    line.intid.value
                ))
                .label(line.device, format!("`{name}` goes to VM `{vm}`"))
                .label(first.device, format!("`{other}` to VM `{owner}`"))
                .label(&line.intid, "the interrupt that they share")
                .help(format!(
                    "give both to one VM, as devices = [\"{other}\", \"{name}\"]: neither could \
                     tell whose interrupt it is, nor end the other's"
                )),
        );
    }
}

/// Drivers count by names or by places, never by both.
fn names(device: &Device, report: &mut Report) {
    let DeviceKind::Platform { regions, region_names, intids, .. } = &device.kind else { return };
    let named: Vec<_> = intids.iter().filter_map(|irq| irq.name.as_ref()).collect();
    let counts = [
        ("regions", regions.len(), region_names.len(), region_names.first()),
        ("intids", intids.len(), named.len(), named.first().copied()),
    ];
    for (key, all, named, first) in counts {
        let Some(first) = first.filter(|_| named < all) else { continue };
        report.push(
            rules::NAMES_MISSING
                .says(format!(
                    "{named} of the {all} `{key}` of device `{}` have names",
                    device.name.value
                ))
                .label(first, "the first of these")
                .label(&device.name, "of this device")
                .help("write a `name` for each of them, or for none, as the device tree has them"),
        );
    }
    let mut names: Vec<&At<String>> = region_names.iter().chain(named).collect();
    names.retain(|name| name.value.is_empty() || !name.value.bytes().all(|b| b.is_ascii_graphic()));
    for name in names {
        report.push(
            rules::BAD_NAME
                .says(format!("a part of device `{}` has a name that is none", device.name.value))
                .label(name, "empty, or with spaces or control characters")
                .label(&device.name, "of this device")
                .help("write the name that `reg-names` or `interrupt-names` has"),
        );
    }
}
