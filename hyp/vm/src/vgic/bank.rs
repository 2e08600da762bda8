// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What registers of the distributor and of the redistributors have in common.

use core::sync::atomic::{AtomicU8, Ordering::Relaxed};
use plan::Masked;

/// Bits of a priority that exist; as many as the virtual CPU interface is required to have.
pub(crate) const PRIORITY_BITS: u8 = 0xf8;
/// GICD_PIDR2 and GICR_PIDR2: GICv3.
pub(crate) const PIDR2: u32 = 0x3b;
/// GICD_IIDR and GICR_IIDR: product 'B', the implementer code that guests expect of a GIC.
pub(crate) const IIDR: u32 = 0x4200_043b;

/// Word and bit of an INTID below 1024.
#[inline(always)]
pub(crate) const fn place(intid: u32) -> (usize, u32) {
    ((intid >> 5 & 31) as usize, 1 << (intid & 31))
}

/// Order of urgency: priority (a lower value is higher), then INTID.
pub(super) const fn urgency(intid: u32, priority: u8) -> u32 {
    (priority as u32) << 16 | intid
}

/// IPRIORITYR<n>: the four priorities from `first` on, a multiple of 4.
#[inline(always)]
pub(super) fn four_priorities<const N: usize>(all: &Masked<AtomicU8, N>, first: usize) -> u32 {
    let first = first & !3;
    let one = |n| u32::from(all[first | n].load(Relaxed));
    one(0) | one(1) << 8 | one(2) << 16 | one(3) << 24
}
