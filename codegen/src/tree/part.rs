// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The nodes of a tree, each with what it has from the buses above.

use std::collections::HashMap;

use dtoolkit::Node;
use dtoolkit::fdt::{Fdt, FdtNode};

use crate::tree::bus::{Above, Range, below, cell, cells, regions, text, texts};

pub struct Part<'a> {
    pub node: FdtNode<'a>,
    pub above: Above,
    pub compatible: Vec<String>,
    /// It and all above it are there to be used.
    pub enabled: bool,
}

impl Part<'_> {
    pub fn is(&self, name: &str) -> bool {
        self.compatible.iter().any(|known| known == name)
    }

    pub fn has(&self, property: &str) -> bool {
        self.node.property(property).is_some()
    }

    pub fn regions(&self) -> Vec<Range> {
        regions(&self.node, &self.above)
    }

    pub fn path(&self) -> String {
        format!("{}/{}", self.above.path, self.node.name())
    }
}

/// An interrupt as the GIC has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupt {
    pub intid: u32,
    pub edge: bool,
}

impl Interrupt {
    /// By a specifier of three cells or more: kind, number, flags.
    pub fn of(specifier: &[u32]) -> Option<Self> {
        let [_, _, flags, ..] = specifier else { return None };
        let intid = crate::tree::bus::intid(specifier)?;
        Some(Self { intid, edge: flags & 3 != 0 })
    }
}

pub struct Parts<'a> {
    pub root: FdtNode<'a>,
    pub all: Vec<Part<'a>>,
    /// `/memreserve/`: what firmware keeps of the RAM without a node.
    pub kept: Vec<Range>,
    by_phandle: HashMap<u32, usize>,
}

impl<'a> Parts<'a> {
    pub fn of(tree: &'a Fdt<'a>) -> Self {
        let root = tree.root();
        let mut all = Vec::new();
        for child in root.children() {
            gather(child, Above::root(&root), true, &mut all);
        }
        let phandle = |(n, part): (usize, &Part)| Some((cell(&part.node, "phandle")?, n));
        let by_phandle = all.iter().enumerate().filter_map(phandle).collect();
        let kept = tree.memory_reservations().map(|one| (one.address(), one.size())).collect();
        Self { root, all, kept, by_phandle }
    }

    /// What is there to be used.
    pub fn enabled(&self) -> impl Iterator<Item = &Part<'a>> {
        self.all.iter().filter(|part| part.enabled)
    }

    pub fn by_phandle(&self, phandle: u32) -> Option<&Part<'a>> {
        self.all.get(*self.by_phandle.get(&phandle)?)
    }

    pub fn by_path(&self, path: &str) -> Option<&Part<'a>> {
        self.all.iter().find(|part| part.path() == path)
    }

    /// A list of phandles with as many cells as each one's `size` says: phandle and cells.
    pub fn references(&self, part: &Part, list: &str, size: &str) -> Vec<(u32, Vec<u32>)> {
        let cells = cells(&part.node, list);
        let mut rest = &cells[..];
        let mut found = Vec::new();
        while let [phandle, after @ ..] = rest {
            let count = self.by_phandle(*phandle).and_then(|to| cell(&to.node, size)).unwrap_or(0);
            let Some((own, after)) = after.split_at_checked(count as usize) else { break };
            found.push((*phandle, own.to_vec()));
            rest = after;
        }
        found
    }

    /// Interrupts at the GIC. None: some of them go elsewhere.
    pub fn interrupts(&self, part: &Part) -> Option<Vec<Interrupt>> {
        let gic = |phandle: u32| self.by_phandle(phandle).is_some_and(|to| to.is("arm,gic-v3"));
        if part.has("interrupts-extended") {
            let all = self.references(part, "interrupts-extended", "#interrupt-cells");
            return all
                .iter()
                .map(|(to, specifier)| Interrupt::of(specifier).filter(|_| gic(*to)))
                .collect();
        }
        if !part.has("interrupts") {
            return Some(Vec::new());
        }
        let parent = cell(&part.node, "interrupt-parent").or(part.above.parent)?;
        let width = cell(&self.by_phandle(parent)?.node, "#interrupt-cells")? as usize;
        if !gic(parent) || width < 3 {
            return None;
        }
        cells(&part.node, "interrupts").chunks_exact(width).map(Interrupt::of).collect()
    }

    /// The interrupt called `name`, or else number `place`.
    pub fn interrupt(&self, part: &Part, name: &str, place: Option<usize>) -> Option<Interrupt> {
        let names = texts(&part.node, "interrupt-names");
        let place = match names.is_empty() {
            true => place?,
            false => names.iter().position(|known| known == name)?,
        };
        self.interrupts(part)?.get(place).copied()
    }
}

fn gather<'a>(node: FdtNode<'a>, above: Above, on: bool, all: &mut Vec<Part<'a>>) {
    let enabled = on && matches!(text(&node, "status").as_str(), "" | "okay" | "ok");
    let inner = below(&node, &above, format!("{}/{}", above.path, node.name()));
    all.push(Part { compatible: texts(&node, "compatible"), node, above, enabled });
    for child in node.children() {
        gather(child, inner.clone(), enabled, all);
    }
}
