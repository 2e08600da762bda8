// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Nodes of the board's tree, copied for a VM: those of its devices, and what they refer to.
//!
//! A device's node keeps its properties and children but for those that say where it is and how it
//! interrupts: these are the board TOML's. What it refers to is
//!
//! * the GIC: the VM's own;
//! * a node that is copied for the same VM: that one;
//! * a fixed clock or regulator, which no driver's hardware is behind: copied along;
//! * anything else: missing, and named in [`Copies::missing`].
//!
//! Phandles of copies are the tree's plus [`PHANDLES`], out of the way of the generated ones.

use dtoolkit::model::{DeviceTreeNode, DeviceTreeProperty};
use dtoolkit::{Node, Property};

use super::bus::{cell, cells, intid, number, translated};
use super::part::{Part, Parts};
use super::reference::Kind;
use crate::model::{Device, DeviceKind, NodeCopy, PlatformIrq};

/// What is added to a phandle of the board's tree.
pub const PHANDLES: u32 = 0x1000_0000;
/// Phandle of the first clock that is made for `fixed_clocks`; the others follow.
const CLOCKS: u32 = 0x2000_0000;
/// Nodes that need nothing but a driver without hardware.
const FIXED: [&str; 3] = ["fixed-clock", "fixed-factor-clock", "regulator-fixed"];
/// What the board TOML says instead.
const REPLACED: [&str; 9] = [
    "reg",
    "ranges",
    "interrupts",
    "interrupts-extended",
    "phandle",
    "linux,phandle",
    "status",
    "iommus",
    "dma-coherent",
];
/// What sets clocks to other rates or sources: nothing, where all are fixed.
const ASSIGNED: [&str; 3] = ["assigned-clocks", "assigned-clock-parents", "assigned-clock-rates"];

/// A reference to what the VM does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Index among the devices that were to be copied.
    pub device: usize,
    /// "clocks", or "flash@0/clocks" of a node below or copied along.
    pub property: String,
    /// What it refers to.
    pub to: String,
}

/// A device's node: what is copied of it.
#[derive(Debug)]
pub struct Copied {
    pub properties: Vec<DeviceTreeProperty>,
    pub children: Vec<DeviceTreeNode>,
}

#[derive(Debug, Default)]
pub struct Copies {
    /// For each device; None: it has no `node`.
    pub devices: Vec<Option<Copied>>,
    /// Nodes that stand beside them.
    pub beside: Vec<DeviceTreeNode>,
    pub missing: Vec<Missing>,
}

/// A device whose node is copied.
#[derive(Clone, Copy)]
struct Own<'a> {
    /// Index among the devices.
    device: usize,
    name: &'a str,
    copy: &'a NodeCopy,
    intids: &'a [PlatformIrq],
}

/// The nodes of `devices`, which are one VM's, for a tree whose GIC has the phandle `gic`.
pub fn copy(parts: &Parts, devices: &[&Device], gic: u32) -> Copies {
    let nodes = devices.iter().enumerate().map(|(device, described)| {
        let DeviceKind::Platform { copy: Some(copy), intids, .. } = &described.kind else {
            return None;
        };
        let own = Own { device, name: &described.name.value, copy, intids };
        Some((parts.by_path(&copy.node.value)?, own))
    });
    let nodes: Vec<_> = nodes.collect();
    let roots = nodes.iter().flatten().map(|(part, _)| part.path()).collect();
    let mut copier =
        Copier { parts, gic, roots, along: Vec::new(), clocks: Vec::new(), missing: Vec::new() };
    let tops = nodes.into_iter().map(|node| node.map(|(part, own)| copier.top(part, own)));
    let devices: Vec<_> = tops.collect();
    let mut beside = Vec::new();
    // What is copied along may refer to more of its kind.
    let mut next = 0;
    while let Some((part, own)) = copier.along.get(next).copied() {
        let name = format!("board-{}-{next}", part.node.name_without_address());
        beside.push(copier.below(part, own, name));
        next += 1;
    }
    beside.append(&mut copier.clocks);
    Copies { devices, beside, missing: copier.missing }
}

struct Copier<'p, 't, 'a> {
    parts: &'p Parts<'t>,
    gic: u32,
    /// Paths of the devices' nodes.
    roots: Vec<String>,
    /// What is copied along, and for which device first.
    along: Vec<(&'p Part<'t>, Own<'a>)>,
    /// Made for `fixed_clocks`.
    clocks: Vec<DeviceTreeNode>,
    missing: Vec<Missing>,
}

impl<'p, 'a> Copier<'p, '_, 'a> {
    fn top(&mut self, part: &'p Part<'_>, own: Own<'a>) -> Copied {
        let mut properties = Vec::new();
        for property in part.node.properties() {
            let name = property.name();
            let by_gic = name == "interrupt-parent" && self.is_gic(cell(&part.node, name));
            if REPLACED.contains(&name) || by_gic || is_dropped(name, own.copy) {
                continue;
            }
            let fixed = !own.copy.fixed_clocks.is_empty();
            if fixed && ASSIGNED.contains(&name) {
                continue;
            }
            let value = match fixed && name == "clocks" {
                true => self.fixed_clocks(own),
                false => self.value(part, name, property.value(), own, ""),
            };
            properties.push(DeviceTreeProperty::new_unchecked(name, value));
        }
        if let Some(ranges) = ranges(part) {
            properties.push(DeviceTreeProperty::new_unchecked("ranges", ranges));
        }
        properties.extend(phandle(part));
        Copied { properties, children: self.children(part, own) }
    }

    fn children(&mut self, part: &Part<'_>, own: Own<'a>) -> Vec<DeviceTreeNode> {
        let path = part.path();
        let parts = self.parts;
        let children = parts.enabled().filter(|child| child.above.path == path);
        children.map(|child| self.below(child, own, child.node.name().to_owned())).collect()
    }

    /// A node below a device's, or copied along.
    fn below(&mut self, part: &'p Part<'_>, own: Own<'a>, name: String) -> DeviceTreeNode {
        let mut node = DeviceTreeNode::new_unchecked(name);
        let place = format!("{}/", part.node.name());
        for property in part.node.properties() {
            let name = property.name();
            if ["phandle", "linux,phandle", "status"].contains(&name) || is_dropped(name, own.copy)
            {
                continue;
            }
            let value = self.value(part, name, property.value(), own, &place);
            node.add_property(DeviceTreeProperty::new_unchecked(name, value));
        }
        if part.has("interrupts")
            && self.is_gic(cell(&part.node, "interrupt-parent").or(part.above.parent))
        {
            self.granted(part, own, &place);
        }
        phandle(part).into_iter().for_each(|phandle| node.add_property(phandle));
        self.children(part, own).into_iter().for_each(|child| node.add_child(child));
        node
    }

    /// An interrupt of a node below is the device's, too.
    fn granted(&mut self, part: &Part<'_>, own: Own<'a>, place: &str) {
        for one in cells(&part.node, "interrupts").chunks(3) {
            let given = intid(one).filter(|it| own.intids.iter().any(|irq| irq.intid.value == *it));
            if given.is_none() {
                let to = intid(one).map_or("an interrupt".into(), |it| format!("INTID {it}"));
                self.lacks(own, format!("{place}interrupts"), to);
            }
        }
    }

    fn is_gic(&self, phandle: Option<u32>) -> bool {
        let part = phandle.and_then(|phandle| self.parts.by_phandle(phandle));
        part.is_some_and(|part| part.is("arm,gic-v3"))
    }

    fn lacks(&mut self, own: Own<'a>, property: String, to: String) {
        let missing = Missing { device: own.device, property, to };
        if !self.missing.contains(&missing) {
            self.missing.push(missing);
        }
    }

    /// The value of a property with the phandles that the copies have.
    fn value(
        &mut self,
        part: &Part<'_>,
        property: &str,
        bytes: &[u8],
        own: Own<'a>,
        place: &str,
    ) -> Vec<u8> {
        let Some(kind) = Kind::of(property).filter(|_| bytes.len().is_multiple_of(4)) else {
            return bytes.to_vec();
        };
        let old = cells(&part.node, property);
        let (mut out, mut rest) = (Vec::new(), &old[..]);
        while let [phandle, after @ ..] = rest {
            let (new, count) = self.target(*phandle, kind, own, &format!("{place}{property}"));
            let (follow, next) = after.split_at(count.min(after.len()));
            out.push(new);
            out.extend_from_slice(follow);
            rest = next;
        }
        out.into_iter().flat_map(u32::to_be_bytes).collect()
    }

    /// A phandle as the copies have it, and how many cells follow.
    fn target(&mut self, phandle: u32, kind: Kind, own: Own<'a>, property: &str) -> (u32, usize) {
        // An entry that is left out.
        if phandle == 0 {
            return (0, 0);
        }
        let parts = self.parts;
        let Some(target) = parts.by_phandle(phandle) else {
            self.lacks(
                own,
                property.to_owned(),
                format!("phandle {phandle:#x}, which no node has"),
            );
            return (0, 0);
        };
        let count = kind.cells.and_then(|cells| cell(&target.node, cells)).unwrap_or(0) as usize;
        if target.is("arm,gic-v3") {
            return (self.gic, count);
        }
        let path = target.path();
        let is_below = |root: &String| path == *root || path.starts_with(&format!("{root}/"));
        if is_fixed(target) {
            if !self.along.iter().any(|(part, _)| part.path() == path) {
                self.along.push((target, own));
            }
        } else if !self.roots.iter().any(is_below) {
            self.lacks(own, property.to_owned(), path);
        }
        (phandle.wrapping_add(PHANDLES), count)
    }

    /// `clocks` of a device with `fixed_clocks`, and the clocks themselves.
    fn fixed_clocks(&mut self, own: Own<'a>) -> Vec<u8> {
        let mut value = Vec::new();
        for (n, rate) in own.copy.fixed_clocks.iter().enumerate() {
            let phandle = CLOCKS + self.clocks.len() as u32;
            let mut node = DeviceTreeNode::new_unchecked(format!("{}-clock-{n}", own.name));
            node.add_property(DeviceTreeProperty::new_unchecked("compatible", "fixed-clock"));
            for (name, cell) in
                [("#clock-cells", 0), ("clock-frequency", rate.value), ("phandle", phandle)]
            {
                node.add_property(DeviceTreeProperty::new_unchecked(name, cell));
            }
            self.clocks.push(node);
            value.extend(phandle.to_be_bytes());
        }
        value
    }
}

/// It needs nothing of the hardware: copied along.
pub fn is_fixed(part: &Part) -> bool {
    FIXED.iter().any(|fixed| part.is(fixed))
}

/// The board TOML leaves it out: itself, or what it names the entries of.
fn is_dropped(property: &str, copy: &NodeCopy) -> bool {
    let mut dropped = copy.drop.iter().map(|one| one.value.as_str());
    dropped
        .any(|one| one == property || Kind::of(one).and_then(|kind| kind.names) == Some(property))
}

fn phandle(part: &Part) -> Option<DeviceTreeProperty> {
    let old = cell(&part.node, "phandle").or_else(|| cell(&part.node, "linux,phandle"))?;
    Some(DeviceTreeProperty::new_unchecked("phandle", old.wrapping_add(PHANDLES)))
}

/// `ranges` of a device that is a bus, below a root with addresses of two cells.
fn ranges(part: &Part) -> Option<Vec<u8>> {
    part.node.property("ranges")?;
    let own = cell(&part.node, "#address-cells").unwrap_or(2) as usize;
    let size = cell(&part.node, "#size-cells").unwrap_or(1) as usize;
    let above = part.above.address_cells as usize;
    let all = cells(&part.node, "ranges");
    let entries = all.chunks_exact((own + above + size).max(1));
    let entries = entries.filter_map(|entry| {
        let (child, rest) = entry.split_at(own);
        let (parent, size) = rest.split_at(above);
        let parent = translated(&part.above, number(parent))?;
        let parent = [(parent >> 32) as u32, parent as u32];
        Some([child, &parent, size].concat())
    });
    Some(entries.flatten().flat_map(u32::to_be_bytes).collect())
}
