// SPDX-License-Identifier: Apache-2.0 OR MIT
//! EL2's own tables: every address means itself, but for the windows.
//!
//! The hypervisor's memory is Normal write-back; registers are Device-nGnRE. All is read-write and
//! never executable: the 2 MiB that hold the code are mapped page by page, and boot turns text into
//! read-execute and constants into read-only there, before it switches translation on. Mappings are
//! exact to the page, because a CPU may read Normal memory that is mapped by speculation at any
//! time. Memory of VMs and of firmware is not mapped. EL2 reaches VMs' memory through a window of a
//! few pages for each CPU, whose descriptors are empty here.

use std::ops::Range;

use ::plan::translation::{EL2_ATTR_DEVICE, EL2_ATTR_NORMAL};

use super::translation::{Refused, Shape, Tree};

const BLOCK: u64 = 2 << 20;
const PAGE: u64 = 4096;
/// AttrIndx 4:2.
const fn attr(index: u64) -> u64 {
    index << 2
}
/// AP 7:6 = 0b01: read and write; bit 6 is RES1 where there is no EL0 (DDI 0487, D8.4).
const READ_WRITE: u64 = 1 << 6;
const SH_INNER: u64 = 0b11 << 8;
const ACCESSED: u64 = 1 << 10;
const XN: u64 = 1 << 54;

const RAM: u64 = attr(EL2_ATTR_NORMAL) | READ_WRITE | SH_INNER | ACCESSED | XN;
const REGISTERS: u64 = attr(EL2_ATTR_DEVICE) | READ_WRITE | ACCESSED | XN;

/// Tables that map `own`, `inherited` tables of the GIC's and `registers` to themselves; the first
/// 2 MiB of `own` in pages.
pub fn tables(
    own: &Range<u64>,
    inherited: &[Range<u64>],
    registers: &[Range<u64>],
) -> Result<Tree, Refused> {
    let end = inherited.iter().chain(registers).map(|range| range.end).max().unwrap_or(0);
    let mut tree = Tree::new(Shape::stage1(end.max(own.end)));
    let rest = own.end.min(own.start + BLOCK);
    for page in (own.start..rest).step_by(PAGE as usize) {
        tree.map(page, page, PAGE, RAM)?;
    }
    tree.map(rest, rest, own.end - rest, RAM)?;
    for range in joined(inherited) {
        tree.map(range.start, range.start, range.end - range.start, RAM)?;
    }
    for range in joined(registers) {
        tree.map(range.start, range.start, range.end - range.start, REGISTERS)?;
    }
    Ok(tree)
}

/// `ranges` in whole pages, sorted, those that touch made one.
fn joined(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut wide: Vec<_> = ranges
        .iter()
        .map(|range| range.start / PAGE * PAGE..range.end.next_multiple_of(PAGE))
        .collect();
    wide.sort_by_key(|range| range.start);
    let mut out: Vec<Range<u64>> = Vec::new();
    for range in wide {
        match out.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_to_the_page_and_code_by_pages() {
        let tree = tables(
            &(0x4020_0000..0x4060_0000),
            &[0x4070_0000..0x4070_1000, 0x4070_1000..0x4070_3000],
            &[0x0900_0000..0x0900_1000, 0x0801_0000..0x0801_0800],
        )
        .unwrap();
        assert_eq!(tree.walk(0x4020_1000), Some((0x4020_1000, 0x0040_0000_4020_1747)));
        assert_eq!(tree.walk(0x4050_0000), Some((0x4050_0000, 0x0040_0000_4040_0745)));
        assert_eq!(tree.walk(0x4070_2000), Some((0x4070_2000, 0x0040_0000_4070_2747)));
        assert_eq!(tree.walk(0x0900_0018), Some((0x0900_0018, 0x0040_0000_0900_0443)));
        assert_eq!(tree.walk(0x0801_0fff), Some((0x0801_0fff, 0x0040_0000_0801_0443)));
        for beside in [
            0x4000_0000,
            0x401f_ffff,
            0x4060_0000,
            0x4070_3000,
            0x0900_1000,
            0x0801_1000,
            0x0800_ffff,
        ] {
            assert_eq!(tree.walk(beside), None);
        }
        assert!(tree.level3(0x4020_0000).is_some());
        assert!(tree.level3(0x4040_0000).is_none());
    }
}
