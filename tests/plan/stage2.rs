// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Translation tables as hardware reads them, from the bytes that the image holds.

use std::ops::Range;

use codegen::plan::Plan;

const OUTPUT: u64 = 0x0000_ffff_ffff_f000;

/// A mapped range: guest address, physical address, bytes, and the descriptor's attribute bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    pub ipa: u64,
    pub pa: Range<u64>,
    pub attributes: u64,
}

/// Everything that a VM's tables map, by guest address.
pub fn mapped(plan: &Plan, vm: usize) -> Vec<Mapped> {
    // DDI 0487 D24.2, VTCR_EL2: T0SZ 5:0, SL0 7:6; VTTBR_EL2: BADDR 47:1.
    let (root, vtcr) = (plan.vms[vm].vttbr.0 & 0xffff_ffff_fffe, plan.vms[vm].vtcr.0);
    let level = 2 - (vtcr >> 6 & 3) as u32;
    from(plan, root, 64 - (vtcr & 0x3f), level)
}

/// Everything that EL2's own tables map, by address.
pub fn own(plan: &Plan) -> Vec<Mapped> {
    let own = &plan.hypervisor;
    let bits = 64 - (own.tcr.0 & 0x3f);
    from(plan, own.ttbr.value(), bits, if bits > 39 { 0 } else { 1 })
}

/// Everything below a root that translates `bits` of an address, from `level` on.
fn from(plan: &Plan, root: u64, bits: u64, level: u32) -> Vec<Mapped> {
    let entries = (1 << bits) / span(level);
    assert!((2..=16 * 512).contains(&entries), "no level to begin at for {bits} bits");
    assert_eq!(root % (8 * entries).max(64), 0, "a root that is not aligned to its size");
    let mut out = Vec::new();
    walk(plan, (root, entries), level, 0, &mut out);
    out
}

/// Bytes behind an entry.
fn span(level: u32) -> u64 {
    4096 << (9 * (3 - level))
}

fn walk(plan: &Plan, (table, entries): (u64, u64), level: u32, ipa: u64, out: &mut Vec<Mapped>) {
    let own = &plan.hypervisor;
    let span = span(level);
    for entry in 0..entries {
        let at = (table - own.tables.value() + 8 * entry) as usize;
        let word = u64::from_le_bytes(own.tables_bin[at..at + 8].try_into().unwrap());
        let ipa = ipa + entry * span;
        match (word & 3, level) {
            (0, _) => {}
            (3, 0..=2) => walk(plan, (word & OUTPUT, 512), level + 1, ipa, out),
            (1, 1 | 2) | (3, 3) => {
                let pa = word & OUTPUT;
                assert_eq!(pa % span, 0, "a block that is not aligned");
                let attributes = word & !OUTPUT & !3;
                out.push(Mapped { ipa, pa: pa..pa + span, attributes });
            }
            _ => panic!("descriptor {word:#x} at level {level}"),
        }
    }
}
