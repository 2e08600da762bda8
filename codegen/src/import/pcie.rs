// SPDX-License-Identifier: Apache-2.0 OR MIT
//! PCIe hosts with an ECAM; functions behind any other kind cannot be given to a VM yet.

use std::collections::HashSet;

use dtoolkit::Node;

use super::iommu::Iommus;
use super::memory::Taken;
use super::part::{Interrupt, Part, Parts};
use super::text::{Names, Text, hex, quoted};
use crate::tree::bus::{Range, cell, cells, number, text, translated};
use crate::units::Size;

const BUS: u64 = 1 << 20;
/// RequesterIDs.
const REQUESTERS: u32 = 1 << 16;

pub fn write(
    out: &mut Text,
    parts: &Parts,
    iommus: &Iommus,
    taken: &mut Taken,
    intids: &mut HashSet<u32>,
) {
    let mut count = 0;
    let mut names = Names::default();
    let hosts = parts.enabled().filter(|part| text(&part.node, "device_type") == "pci");
    // A port below a host is a PCI device itself: its address has three cells.
    for host in hosts.filter(|part| part.above.address_cells < 3) {
        out.line("");
        if !host.is("pci-host-ecam-generic") {
            let kind = host.compatible.first().cloned().unwrap_or_default();
            out.note(&format!(
                "{}, a {kind}, has no ECAM that works without a driver: its functions cannot be \
                 given to a VM.",
                host.path()
            ));
            out.line("[[controller]]");
            out.line(&format!("name = \"{}\"", names.one(host.node.name())));
            out.line(&format!("compatible = {}", quoted(&kind)));
            continue;
        }
        match describe(parts, host, iommus, taken, intids) {
            Ok(lines) => {
                out.line("[[pcie]]");
                out.line(&format!("name = \"pcie{count}\""));
                lines.iter().for_each(|line| match line.strip_prefix("# ") {
                    Some(note) => out.note(note),
                    None => out.line(line),
                });
                count += 1;
            }
            Err(why) => out.note(&format!("{} is left out: {why}.", host.path())),
        }
    }
}

/// The lines of one host.
fn describe(
    parts: &Parts,
    host: &Part,
    iommus: &Iommus,
    taken: &mut Taken,
    intids: &mut HashSet<u32>,
) -> Result<Vec<String>, &'static str> {
    let ecam = *host.regions().first().ok_or("it has no configuration space in `reg`")?;
    let buses = match cells(&host.node, "bus-range")[..] {
        [first, last] if first <= last && last < 256 => (first, last),
        [] => (0, (ecam.1 / BUS).clamp(1, 256) as u32 - 1),
        _ => return Err("its bus-range is no range of buses"),
    };
    let bytes = u64::from(buses.1 - buses.0 + 1) * BUS;
    if ecam.1 < bytes {
        return Err("its configuration space is smaller than its buses need");
    }
    if !taken.take((ecam.0, bytes)) {
        return Err("its configuration space lies where something else does");
    }
    let mut lines = vec![
        format!("ecam = {{ base = {}, size = \"{}\" }}", hex(ecam.0), Size(bytes)),
        format!("buses = {{ first = {}, last = {} }}", buses.0, buses.1),
    ];
    windows(host, taken, &mut lines);
    match intx(parts, host) {
        Some(own) if own.iter().all(|one| *one >= 32 && !intids.contains(one)) => {
            intids.extend(own);
            lines.push(format!("intx = [{}, {}, {}, {}]", own[0], own[1], own[2], own[3]));
        }
        _ => {
            lines.push("# No intx: the tree has no four wires that rotate with the device.".into())
        }
    }
    let first = buses.0 << 8;
    match whole(host, "msi-map") {
        Some((to, base)) if parts.by_phandle(to).is_some_and(|its| its.is("arm,gic-v3-its")) => {
            if base != 0 {
                lines.push(format!("device_id_base = {}", hex(u64::from(base) + u64::from(first))));
            }
        }
        _ => lines.push(
            "# UNKNOWN device_id_base: msi-map is no single map of all functions to the ITS."
                .into(),
        ),
    }
    if !host.has("dma-coherent") {
        lines.push("coherent = false".into());
    }
    let iommu = whole(host, "iommu-map");
    match iommu.and_then(|(to, base)| Some((iommus.get(to)?, base))) {
        Some((one, base)) if one.drives => {
            lines.push(format!("smmu = \"{}\"", one.name));
            if base != 0 {
                lines.push(format!("stream_id_base = {}", hex(u64::from(base) + u64::from(first))));
            }
        }
        Some((one, _)) => lines.push(format!("iommu = \"{}\"", one.name)),
        None if host.has("iommu-map") => lines.push(
            "# iommu-map is no single map of all functions to one IOMMU: as if behind none.".into(),
        ),
        None => {}
    }
    Ok(lines)
}

/// The first window of each kind.
fn windows(host: &Part, taken: &mut Taken, lines: &mut Vec<String>) {
    let ranges = cells(&host.node, "ranges");
    let width = host.above.address_cells as usize;
    let (mut narrow, mut wide) = (false, false);
    for entry in ranges.chunks_exact(3 + width + 2) {
        let (address, size) = entry[3..].split_at(width);
        let (bus, size) = (number(&entry[1..3]), number(size));
        let Some(base) = translated(&host.above, number(address)) else { continue };
        let below = bus.checked_add(size).is_some_and(|end| end <= 1 << 32);
        let (key, had) = match (entry[0] >> 24 & 3, below) {
            (2 | 3, true) => ("window32", &mut narrow),
            (3, false) if bus >= 1 << 32 => ("window64", &mut wide),
            _ => continue,
        };
        let range: Range = (base, size);
        if *had || !taken.take(range) {
            continue;
        }
        *had = true;
        let on_bus = if bus == base { String::new() } else { format!(", bus = {}", hex(bus)) };
        let (base, size) = (hex(base), Size(size));
        lines.push(format!("{key} = {{ base = {base}, size = \"{size}\"{on_bus} }}"));
    }
}

/// A map with one entry for all RequesterIDs: phandle, first number there.
fn whole(host: &Part, map: &str) -> Option<(u32, u32)> {
    let mask = cell(&host.node, &format!("{map}-mask")).unwrap_or(u32::MAX);
    match cells(&host.node, map)[..] {
        [0, to, base, count] if count >= REQUESTERS && mask & 0xffff == 0xffff => Some((to, base)),
        _ => None,
    }
}

/// INTIDs of INTA to INTD of device 0, if those of device 1 are one further.
fn intx(parts: &Parts, host: &Part) -> Option<[u32; 4]> {
    let mask = cells(&host.node, "interrupt-map-mask");
    // Device number's bits, and the pin's.
    if mask.first()? & 0x800 == 0 || mask.get(3)? & 7 != 7 {
        return None;
    }
    let map = cells(&host.node, "interrupt-map");
    let mut rest = &map[..];
    let mut found = [[None; 4]; 2];
    while let [device, _, _, pin, to, after @ ..] = rest {
        let to = parts.by_phandle(*to)?;
        let address = cell(&to.node, "#address-cells").unwrap_or(0) as usize;
        let width = cell(&to.node, "#interrupt-cells")? as usize;
        let specifier = after.get(address..address.checked_add(width)?)?;
        rest = &after[address + width..];
        let place = found.get_mut((*device >> 11 & 31) as usize);
        let place = place.and_then(|device| device.get_mut((*pin as usize).wrapping_sub(1)));
        if let (Some(place), true) = (place, to.is("arm,gic-v3")) {
            *place = Interrupt::of(specifier).map(|one| one.intid);
        }
    }
    let [own, next] = found;
    let rotated = (0..4).all(|pin| own[pin].is_some() && next[pin] == own[(pin + 1) % 4]);
    let mut all = [0; 4];
    for (place, one) in all.iter_mut().zip(own) {
        *place = one.filter(|_| rotated)?;
    }
    Some(all)
}
