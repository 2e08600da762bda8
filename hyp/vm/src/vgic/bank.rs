// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What registers of the distributor and of the redistributors have in common.

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
