// SPDX-License-Identifier: Apache-2.0 OR MIT
//! EL2's own memory as it is in RAM after a run.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use object::{Object, ObjectSegment, SegmentFlags};

use crate::plan_json::{self, number};

/// The board's RAM begins here, as on every board of QEMU's `virt`.
pub const RAM: u64 = 0x4000_0000;
const OUTPUT: u64 = 0x0000_ffff_ffff_f000;
/// AttrIndx of a leaf that is Normal memory (`plan::translation::EL2_ATTR_NORMAL`).
const NORMAL: u64 = 1;

/// One line for each leaf that maps Normal memory outside the hypervisor's, or another address than
/// its own.
pub fn strangers(binary: &Path, ram: &Path) -> Result<Vec<String>, String> {
    let own = &plan_json::beside(binary)?["hypervisor"];
    let field = |name: &str| number(&own[name]).ok_or(format!("plan.json has no {name}"));
    let (base, bytes) = (field("base")?, field("bytes")?);
    let bits = 64 - (field("tcr")? & 0x3f);
    let (level, root) = (if bits > 39 { 0 } else { 1 }, field("ttbr")?);
    let mut leaves = Vec::new();
    let file = File::open(ram).map_err(|error| error.to_string())?;
    walk(&file, (root, 1 << (bits - shift(level))), level, 0, &mut leaves)
        .map_err(|error| error.to_string())?;
    let normal = |leaf: &&Leaf| leaf.2 >> 2 & 7 == NORMAL;
    let own = |leaf: &&Leaf| leaf.1 >= base && leaf.1 + leaf.3 <= base + bytes;
    let mut out: Vec<String> = leaves
        .iter()
        .filter(|leaf| leaf.0 != leaf.1 || normal(leaf) && !own(leaf))
        .map(|leaf| format!("EL2 maps {:#x} at {:#x}, {} bytes", leaf.1, leaf.0, leaf.3))
        .collect();
    if !leaves.iter().any(|leaf| normal(&leaf)) {
        out.push("EL2 maps nothing of its own".into());
    }
    Ok(out)
}

/// One line for each part that nobody writes at run time and that is not as the image has it: code,
/// constants, stage-2 tables, copies of payloads.
pub fn altered(binary: &Path, ram: &Path) -> Result<Vec<String>, String> {
    let elf = fs::read(binary.with_extension("elf")).map_err(|error| error.to_string())?;
    let elf = object::File::parse(&*elf).map_err(|error| error.to_string())?;
    let ram = File::open(ram).map_err(|error| error.to_string())?;
    let plan = plan_json::beside(binary)?;
    let items = plan["hypervisor"]["items"].as_array().ok_or("plan.json has no items")?;
    let mut out = Vec::new();
    let mut compared = 0;
    let mut compare = |name: &str, base: u64, wanted: &[u8]| {
        let mut found = vec![0; wanted.len()];
        ram.read_exact_at(&mut found, base - RAM).map_err(|error| error.to_string())?;
        if let Some(at) = found.iter().zip(wanted).position(|(found, wanted)| found != wanted) {
            out.push(format!("{name} at {:#x} was altered", base + at as u64));
        }
        compared += 1;
        Ok::<(), String>(())
    };
    for segment in elf.segments() {
        let (base, data) = (segment.address(), segment.data().map_err(|error| error.to_string())?);
        let SegmentFlags::Elf { p_flags } = segment.flags() else { continue };
        if p_flags & object::elf::PF_W == 0 {
            compare("EL2's code", base, data)?;
        }
        for item in items {
            let name = item["name"].as_str().unwrap_or_default();
            let (at, bytes) = (number(&item["base"]).unwrap_or(0), number(&item["bytes"]));
            let constant = name.contains("stage-2 tables") || name.starts_with("copy of");
            let wanted = at
                .checked_sub(base)
                .map(|from| from as usize)
                .and_then(|from| data.get(from..from.checked_add(bytes.unwrap_or(0) as usize)?));
            if let (true, Some(wanted)) = (constant, wanted) {
                compare(name, at, wanted)?;
            }
        }
    }
    if compared < 4 {
        out.push(format!("{compared} parts of EL2 were compared"));
    }
    Ok(out)
}

/// Address, where it leads to, descriptor, bytes.
type Leaf = (u64, u64, u64, u64);

/// Bits of an address below those that `level` translates.
fn shift(level: u32) -> u64 {
    12 + 9 * u64::from(3 - level)
}

fn walk(
    ram: &File,
    (table, entries): (u64, u64),
    level: u32,
    base: u64,
    out: &mut Vec<Leaf>,
) -> io::Result<()> {
    let mut words = vec![0; 8 * entries as usize];
    ram.read_exact_at(&mut words, table - RAM)?;
    for (word, n) in words.as_chunks().0.iter().zip(0..) {
        let (word, address) = (u64::from_le_bytes(*word), base + (n << shift(level)));
        match (word & 3, level) {
            (3, 0..=2) => walk(ram, (word & OUTPUT, 512), level + 1, address, out)?,
            (1, _) | (3, _) => out.push((address, word & OUTPUT, word, 1 << shift(level))),
            _ => {}
        }
    }
    Ok(())
}
