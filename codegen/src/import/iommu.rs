// SPDX-License-Identifier: Apache-2.0 OR MIT
//! SMMUv3s, and IOMMUs that the hypervisor cannot drive.

use std::collections::{HashMap, HashSet};

use super::memory::Taken;
use super::part::{Part, Parts};
use super::text::{Text, hex};
use crate::tree::bus::cell;

const FRAMES: u64 = 128 << 10;
/// Bits of a StreamID where the tree does not show more.
const STREAM_BITS: u32 = 16;

pub struct One {
    pub name: String,
    /// An SMMUv3, which translates.
    pub drives: bool,
}

/// By phandle.
#[derive(Default)]
pub struct Iommus(HashMap<u32, One>);

impl Iommus {
    pub fn get(&self, phandle: u32) -> Option<&One> {
        self.0.get(&phandle)
    }
}

pub fn write(
    out: &mut Text,
    parts: &Parts,
    taken: &mut Taken,
    intids: &mut HashSet<u32>,
) -> Iommus {
    let mut found = Iommus::default();
    let (mut smmus, mut others) = (0, 0);
    for part in parts.enabled().filter(|part| part.has("#iommu-cells")) {
        let Some(phandle) = cell(&part.node, "phandle") else { continue };
        if part.is("arm,smmu-v3") && smmu(out, parts, part, smmus, taken, intids) {
            found.0.insert(phandle, One { name: format!("smmu{smmus}"), drives: true });
            smmus += 1;
            continue;
        }
        let v2 = ["arm,mmu-500", "arm,smmu-v2", "arm,smmu-v1", "arm,mmu-401", "arm,mmu-400"];
        let kind = if v2.iter().any(|name| part.is(name)) { "smmu-v2" } else { "vendor" };
        let name = format!("iommu{others}");
        out.line("");
        out.note(&format!("{}: it holds nothing back.", part.path()));
        out.line("[[iommu]]");
        out.line(&format!("name = \"{name}\""));
        out.line(&format!("kind = \"{kind}\""));
        found.0.insert(phandle, One { name, drives: false });
        others += 1;
    }
    found
}

/// Writes an SMMUv3. False: it cannot be described, and that was said.
fn smmu(
    out: &mut Text,
    parts: &Parts,
    part: &Part,
    n: usize,
    taken: &mut Taken,
    intids: &mut HashSet<u32>,
) -> bool {
    let interrupt = |name| parts.interrupt(part, name, None);
    let wires = match interrupt("combined") {
        Some(wire) => Some((wire, wire)),
        None => interrupt("eventq").zip(interrupt("gerror")),
    };
    let base = part.regions().first().map(|region| region.0);
    let wires = wires.filter(|(event, error)| {
        let spis = event.intid >= 32 && error.intid >= 32;
        spis && !intids.contains(&event.intid) && !intids.contains(&error.intid)
    });
    let (Some((event, error)), Some(base)) = (wires, base) else {
        out.line("");
        out.note(&format!(
            "{} has no wires of its own for its event queue and its errors.",
            part.path()
        ));
        return false;
    };
    if !taken.take((base, FRAMES)) {
        return false;
    }
    intids.extend([event.intid, error.intid]);
    out.line("");
    out.line("[[smmu]]");
    out.line(&format!("name = \"smmu{n}\""));
    out.line(&format!("base = {}", hex(base)));
    let bits = STREAM_BITS.max(stream_bits(parts)).min(32);
    out.unknown(
        &format!("[[smmu]] smmu{n}: stream_id_bits: SMMU_IDR1.SIDSIZE"),
        &format!("stream_id_bits = {bits}"),
    );
    out.line(&format!("event_intid = {}", event.intid));
    out.line(&format!("error_intid = {}", error.intid));
    if !event.edge {
        out.line("trigger = \"level\"");
    }
    if !part.has("dma-coherent") {
        out.line("coherent = false");
    }
    true
}

/// Bits of the largest StreamID that a device has.
fn stream_bits(parts: &Parts) -> u32 {
    let lists = parts.all.iter().map(|part| parts.references(part, "iommus", "#iommu-cells"));
    let ids = lists.flatten().filter_map(|(_, cells)| cells.first().copied());
    ids.max().map_or(0, |id| 32 - id.leading_zeros())
}
