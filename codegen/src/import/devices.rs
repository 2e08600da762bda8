// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices at fixed addresses that one VM can have for itself.

use std::collections::{BTreeMap, HashSet};

use dtoolkit::Node;

use super::iommu::Iommus;
use super::memory::Taken;
use super::part::{Interrupt, Part, Parts};
use super::text::{Names, Text, hex, quoted};
use crate::tree::bus::text;
use crate::units::Size;

const PAGE: u64 = 4 << 10;
/// INTIDs of SPIs end here.
const SPIS_END: u32 = 1020;

/// A node with one of these serves others.
const SERVES: [&str; 13] = [
    "#clock-cells",
    "#reset-cells",
    "#power-domain-cells",
    "#phy-cells",
    "#iommu-cells",
    "#dma-cells",
    "#mbox-cells",
    "#thermal-sensor-cells",
    "#interconnect-cells",
    "#hwlock-cells",
    "#interrupt-cells",
    "#pinctrl-cells",
    "interrupt-controller",
];

/// Generic names of what does not reach memory by itself (devicetree specification 0.4, 2.2.2).
const NO_DMA: [&str; 10] =
    ["adc", "gpio", "i2c", "pwm", "rtc", "serial", "spi", "timer", "watchdog", "rng"];

pub fn write(
    out: &mut Text,
    parts: &Parts,
    iommus: &Iommus,
    taken: &mut Taken,
    intids: &mut HashSet<u32>,
) {
    out.line("");
    out.note(
        "Devices: a VM that has one gets its registers and interrupts, not its clocks, resets, \
         power and pins: firmware has to leave those on. `dma` is true unless the kind of device \
         never has it.",
    );
    let mut names = Names::default();
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    for part in parts.enabled() {
        match device(parts, part, taken, intids) {
            Some(Ok(irqs)) => describe(out, parts, part, &irqs, iommus, &mut names),
            Some(Err(why)) => *left.entry(why).or_default() += 1,
            None => {}
        }
    }
    for (why, count) in left {
        out.line("");
        out.note(&format!("Left out: {count} that {why}."));
    }
}

/// Its interrupts, or why it is left out. None: it is no device, or another table has it.
fn device(
    parts: &Parts,
    part: &Part,
    taken: &mut Taken,
    intids: &mut HashSet<u32>,
) -> Option<Result<Vec<Interrupt>, &'static str>> {
    let regions = part.regions();
    let special = ["memory", "cpu", "pci"].contains(&text(&part.node, "device_type").as_str());
    let elsewhere = ["/reserved-memory", "/cpus", "/chosen"]
        .iter()
        .any(|above| part.above.path.starts_with(above));
    let gic = part.is("arm,gic-v3") || part.is("arm,gic-v3-its");
    if regions.is_empty() || part.compatible.is_empty() || special || elsewhere || gic {
        return None;
    }
    if SERVES.iter().any(|one| part.has(one)) || part.is("syscon") || part.is("simple-mfd") {
        return Some(Err("serve other devices: clocks, resets, power, pins, phys, interrupts"));
    }
    let Some(irqs) = parts.interrupts(part) else {
        return Some(Err("have an interrupt that does not come to the GIC directly"));
    };
    if !irqs.iter().all(|one| (32..SPIS_END).contains(&one.intid)) {
        return Some(Err("have an interrupt that is no SPI"));
    }
    let own: HashSet<u32> = irqs.iter().map(|one| one.intid).collect();
    if own.len() < irqs.len() || own.iter().any(|intid| intids.contains(intid)) {
        return Some(Err("share an interrupt"));
    }
    let whole = |&(base, size): &(u64, u64)| base.is_multiple_of(PAGE) && size >= PAGE;
    if !regions.iter().all(whole) {
        return Some(Err("have registers in less than a page of their own, 4 KiB"));
    }
    if !regions.iter().all(|one| taken.take((one.0, one.1.next_multiple_of(PAGE)))) {
        return Some(Err("have registers where something else is"));
    }
    intids.extend(own);
    Some(Ok(irqs))
}

fn describe(
    out: &mut Text,
    parts: &Parts,
    part: &Part,
    irqs: &[Interrupt],
    iommus: &Iommus,
    names: &mut Names,
) {
    let regions: Vec<String> = part
        .regions()
        .iter()
        .map(|one| {
            let size = Size(one.1.next_multiple_of(PAGE));
            format!("{{ base = {}, size = \"{size}\" }}", hex(one.0))
        })
        .collect();
    let irqs: Vec<String> = irqs
        .iter()
        .map(|one| {
            let trigger = if one.edge { "edge" } else { "level" };
            format!("{{ intid = {}, trigger = \"{trigger}\" }}", one.intid)
        })
        .collect();
    out.line("");
    out.line("[[device]]");
    out.line(&format!("name = \"{}\"", names.one(part.node.name())));
    out.line("kind = \"platform\"");
    out.line(&format!("compatible = {}", quoted(&part.compatible[0])));
    out.line(&format!("regions = [{}]", regions.join(", ")));
    out.line(&format!("intids = [{}]", irqs.join(", ")));
    let behind = parts.references(part, "iommus", "#iommu-cells");
    let kind = part.node.name_without_address();
    let dma = !behind.is_empty() || !NO_DMA.contains(&kind);
    if !dma {
        return;
    }
    out.line("dma = true");
    if !part.has("dma-coherent") {
        out.line("coherent = false");
    }
    let known: Vec<_> = behind.iter().filter_map(|(to, id)| Some((iommus.get(*to)?, id))).collect();
    let Some((first, _)) = known.first() else { return };
    let alone = known.len() == behind.len() && known.iter().all(|(one, _)| one.name == first.name);
    let streams: Option<Vec<u32>> = known
        .iter()
        .map(|(_, id)| match id[..] {
            [id] => Some(id),
            _ => None,
        })
        .collect();
    match streams.filter(|_| first.drives && alone) {
        Some(streams) => {
            let ids: Vec<String> = streams.iter().map(|id| hex(u64::from(*id))).collect();
            out.line(&format!("smmu = \"{}\"", first.name));
            out.line(&format!("streams = [{}]", ids.join(", ")));
        }
        None if alone && !first.drives => out.line(&format!("iommu = \"{}\"", first.name)),
        None => out.note("Behind IOMMUs that one key cannot name: as if behind none."),
    }
}
