// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Addresses and values in a device tree: what a node's buses make of them.
//!
//! Addresses are the CPUs', translated by the `ranges` of all buses above (devicetree specification
//! 0.4, 2.3.8).

use dtoolkit::fdt::FdtNode;
use dtoolkit::{Node, Property};

/// A range of addresses: first, bytes.
pub type Range = (u64, u64);

/// What a node has from the nodes above.
#[derive(Clone)]
pub struct Above {
    pub path: String,
    pub address_cells: u32,
    pub size_cells: u32,
    /// (child's address, CPU's address, bytes) of the buses above; None: the CPUs cannot address
    /// it.
    pub translate: Option<Vec<(u64, u64, u64)>>,
    pub parent: Option<u32>,
}

impl Above {
    /// What the root's children have.
    pub fn root(root: &FdtNode) -> Self {
        Self {
            path: String::new(),
            address_cells: cell(root, "#address-cells").unwrap_or(2),
            size_cells: cell(root, "#size-cells").unwrap_or(1),
            translate: Some(vec![(0, 0, u64::MAX)]),
            parent: cell(root, "interrupt-parent"),
        }
    }
}

/// What the children of `node` have from above.
pub fn below(node: &FdtNode, above: &Above, path: String) -> Above {
    let address_cells = cell(node, "#address-cells").unwrap_or(2);
    let size_cells = cell(node, "#size-cells").unwrap_or(1);
    let ranges = node.property("ranges").map(|_| cells(node, "ranges"));
    let translate = match (&above.translate, ranges) {
        (Some(outer), Some(ranges)) if ranges.is_empty() => Some(outer.clone()),
        (Some(_), Some(ranges)) => {
            let widths = [address_cells, above.address_cells, size_cells].map(|n| n as usize);
            let entries = ranges.chunks_exact(widths.iter().sum::<usize>().max(1));
            let entries = entries.filter_map(|entry| {
                let (child, rest) = entry.split_at(widths[0]);
                let (parent, size) = rest.split_at(widths[1]);
                Some((number(child), translated(above, number(parent))?, number(size)))
            });
            Some(entries.collect())
        }
        _ => None,
    };
    let parent = cell(node, "interrupt-parent").or(above.parent);
    Above { path, address_cells, size_cells, translate, parent }
}

/// The ranges of `reg` that the CPUs can address.
pub fn regions(node: &FdtNode, above: &Above) -> Vec<Range> {
    let (address, size) = (above.address_cells as usize, above.size_cells as usize);
    if address == 0 || size == 0 {
        return Vec::new();
    }
    let reg = cells(node, "reg");
    let ranges = reg.chunks_exact(address + size).filter_map(|entry| {
        Some((translated(above, number(&entry[..address]))?, number(&entry[address..])))
    });
    ranges.collect()
}

pub fn translated(above: &Above, address: u64) -> Option<u64> {
    let ranges = above.translate.as_ref()?;
    let (child, parent, _) =
        ranges.iter().find(|(child, _, bytes)| address >= *child && address - child < *bytes)?;
    Some(parent.wrapping_add(address - child))
}

/// INTID of a specifier with three cells.
pub fn intid(specifier: &[u32]) -> Option<u32> {
    match specifier {
        [0, number, ..] => number.checked_add(32),
        [1, number, ..] => number.checked_add(16),
        _ => None,
    }
}

pub fn number(cells: &[u32]) -> u64 {
    cells.iter().fold(0, |value, &cell| value << 32 | u64::from(cell))
}

fn value(node: &FdtNode, name: &str) -> Vec<u8> {
    node.property(name).map(|property| property.value().to_vec()).unwrap_or_default()
}

pub fn cells(node: &FdtNode, name: &str) -> Vec<u32> {
    let bytes = value(node, name);
    bytes
        .chunks_exact(4)
        .map(|cell| u32::from_be_bytes([cell[0], cell[1], cell[2], cell[3]]))
        .collect()
}

pub fn cell(node: &FdtNode, name: &str) -> Option<u32> {
    cells(node, name).first().copied()
}

pub fn texts(node: &FdtNode, name: &str) -> Vec<String> {
    let bytes = value(node, name);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.split_terminator('\0').map(str::to_owned).collect()
}

pub fn text(node: &FdtNode, name: &str) -> String {
    texts(node, name).into_iter().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifiers_are_spis_and_ppis() {
        assert_eq!(intid(&[0, 1, 4]), Some(33));
        assert_eq!(intid(&[1, 11, 4]), Some(27));
        assert_eq!(intid(&[2, 0, 4]), None);
        assert_eq!(intid(&[0, u32::MAX, 4]), None);
    }
}
