// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Translation: everything where it is, memory cached, the rest device.
//!
//! Stage-1 tables at EL1 with 4 KiB granule and 48 bits of address (DDI 0487 D8.2): 1 GiB device
//! blocks below 1 TiB and beside memory above that, and a level-2 table of 2 MiB blocks for each
//! GiB that holds RAM or a channel. What a 2 MiB block of memory covers beyond the memory itself,
//! stage 2 keeps from us. The pages below the stacks are not mapped (a level-3 table splits their
//! block). Memory is writable and executable alike: it is the guest's own business, and one payload
//! may make code (`hostile` does).
//!
//! `build` runs before the MMU is on, so it must not use atomics; `enable` runs on each vPE.

use core::arch::naked_asm;
use core::cell::UnsafeCell;

use crate::machine::Region;
use crate::{Machine, start};

const BLOCK: u64 = 1;
const TABLE: u64 = 3;
const ACCESSED: u64 = 1 << 10;
const INNER_SHAREABLE: u64 = 3 << 8;
const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;
/// MAIR_EL1 attribute 0: Device-nGnRE.
const DEVICE: u64 = BLOCK | ACCESSED | PXN | UXN;
/// MAIR_EL1 attribute 1: Normal, write-back.
const MEMORY: u64 = BLOCK | (1 << 2) | INNER_SHAREABLE | ACCESSED | UXN;

const GIB_SHIFT: u32 = 30;
const MIB2_SHIFT: u32 = 21;
const ENTRIES: u64 = 512;
/// Below 1 TiB, and two more of 512 GiB each that hold memory.
const LEVEL1_TABLES: usize = 4;
const LEVEL2_TABLES: usize = 8;
/// 2 MiB blocks that stacks lie in: the boot vPE's in two at most, the others' too.
const LEVEL3_TABLES: usize = 4;
const PAGE_SHIFT: u32 = 12;
/// Turns a block's descriptor into a page's.
const PAGE: u64 = 2;

#[repr(C, align(4096))]
struct Table([u64; ENTRIES as usize]);

#[repr(C, align(4096))]
struct Tables {
    level0: Table,
    level1: [Table; LEVEL1_TABLES],
    level2: [Table; LEVEL2_TABLES],
    level3: [Table; LEVEL3_TABLES],
}

struct Shared(UnsafeCell<Tables>);

// SAFETY: written by `build` while one vPE runs; afterwards only hardware reads it.
unsafe impl Sync for Shared {}

static TABLES: Shared = Shared(UnsafeCell::new(Tables {
    level0: Table([0; ENTRIES as usize]),
    level1: [const { Table([0; ENTRIES as usize]) }; LEVEL1_TABLES],
    level2: [const { Table([0; ENTRIES as usize]) }; LEVEL2_TABLES],
    level3: [const { Table([0; ENTRIES as usize]) }; LEVEL3_TABLES],
}));

/// Fills the tables from the device tree.
///
/// # Safety
/// Once, on the boot vPE, with the MMU off; `tree` is what the guest was entered with.
pub unsafe extern "C" fn build(tree: *const u8) {
    // SAFETY: nobody else runs yet (the caller says so), so this is the only reference.
    let tables = unsafe { &mut *TABLES.0.get() };
    for gib in [0, ENTRIES] {
        let Tables { level0, level1, .. } = &mut *tables;
        let _ = of_gib(level0, level1, gib);
    }
    let mut used = 0;
    // SAFETY: the caller vouches for the tree.
    let machine = unsafe { Machine::new(tree, 0) };
    for region in machine.memory() {
        normal(tables, &mut used, region);
    }
    for end in machine.channels() {
        normal(tables, &mut used, end.memory);
    }
    let mut used = 0;
    for guard in start::guards(&machine) {
        unmap(tables, &mut used, guard.base);
    }
}

/// The level-1 entry of a GiB, in a table that is made, all device, if there is none yet; None: all
/// tables are used.
fn of_gib<'a>(level0: &mut Table, level1: &'a mut [Table], gib: u64) -> Option<&'a mut u64> {
    let top = level0.0.get_mut((gib / ENTRIES) as usize)?;
    if *top == 0 {
        let free = |table: &&mut Table| table.0.iter().all(|&entry| entry == 0);
        let table = level1.iter_mut().find(free)?;
        for (entry, inner) in table.0.iter_mut().zip(0..) {
            *entry = (gib / ENTRIES * ENTRIES + inner) << GIB_SHIFT | DEVICE;
        }
        *top = table.0.as_ptr() as u64 | TABLE;
    }
    let table = level1.iter_mut().find(|table| table.0.as_ptr() as u64 == *top & !0xfff);
    table?.0.get_mut((gib % ENTRIES) as usize)
}

/// Takes away the page at `address`, which `normal` mapped.
fn unmap(tables: &mut Tables, used: &mut usize, address: u64) {
    let Tables { level0, level1, level2, level3 } = tables;
    let Some(entry) = of_gib(level0, level1, address >> GIB_SHIFT) else {
        return;
    };
    let table = level2.iter_mut().find(|table| table.0.as_ptr() as u64 == *entry & !0xfff);
    let entry = table
        .and_then(|table| table.0.get_mut((address >> MIB2_SHIFT) as usize % ENTRIES as usize));
    let Some(entry) = entry else {
        return;
    };
    if *entry & TABLE == BLOCK {
        let Some(level3) = level3.get_mut(*used) else {
            return;
        };
        for (page, offset) in level3.0.iter_mut().zip(0u64..) {
            *page = (*entry | PAGE) + (offset << PAGE_SHIFT);
        }
        *entry = level3.0.as_ptr() as u64 | TABLE;
        *used += 1;
    }
    let table = level3.iter_mut().find(|table| table.0.as_ptr() as u64 == *entry & !0xfff);
    if let Some(page) =
        table.and_then(|table| table.0.get_mut((address >> PAGE_SHIFT) as usize % ENTRIES as usize))
    {
        *page = 0;
    }
}

/// Makes every 2 MiB block that `region` touches normal memory.
fn normal(tables: &mut Tables, used: &mut usize, region: Region) {
    let Some(last) = region.base.checked_add(region.bytes.wrapping_sub(1)) else {
        return;
    };
    for block in region.base >> MIB2_SHIFT..=last >> MIB2_SHIFT {
        let Tables { level0, level1, level2, .. } = &mut *tables;
        let Some(entry) = of_gib(level0, level1, block / ENTRIES) else {
            return;
        };
        if *entry & TABLE == BLOCK {
            let Some(level2) = level2.get_mut(*used) else {
                return;
            };
            for (entry, inner) in level2.0.iter_mut().zip(0..) {
                *entry = (block / ENTRIES * ENTRIES + inner) << MIB2_SHIFT | DEVICE;
            }
            *entry = level2.0.as_ptr() as u64 | TABLE;
            *used += 1;
        }
        let address = *entry & !0xfff;
        let table = level2.iter_mut().find(|table| table.0.as_ptr() as u64 == address);
        if let Some(entry) = table.and_then(|table| table.0.get_mut((block % ENTRIES) as usize)) {
            *entry = block << MIB2_SHIFT | MEMORY;
        }
    }
}

/// Turns MMU and caches on with the finished tables. Changes x0 to x2.
///
/// # Safety
/// After `build`, with the MMU off, from code that lies in memory the tables map where it is.
#[unsafe(naked)]
pub unsafe extern "C" fn enable() {
    naked_asm!(
        "mov  x0, #0xff04",              // MAIR_EL1: 0 Device-nGnRE, 1 Normal write-back
        "msr  mair_el1, x0",
        "mrs  x1, id_aa64mmfr0_el1",
        "and  x1, x1, #0xf",             // PARange
        "cmp  x1, #5",                   // 48 bits are the most without FEAT_LPA
        "mov  x2, #5",
        "csel x1, x1, x2, lo",
        "mov  x0, #0x3510",              // TCR_EL1: T0SZ 16, write-back walks, inner shareable, 4 KiB granule
        "movk x0, #0x80, lsl #16",       // EPD1
        "bfi  x0, x1, #32, #3",          // IPS
        "msr  tcr_el1, x0",
        "adrp x0, {tables}",             // level 0 stands first
        "msr  ttbr0_el1, x0",
        "dsb  sy",
        "isb",
        "tlbi vmalle1",
        "dsb  nsh",
        "isb",
        "mov  w0, #0x180d",              // SCTLR_EL1: RES1 | EOS | I | SA | C | M
        "movk w0, #0x30d0, lsl #16",
        "msr  sctlr_el1, x0",
        "isb",
        "ret",
        tables = sym TABLES,
    )
}
