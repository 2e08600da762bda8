// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices at fixed addresses that one VM can have for itself.

use std::collections::{BTreeMap, HashMap, HashSet};

use dtoolkit::{Node, Property};

use super::iommu::Iommus;
use super::memory::Taken;
use super::part::{Interrupt, Part, Parts};
use super::text::{Names, Text, hex, quoted};
use crate::tree::bus::{text, texts};
use crate::tree::copy::is_fixed;
use crate::tree::reference::Kind;
use crate::units::Size;

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

/// What of these a device may be for others in its VM, if these are described as the tree has them.
const WITHIN: [&str; 3] = ["#interrupt-cells", "interrupt-controller", "#mbox-cells"];

/// With `nodes` devices are described to their VMs as the tree has them.
pub fn write(
    out: &mut Text,
    (parts, nodes): (&Parts, bool),
    iommus: &Iommus,
    taken: &mut Taken,
    intids: &HashSet<u32>,
) {
    let mut lines = Lines { kept: intids, shared: HashMap::new() };
    out.line("");
    out.note(
        "Devices: a VM that has one gets its registers and interrupts, not its clocks, resets, \
         power and pins: firmware has to leave those on. `dma` is true unless the kind of device \
         never has it.",
    );
    let mut names = Names::default();
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    for part in parts.enabled() {
        match device(parts, part, nodes, taken, &mut lines) {
            Some(Ok(irqs)) => {
                describe(out, parts, part, &irqs, iommus, &mut names);
                if nodes {
                    node(out, parts, part);
                }
            }
            Some(Err(why)) => *left.entry(why).or_default() += 1,
            None => {}
        }
    }
    for (why, count) in left {
        out.line("");
        out.note(&format!("Left out: {count} that {why}."));
    }
}

/// SPIs: those that are not for devices, and how devices signal theirs.
struct Lines<'a> {
    kept: &'a HashSet<u32>,
    shared: HashMap<u32, bool>,
}

impl Lines<'_> {
    /// Takes a device's, if they can be its own or shared.
    fn take(&mut self, irqs: &[Interrupt]) -> bool {
        let own: HashSet<u32> = irqs.iter().map(|one| one.intid).collect();
        let fits = |one: &Interrupt| {
            !self.kept.contains(&one.intid)
                && self.shared.get(&one.intid).is_none_or(|edge| *edge == one.edge)
        };
        let fine = own.len() == irqs.len() && irqs.iter().all(fits);
        if fine {
            self.shared.extend(irqs.iter().map(|one| (one.intid, one.edge)));
        }
        fine
    }
}

/// Its interrupts, or why it is left out. None: it is no device, or another table has it.
fn device(
    parts: &Parts,
    part: &Part,
    nodes: bool,
    taken: &mut Taken,
    lines: &mut Lines,
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
    let serves = |one: &&str| part.has(one) && !(nodes && WITHIN.contains(one));
    if SERVES.iter().any(serves) || part.is("syscon") || part.is("simple-mfd") {
        return Some(Err("serve other devices: clocks, resets, power, pins, phys, interrupts"));
    }
    let Some(irqs) = parts.interrupts(part) else {
        return Some(Err("have an interrupt that does not come to the GIC directly"));
    };
    if !irqs.iter().all(|one| (32..SPIS_END).contains(&one.intid)) {
        return Some(Err("have an interrupt that is no SPI"));
    }
    if !regions.iter().all(|one| taken.take(*one)) {
        return Some(Err("have registers where something else is"));
    }
    if !lines.take(&irqs) {
        return Some(Err("share an interrupt with what the hypervisor keeps, or in another way"));
    }
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
    let own = part.regions();
    let named = |list: &str, count: usize| {
        let names = texts(&part.node, list);
        let fit = names.len() == count && names.iter().all(|name| is_name(name));
        names
            .into_iter()
            .map(move |name| match fit {
                true => format!(", name = {}", quoted(&name)),
                false => String::new(),
            })
            .chain(std::iter::repeat(String::new()))
    };
    let regions: Vec<String> = own
        .iter()
        .zip(named("reg-names", own.len()))
        .map(|(one, name)| format!("{{ base = {}, size = \"{}\"{name} }}", hex(one.0), Size(one.1)))
        .collect();
    let irqs: Vec<String> = irqs
        .iter()
        .zip(named("interrupt-names", irqs.len()))
        .map(|(one, name)| {
            let trigger = if one.edge { "edge" } else { "level" };
            format!("{{ intid = {}, trigger = \"{trigger}\"{name} }}", one.intid)
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

/// What a board file takes as the name of a region or an interrupt.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Where its node is, and what that refers to that is not copied along.
fn node(out: &mut Text, parts: &Parts, part: &Part) {
    out.line(&format!("node = {}", quoted(&part.path())));
    let mut all: Vec<String> = Vec::new();
    for property in part.node.properties() {
        let name = property.name();
        let Some(kind) = Kind::of(name).filter(|_| !name.starts_with("interrupt")) else {
            continue;
        };
        for (phandle, _) in parts.references(part, name, kind.cells.unwrap_or("")) {
            let to = parts.by_phandle(phandle).filter(|to| !is_fixed(to));
            let said = to.map(|to| format!("{name} ({})", to.path()));
            all.extend(said.filter(|said| !all.contains(said)));
        }
    }
    if !all.is_empty() {
        out.note(&format!(
            "It refers to {}: a VM that does not have these needs `fixed_clocks` and `drop`.",
            all.join(", ")
        ));
    }
}
