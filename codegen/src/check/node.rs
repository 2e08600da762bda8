// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Nodes of the board's tree that VMs have copies of: they are there, they are the devices', and
//! what they refer to is the VM's.

use dtoolkit::{Node, Property};

use super::range::hex;
use crate::diag::{Report, rules};
use crate::emit::fdt::platform::copies;
use crate::model::{At, Board, Device, DeviceKind, NodeCopy, PlatformIrq, Region, System, Vm};
use crate::schema::verify::near;
use crate::tree::bus::texts;
use crate::tree::copy::Missing;
use crate::tree::parse::parse;
use crate::tree::part::{Part, Parts};

pub fn check(system: &System, report: &mut Report) {
    let board = &system.board;
    let copied: Vec<_> = board.devices.iter().filter_map(described).collect();
    let blob = match &board.tree {
        Some(tree) => tree.blob.as_deref(),
        None => {
            copied.iter().for_each(|one| treeless(board, one, report));
            return;
        }
    };
    // That it cannot be read was reported.
    let Some(tree) = blob.and_then(|blob| parse(blob).ok()) else { return };
    let parts = Parts::of(&tree);
    let before = report.diagnostics.len();
    for one in &copied {
        match parts.by_path(&one.copy.node.value) {
            None => absent(board, &parts, one, report),
            Some(part) => {
                same(&parts, part, one, report);
                decided(&parts, part, one, report);
            }
        }
    }
    if report.diagnostics.len() == before {
        system.vms.iter().for_each(|vm| references(board, vm, report));
    }
}

/// A device with a node.
struct Described<'a> {
    device: &'a Device,
    compatible: &'a At<String>,
    regions: &'a [Region],
    intids: &'a [PlatformIrq],
    copy: &'a NodeCopy,
}

fn described(device: &Device) -> Option<Described<'_>> {
    match &device.kind {
        DeviceKind::Platform { compatible, regions, intids, copy: Some(copy), .. } => {
            Some(Described { device, compatible, regions, intids, copy })
        }
        _ => None,
    }
}

fn treeless(board: &Board, one: &Described, report: &mut Report) {
    report.push(
        rules::BOARD_TREE
            .says(format!("device `{}` has a node of no tree", one.device.name.value))
            .label(&one.copy.node, "a path in the board's device tree")
            .label(&board.name, "this board has no `tree`")
            .help(
                "write tree = \"FILE.dtb\" in [board], relative to its file; or leave out `node`",
            ),
    );
}

fn absent(board: &Board, parts: &Parts, one: &Described, report: &mut Report) {
    let Some(tree) = &board.tree else { return };
    let wanted = &one.copy.node.value;
    let paths: Vec<String> = parts.all.iter().map(Part::path).collect();
    // The node may be elsewhere than its last name says.
    let last = wanted.rsplit('/').next().unwrap_or_default();
    let same = paths.iter().find(|path| !last.is_empty() && path.rsplit('/').next() == Some(last));
    let close = || near(wanted, paths.iter().map(String::as_str)).map(str::to_owned);
    let help = match same.cloned().or_else(close) {
        Some(path) => format!("write node = \"{path}\""),
        None => "write the path of a node, as /soc/serial@2800000".into(),
    };
    report.push(
        rules::BOARD_TREE
            .says(format!("there is no node {wanted} for device `{}`", one.device.name.value))
            .label(&one.copy.node, "this node")
            .label(&tree.path, "is not in this tree")
            .help(help),
    );
}

/// The node is the device's.
fn same(parts: &Parts, part: &Part, one: &Described, report: &mut Report) {
    let name = &one.device.name.value;
    let mut differs = |at: &At<()>, title: &str, there: String, help: String| {
        report.push(
            rules::NODE_DIFFERS
                .says(format!("the node of device `{name}` has {title}"))
                .label(at, "of the device")
                .label(&one.copy.node, there)
                .help(help),
        );
    };
    let own = &one.compatible.value;
    if !part.is(own) {
        let all = texts(&part.node, "compatible");
        let there = format!("compatible: \"{}\"", all.join("\", \""));
        let first = all.first().map_or("", String::as_str);
        let help = format!("write compatible = \"{first}\", or another node");
        differs(&one.compatible.with(()), "another `compatible`", there, help);
    }
    let frames = part.regions();
    let holds = |region: &Region| {
        frames.iter().any(|&(base, bytes)| {
            base <= region.start() && region.end() <= base.saturating_add(bytes)
        })
    };
    if let Some(region) = one.regions.iter().find(|region| !holds(region)) {
        let all: Vec<String> = frames
            .iter()
            .map(|&(base, bytes)| format!("{} of {}", hex(base), crate::units::Size(bytes)))
            .collect();
        let there = match all.is_empty() {
            true => "no `reg`".into(),
            false => format!("its registers: {}", all.join(", ")),
        };
        let help = "write the `regions` that the node has, or another node";
        differs(&region.base.with(()), "its registers elsewhere", there, help.into());
    }
    // Where they come to the GIC by another controller, the tree does not say which they are.
    let Some(lines) = parts.interrupts(part) else { return };
    let lost = |irq: &&PlatformIrq| lines.iter().all(|line| line.intid != irq.intid.value);
    if let Some(irq) = one.intids.iter().find(lost) {
        let all: Vec<String> = lines.iter().map(|line| line.intid.to_string()).collect();
        let there = match all.is_empty() {
            true => "no interrupts".into(),
            false => format!("its interrupts: INTID {}", all.join(", ")),
        };
        let help = "write the `intids` that the node has, or another node";
        differs(&irq.intid.with(()), "other interrupts", there, help.into());
    }
}

/// `fixed_clocks` and `drop` have something to be for.
fn decided(parts: &Parts, part: &Part, one: &Described, report: &mut Report) {
    let name = &one.device.name.value;
    let clocks = parts.references(part, "clocks", "#clock-cells").len();
    let fixed = &one.copy.fixed_clocks;
    if let Some(first) = fixed.first().filter(|_| fixed.len() != clocks) {
        let help = match clocks {
            0 => "leave out `fixed_clocks`".into(),
            _ => format!("write {clocks} rates, in the order of its `clocks`"),
        };
        report.push(
            rules::NODE_DECISION
                .says(format!("device `{name}` has {} fixed clocks", fixed.len()))
                .label(first, "rates in Hz")
                .label(&one.copy.node, format!("this node has {clocks} `clocks`"))
                .help(help),
        );
    }
    let inside = format!("{}/", part.path());
    let below = parts.all.iter().filter(|other| other.path().starts_with(&inside));
    let holders: Vec<&Part> = below.chain([part]).collect();
    for property in &one.copy.drop {
        // What a regulator that is copied along refers to cannot be told from here.
        if holders.iter().any(|holder| holder.has(&property.value))
            || parts.all.iter().any(|part| part.is("regulator-fixed") && part.has(&property.value))
        {
            continue;
        }
        let all: Vec<String> =
            part.node.properties().map(|property| property.name().to_owned()).collect();
        let help = match near(&property.value, all.iter().map(String::as_str)) {
            Some(close) => format!("write \"{close}\", or leave it out"),
            None => "leave it out".into(),
        };
        report.push(
            rules::NODE_DECISION
                .says(format!("the node of device `{name}` has no `{}`", property.value))
                .label(property, "to be left out")
                .label(&one.copy.node, "of this node, and of what is below")
                .help(help),
        );
    }
}

/// What the nodes of a VM's devices refer to is the VM's, or goes by decision.
fn references(board: &Board, vm: &Vm, report: &mut Report) {
    let used = vm
        .devices
        .iter()
        .filter_map(|used| Some((&used.device, board.devices.get(used.device.value)?)));
    let (places, devices): (Vec<_>, Vec<_>) = used.unzip();
    let Some(copies) = copies(board, &devices) else { return };
    for (index, device) in devices.iter().enumerate() {
        let Some(one) = described(device) else { continue };
        let missing: Vec<&Missing> =
            copies.missing.iter().filter(|missing| missing.device == index).collect();
        if missing.is_empty() {
            continue;
        }
        let all: Vec<String> =
            missing.iter().map(|one| format!("`{}` to {}", one.property, one.to)).collect();
        report.push(
            rules::NODE_REFERENCE
                .says(format!(
                    "the node of device `{}` refers to what VM `{}` does not have",
                    device.name.value, vm.name.value
                ))
                .label(&one.copy.node, all.join(", "))
                .label(places[index], format!("given to VM `{}`", vm.name.value))
                .help(instead(board, &missing)),
        );
    }
}

/// What to write.
fn instead(board: &Board, missing: &[&Missing]) -> String {
    let clocks = missing.iter().filter(|one| one.property == "clocks").count();
    let mut dropped: Vec<String> = Vec::new();
    for one in missing.iter().filter(|one| one.property != "clocks") {
        let property = one.property.rsplit('/').next().unwrap_or_default();
        let quoted = format!("\"{property}\"");
        // Clocks that are fixed are assigned to nothing.
        let assigned = clocks > 0 && property.starts_with("assigned-clock");
        if !assigned && !dropped.contains(&quoted) {
            dropped.push(quoted);
        }
    }
    let mut out = Vec::new();
    if clocks > 0 {
        out.push("fixed_clocks = [HZ, ...], a rate for each of its `clocks`".to_owned());
    }
    if !dropped.is_empty() {
        out.push(format!("drop = [{}]", dropped.join(", ")));
    }
    let mut help = format!("if firmware leaves all that on, write {}", out.join(" and "));
    let nodes = board.devices.iter().filter_map(described);
    let other = nodes.into_iter().find(|other| {
        let path = &other.copy.node.value;
        missing.iter().any(|one| one.to == *path || one.to.starts_with(&format!("{path}/")))
    });
    if let Some(other) = other {
        help += &format!("; or give device `{}` to the same VM", other.device.name.value);
    }
    help
}
