// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What codegen's translation tables and EL2's registers must agree on.
//!
//! codegen writes EL2's stage-1 tables and every VM's stage-2 tables; the image writes the
//! registers that give their bits a meaning (DDI 0487 D8). Both take these constants, so that
//! neither can drift.

/// Attribute index of a stage-1 descriptor for device registers: Device-nGnRE.
pub const EL2_ATTR_DEVICE: u64 = 0;
/// Attribute index of a stage-1 descriptor for RAM: Normal, write-back, read and write allocate.
pub const EL2_ATTR_NORMAL: u64 = 1;
/// MAIR_EL2.
pub const EL2_MAIR: u64 = 0x04 | 0xff << 8;
/// Pages of the window that each CPU has in EL2's tables, on memory that is not EL2's own.
pub const EL2_WINDOW_PAGES: u64 = 8;
/// TCR_EL2 with this T0SZ, without PS: RES1 bits, granule 4 KiB, inner shareable, write-back walks.
pub const fn el2_tcr(t0sz: u64) -> u64 {
    1 << 31 | 1 << 23 | 3 << 12 | 1 << 10 | 1 << 8 | t0sz
}
