// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The interrupt controller: a GICv3 or later, its redistributors and its ITS.

use super::dmesg::Messages;
use super::memory::Taken;
use super::part::{Part, Parts};
use super::processors::Cpus;
use super::text::{Text, hex};
use super::{Refused, refused};
use crate::tree::bus::{Range, cell, cells, number, texts};
use crate::units::Size;

const FRAME: u64 = 64 << 10;
/// INTIDs of SPIs end here.
const SPIS_END: u32 = 1020;

/// The GIC of the CPUs.
pub fn find<'p, 'a>(parts: &'p Parts<'a>) -> Result<&'p Part<'a>, Refused> {
    if let Some(gic) = parts.enabled().find(|part| part.is("arm,gic-v3")) {
        return Ok(gic);
    }
    let older = ["arm,gic-400", "arm,cortex-a15-gic", "arm,cortex-a9-gic", "arm,cortex-a7-gic"];
    let known = |part: &&Part| older.iter().any(|name| part.is(name));
    if let Some(old) = parts.enabled().find(known) {
        return Err(refused(format!("{} is a GICv2; it takes a GICv3 or later", old.path())));
    }
    let newer = parts.enabled().find(|part| part.is("arm,gic-v5"));
    Err(match newer {
        Some(gic) => refused(format!("{} is a GICv5", gic.path())),
        None => refused("the tree has no GICv3 or later"),
    })
}

/// Where the CPUs' redistributors are.
struct Redistributors {
    regions: Vec<Range>,
    stride: u64,
    told: bool,
}

impl Redistributors {
    fn of(gic: &Part, frames: &[Range], cpus: usize, version: &str) -> Self {
        let count = cell(&gic.node, "#redistributor-regions").unwrap_or(1).max(1) as usize;
        let regions: Vec<Range> = frames.iter().skip(1).take(count).copied().collect();
        let told = number(&cells(&gic.node, "redistributor-stride"));
        // A region of one CPU each, twice as large as a GICv3's frames.
        let wide =
            regions.len() == cpus && cpus > 1 && regions.iter().all(|one| one.1 == 4 * FRAME);
        let stride = match told {
            0 if wide || version != "v3" => 4 * FRAME,
            0 => 2 * FRAME,
            told => told,
        };
        Self { regions, stride, told: told != 0 }
    }

    fn write(&self, out: &mut Text) {
        if !self.told {
            out.note(
                "The tree does not say the stride: 128 KiB for v3, 256 KiB for v4.0 and v4.1.",
            );
        }
        let stride = Size(self.stride);
        let Some(((base, size), more)) = self.regions.split_first() else { return };
        let (base, size) = (hex(*base), Size(*size));
        let own = format!("base = {base}, stride = \"{stride}\", size = \"{size}\"");
        if more.is_empty() {
            return out.line(&format!("redistributors = {{ {own} }}"));
        }
        out.line(&format!("redistributors = {{ {own}, more = ["));
        for (base, size) in more {
            out.line(&format!("    {{ base = {}, size = \"{}\" }},", hex(*base), Size(*size)));
        }
        out.line("] }");
    }

    /// One address for each CPU, in order.
    fn places(&self) -> impl Iterator<Item = u64> {
        let stride = self.stride.max(FRAME);
        self.regions.iter().flat_map(move |&(base, size)| {
            (0..size / stride).map_while(move |n| base.checked_add(n * stride))
        })
    }
}

/// The GIC's frames.
pub struct Frames {
    distributor: u64,
    redistributors: Redistributors,
    /// Each CPU's redistributor, where it is not at its place.
    pub elsewhere: Vec<Option<u64>>,
}

/// Finds the frames of all CPUs and takes them.
pub fn frames(
    gic: &Part,
    cpus: &Cpus,
    messages: &Messages,
    taken: &mut Taken,
) -> Result<Frames, Refused> {
    let frames = gic.regions();
    let Some(&distributor) = frames.first() else {
        return Err(refused(format!("{} has no registers in `reg`", gic.path())));
    };
    let version = messages.version.unwrap_or("v3");
    let redistributors = Redistributors::of(gic, &frames, cpus.affinities.len(), version);
    let places: Vec<u64> = redistributors.places().take(cpus.affinities.len()).collect();
    if places.len() < cpus.affinities.len() {
        return Err(refused(format!(
            "{} has redistributors for {} CPUs, there are {}",
            gic.path(),
            places.len(),
            cpus.affinities.len()
        )));
    }
    let regions = redistributors.regions.iter().copied();
    if !std::iter::once((distributor.0, FRAME)).chain(regions).all(|one| taken.take(one)) {
        return Err(refused(format!("the frames of {} lie in RAM or in each other", gic.path())));
    }
    let found = |affinity: &u64| messages.redistributors.iter().find(|one| one.0 == *affinity);
    let elsewhere =
        cpus.affinities.iter().zip(&places).map(|(affinity, place)| {
            found(affinity).map(|one| one.1).filter(|found| found != place)
        });
    let elsewhere = elsewhere.collect();
    Ok(Frames { distributor: distributor.0, redistributors, elsewhere })
}

pub fn write(
    out: &mut Text,
    parts: &Parts,
    gic: &Part,
    frames: &Frames,
    messages: &Messages,
    taken: &mut Taken,
) {
    let version = messages.version.unwrap_or("v3");
    let own: Vec<&Part> = parts.enabled().filter(|part| part.is("arm,gic-v3-its")).collect();
    out.line("");
    out.line("[gic]");
    match messages.version {
        Some(version) => out.line(&format!("version = \"{version}\"")),
        None => out.unknown(
            "[gic] version: the tree says v3 of all; GICR_TYPER.VLPIS is v4.0, RVPEID v4.1",
            "version = \"v3\"",
        ),
    }
    match messages.spis {
        Some(spis) => out.line(&format!("spis = {}", spis.min(SPIS_END - 32))),
        None => out.unknown(
            "[gic] spis: as many as the tree uses, up to a multiple of 32; GICD_TYPER",
            &format!("spis = {}", used_spis(parts)),
        ),
    }
    out.unknown("[gic] list_registers: ICH_VTR_EL2.ListRegs + 1", "list_registers = 4");
    out.line(&format!("distributor = {{ base = {}, size = \"64 KiB\" }}", hex(frames.distributor)));
    frames.redistributors.write(out);
    let coherent = !gic.has("dma-noncoherent") && !own.iter().any(|its| its.has("dma-noncoherent"));
    quirks(out, parts, &own, coherent);
    notes(out, parts, gic, &own);
    if let Some(its) = own.first() {
        write_its(out, its, version, messages, taken);
    }
}

fn quirks(out: &mut Text, parts: &Parts, its: &[&Part], coherent: bool) {
    let root = texts(&parts.root, "compatible");
    let soc = |name: &str| root.iter().any(|one| one == name);
    let quirk = match its.first() {
        Some(_) if soc("rockchip,rk3588") || soc("rockchip,rk3588s") => Some("rockchip-3588001"),
        Some(_) if soc("rockchip,rk3566") || soc("rockchip,rk3568") => Some("rockchip-3568002"),
        Some(its) if its.has("socionext,synquacer-pre-its") => Some("socionext-pre-its"),
        _ => None,
    };
    if !coherent || quirk.is_some_and(|name| name.starts_with("rockchip")) {
        out.line("coherent = false");
    }
    if let Some(quirk) = quirk {
        out.line(&format!("quirks = [\"{quirk}\"]"));
    }
}

fn notes(out: &mut Text, parts: &Parts, gic: &Part, its: &[&Part]) {
    if gic.has("mbi-ranges") {
        let ranges = cells(&gic.node, "mbi-ranges");
        let shown: Vec<String> = ranges
            .chunks_exact(2)
            .map(|range| format!("{} from INTID {}", range[1], u64::from(range[0]) + 32))
            .collect();
        out.note(&format!(
            "SPIs by message (mbi-ranges: {}) are not used yet: no events by them.",
            shown.join(", ")
        ));
    }
    for other in its.iter().skip(1) {
        out.note(&format!("{} is not used: one ITS serves a board yet.", other.path()));
    }
    if parts.all.iter().any(|part| part.is("arm,gic-v2m-frame") && part.enabled) {
        out.note("GICv2m frames are not used: no events by them.");
    }
    if its.is_empty() {
        out.note("No [gic.its]: the tree has none, so that there are no events.");
    }
}

fn write_its(out: &mut Text, its: &Part, version: &str, messages: &Messages, taken: &mut Taken) {
    let size = if version == "v4.1" { 4 * FRAME } else { 2 * FRAME };
    let Some((base, _)) = its.regions().first().copied() else {
        return out.note(&format!("No [gic.its]: {} has no registers in `reg`.", its.path()));
    };
    if !taken.take((base, size)) {
        return out.note(&format!("No [gic.its]: {} lies where something else does.", its.path()));
    }
    out.line("");
    out.line("[gic.its]");
    out.line(&format!("base = {}", hex(base)));
    out.line(&format!("size = \"{}\"", Size(size)));
    out.unknown("[gic.its] device_id_bits: GITS_TYPER.Devbits + 1", "device_id_bits = 16");
    out.unknown("[gic.its] event_id_bits: GITS_TYPER.ID_bits + 1", "event_id_bits = 16");
    out.unknown("[gic.its] entry_size: GITS_TYPER.ITT_entry_size + 1", "entry_size = 8");
    let [device, collection, vpe] = messages.entries;
    if device.is_none() {
        out.unknown(
            "[gic.its] table_entry_size: at most this; GITS_BASERn.Entry_Size + 1",
            "table_entry_size = 32",
        );
    } else {
        out.line("table_entry_size = 32");
    }
    for (key, bytes) in [("device", device), ("collection", collection), ("vpe", vpe)] {
        if let Some(bytes) = bytes.filter(|bytes| (1..=32).contains(bytes)) {
            out.line(&format!("{key}_entry_size = {bytes}"));
        }
    }
    if let Some(page) = messages.table_page.filter(|page| [4, 16, 64].contains(page)) {
        out.line(&format!("table_page = \"{page} KiB\""));
    }
    out.unknown("[gic.its] rdbase: GITS_TYPER.PTA", "rdbase = \"processor-number\"");
}

/// SPIs up to the last one that a node of the tree has.
fn used_spis(parts: &Parts) -> u32 {
    let all = parts.all.iter().filter_map(|part| parts.interrupts(part)).flatten();
    let last = all.map(|one| one.intid).filter(|intid| (32..SPIS_END).contains(intid)).max();
    let used = last.map_or(0, |last| last - 31).max(32);
    used.next_multiple_of(32).min(SPIS_END - 32)
}
