//! Translation tables as hardware reads them, from the bytes that the image holds.

use std::ops::Range;

use codegen::plan::Decided;

const OUTPUT: u64 = 0x0000_ffff_ffff_f000;

/// A mapped range: guest address, physical address, bytes, and the descriptor's attribute bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    pub ipa: u64,
    pub pa: Range<u64>,
    pub attributes: u64,
}

/// Everything that a VM's tables map, by guest address.
pub fn mapped(plan: &Decided, vm: usize) -> Vec<Mapped> {
    let root = plan.vms[vm].vttbr.0 & OUTPUT;
    let mut out = Vec::new();
    walk(plan, root, 1, 0, &mut out);
    out
}

/// Everything that EL2's own tables map, by address.
pub fn own(plan: &Decided) -> Vec<Mapped> {
    let mut out = Vec::new();
    walk(plan, plan.hypervisor.ttbr.0, 1, 0, &mut out);
    out
}

fn walk(plan: &Decided, table: u64, level: u32, ipa: u64, out: &mut Vec<Mapped>) {
    let own = &plan.hypervisor;
    let span = 4096u64 << (9 * (3 - level));
    for entry in 0..512u64 {
        let at = (table - own.tables.0 + 8 * entry) as usize;
        let word = u64::from_le_bytes(own.tables_bin[at..at + 8].try_into().unwrap());
        let ipa = ipa + entry * span;
        match (word & 3, level) {
            (0, _) => {}
            (3, 1 | 2) => walk(plan, word & OUTPUT, level + 1, ipa, out),
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
