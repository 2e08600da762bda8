// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A platform device's node.

use super::node::{Node, Result};
use super::{EDGE_RISING, LEVEL_HIGH, PHANDLE_CLOCK, SPI};
use crate::model::{Device, DeviceKind, PlatformIrq, Trigger};

/// The node of a platform device; PCI functions are found by their host.
pub fn node(device: &Device) -> Result<Option<Node>> {
    let DeviceKind::Platform { compatible, regions, region_names, intids, .. } = &device.kind
    else {
        return Ok(None);
    };
    let unit = regions.first().map_or(0, |region| region.start());
    let mut node = Node::at(&device.name.value, unit)?;
    if compatible.value.starts_with("arm,pl") {
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
