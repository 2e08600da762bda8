// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A platform device's node.

use dtoolkit::model::DeviceTreeNode;

use super::node::{Node, Result};
use super::{EDGE_RISING, LEVEL_HIGH, PHANDLE_CLOCK, PHANDLE_GIC, SPI};
use crate::model::{Board, Device, DeviceKind, PlatformIrq, Trigger};
use crate::tree::copy::{self, Copied, Copies};
use crate::tree::parse::parse;
use crate::tree::part::Parts;

/// The nodes of a VM's platform devices, and what their nodes in the board's tree refer to. PCI
/// functions are found by their host.
pub fn nodes(board: &Board, devices: &[&Device]) -> Result<(Vec<Node>, Vec<DeviceTreeNode>)> {
    let Copies { devices: copied, beside, .. } = copies(board, devices).unwrap_or_default();
    let copied = copied.into_iter().chain(std::iter::repeat_with(|| None));
    let mut nodes = Vec::new();
    for (device, copied) in devices.iter().zip(copied) {
        nodes.extend(node(device, copied)?);
    }
    Ok((nodes, beside))
}

/// What the board's tree says of `devices`, which are one VM's. None: the board has no tree.
pub fn copies(board: &Board, devices: &[&Device]) -> Option<Copies> {
    let blob = board.tree.as_ref()?.blob.as_ref()?;
    let tree = parse(blob).ok()?;
    Some(copy::copy(&Parts::of(&tree), devices, PHANDLE_GIC))
}

fn node(device: &Device, copied: Option<Copied>) -> Result<Option<Node>> {
    let DeviceKind::Platform { compatible, regions, region_names, intids, .. } = &device.kind
    else {
        return Ok(None);
    };
    let unit = regions.first().map_or(0, |region| region.start());
    let mut node = Node::at(&device.name.value, unit)?;
    if let Some(copied) = copied {
        node = node.copied(copied.properties, copied.children);
    } else if compatible.value.starts_with("arm,pl") {
        node = node
            .strings("compatible", [&compatible.value, "arm,primecell"])
            .with("clocks", PHANDLE_CLOCK)
            .with("clock-names", "apb_pclk");
    } else {
        node = node.with("compatible", &compatible.value);
    }
    if device.dma && device.coherent {
        node = node.flag("dma-coherent");
    }
    let reg = regions.iter().flat_map(|region| [region.start(), region.size.value]);
    node = node.reg(&reg.collect::<Vec<_>>());
    if !region_names.is_empty() {
        node = node.strings("reg-names", region_names.iter().map(|name| name.value.as_str()));
    }
    Ok(Some(interrupts(node, intids)))
}

fn interrupts(mut node: Node, intids: &[PlatformIrq]) -> Node {
    let specifiers: Vec<u32> = intids
        .iter()
        .flat_map(|irq| {
            let level = irq.trigger == Trigger::Level;
            [SPI, irq.intid.value - 32, if level { LEVEL_HIGH } else { EDGE_RISING }]
        })
        .collect();
    if !specifiers.is_empty() {
        node = node.with("interrupts", &specifiers[..]);
    }
    let names: Vec<&str> =
        intids.iter().filter_map(|irq| Some(irq.name.as_ref()?.value.as_str())).collect();
    match names.is_empty() {
        true => node,
        false => node.strings("interrupt-names", names),
    }
}
