// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A flash of a guest taken out of its address space, and given back.
//!
//! codegen made the tables; only bit 0 of their leaves changes, and what the leaf says stays in it
//! meanwhile. Walks are coherent with EL2's stores (VTCR_EL2: write-back, inner shareable), so
//! barriers suffice (DDI 0487 D8.16, break before make).

use crate::system::{System, is_entry};
use core::arch::asm;
use plan::Flash;

const VALID: u64 = 1;
const TABLE: u64 = 1 << 1;
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
/// VTTBR_EL2.BADDR.
const ROOT: u64 = 0x0000_ffff_ffff_fffe;
const ENTRY_BITS: u32 = 9;
const PAGE_BITS: u32 = 12;

/// The guest reaches it again.
pub fn show<S: System>(flash: &Flash) {
    each_leaf::<S>(flash, |leaf| leaf | VALID);
    // SAFETY: barriers only.
    unsafe { asm!("dsb ishst", "isb", options(nostack, preserves_flags)) };
}

/// It faults there from now on, on all its vPEs. The VM's stage 2 is this CPU's.
pub fn hide<S: System>(flash: &Flash) {
    each_leaf::<S>(flash, |leaf| leaf & !VALID);
    // SAFETY: drops cached copies only.
    unsafe {
        asm!("dsb ishst", "tlbi vmalls12e1is", "dsb ish", "isb", options(nostack, preserves_flags))
    };
}

/// Changes the leaves that map a flash of the plan. It is mapped as a whole, by leaves that map
/// nothing else.
fn each_leaf<S: System>(flash: &Flash, change: impl Fn(u64) -> u64) {
    let vm = S::PLAN.vms.get(flash.vm.index()).filter(|_| is_entry(S::PLAN.flashes, flash));
    let Some(vm) = vm else { return };
    let mut at = flash.ipa.value();
    let end = at.wrapping_add(flash.bytes);
    // As the hardware walks: from level 0 or 1 on. The first table may be several pages, or less
    // than one.
    let (root, first) = (vm.vttbr & ROOT, PAGE_BITS + ENTRY_BITS * (levels(vm.vtcr) - 1));
    let (mut table, mut bits) = (root, first);
    while at < end {
        let mask = if bits == first { u64::MAX } else { 0x1ff };
        let entry = (table as *mut u64).wrapping_add((at >> bits & mask) as usize);
        // SAFETY: inside a table of the VM's stage 2, by construction (codegen): levels above 3 of
        // a mapped address are tables or leaves.
        let descriptor = unsafe { entry.read_volatile() };
        if bits > PAGE_BITS && descriptor & TABLE != 0 {
            table = descriptor & ADDRESS;
            bits = bits.wrapping_sub(ENTRY_BITS);
            continue;
        }
        // SAFETY: as above; the caller holds the flash's lock, and nothing else changes these
        // leaves.
        unsafe { entry.write_volatile(change(descriptor)) };
        at = at.wrapping_add(1 << bits);
        if at >> bits & 0x1ff == 0 {
            (table, bits) = (root, first);
        }
    }
}

/// How many levels a walk has, by VTCR_EL2.SL0: 1 begins at level 1, 2 at level 0.
fn levels(vtcr: u64) -> u32 {
    (vtcr >> 6 & 3) as u32 + 2
}
