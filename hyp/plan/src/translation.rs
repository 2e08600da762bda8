//! What codegen's translation tables and EL2's registers must agree on.
//!
//! codegen writes EL2's stage-1 tables and every VM's stage-2 tables; the image writes the registers that give
//! their bits a meaning (DDI 0487 D8). Both take these constants, so that neither can drift.

/// Attribute index of a stage-1 descriptor for device registers: Device-nGnRE.
pub const EL2_ATTR_DEVICE: u64 = 0;
/// Attribute index of a stage-1 descriptor for RAM: Normal, write-back, read and write allocate.
pub const EL2_ATTR_NORMAL: u64 = 1;
/// MAIR_EL2.
pub const EL2_MAIR: u64 = 0x04 | 0xff << 8;
/// TCR_EL2.T0SZ: 39-bit addresses, walks begin at level 1, granule 4 KiB. TTBR0_EL2 is the symbol `EL2_TTBR`.
pub const EL2_T0SZ: u64 = 25;
