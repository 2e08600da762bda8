// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Names of the system registers that the assembler knows by their encoding alone.
//!
//! `S<op0>_<op1>_C<CRn>_C<CRm>_<op2>` (DDI 0487 D24, IHI 0069H 12.2 and 12.4), in that order. Any
//! other name is the assembler's own. Feature registers are read by encoding, in [`crate::id`].

/// The assembler's name of a register.
#[rustfmt::skip]
macro_rules! name {
    (BRBCR_EL2) => { "S2_4_C9_C0_0" };
    (ID_AA64ISAR2_EL1) => { "S3_0_C0_C6_2" };
    (APIAKeyLo_EL1) => { "S3_0_C2_C1_0" };
    (APIAKeyHi_EL1) => { "S3_0_C2_C1_1" };
    (APIBKeyLo_EL1) => { "S3_0_C2_C1_2" };
    (APIBKeyHi_EL1) => { "S3_0_C2_C1_3" };
    (APDAKeyLo_EL1) => { "S3_0_C2_C2_0" };
    (APDAKeyHi_EL1) => { "S3_0_C2_C2_1" };
    (APDBKeyLo_EL1) => { "S3_0_C2_C2_2" };
    (APDBKeyHi_EL1) => { "S3_0_C2_C2_3" };
    (APGAKeyLo_EL1) => { "S3_0_C2_C3_0" };
    (APGAKeyHi_EL1) => { "S3_0_C2_C3_1" };
    (ICC_PMR_EL1) => { "S3_0_C4_C6_0" };
    (PMBIDR_EL1) => { "S3_0_C9_C10_7" };
    (DISR_EL1) => { "S3_0_C12_C1_1" };
    (ICC_AP1R0_EL1) => { "S3_0_C12_C9_0" };
    (ICC_AP1R1_EL1) => { "S3_0_C12_C9_1" };
    (ICC_AP1R2_EL1) => { "S3_0_C12_C9_2" };
    (ICC_AP1R3_EL1) => { "S3_0_C12_C9_3" };
    (ICC_DIR_EL1) => { "S3_0_C12_C11_1" };
    (ICC_SGI1R_EL1) => { "S3_0_C12_C11_5" };
    (ICC_IAR1_EL1) => { "S3_0_C12_C12_0" };
    (ICC_EOIR1_EL1) => { "S3_0_C12_C12_1" };
    (ICC_BPR1_EL1) => { "S3_0_C12_C12_3" };
    (ICC_CTLR_EL1) => { "S3_0_C12_C12_4" };
    (ICC_IGRPEN0_EL1) => { "S3_0_C12_C12_6" };
    (ICC_IGRPEN1_EL1) => { "S3_0_C12_C12_7" };
    (HFGRTR_EL2) => { "S3_4_C1_C1_4" };
    (HFGWTR_EL2) => { "S3_4_C1_C1_5" };
    (HFGITR_EL2) => { "S3_4_C1_C1_6" };
    (ZCR_EL2) => { "S3_4_C1_C2_0" };
    (HCRX_EL2) => { "S3_4_C1_C2_2" };
    (GCSCR_EL2) => { "S3_4_C2_C5_0" };
    (HDFGRTR2_EL2) => { "S3_4_C3_C1_0" };
    (HDFGWTR2_EL2) => { "S3_4_C3_C1_1" };
    (HFGRTR2_EL2) => { "S3_4_C3_C1_2" };
    (HFGWTR2_EL2) => { "S3_4_C3_C1_3" };
    (HDFGRTR_EL2) => { "S3_4_C3_C1_4" };
    (HDFGWTR_EL2) => { "S3_4_C3_C1_5" };
    (HAFGRTR_EL2) => { "S3_4_C3_C1_6" };
    (HFGITR2_EL2) => { "S3_4_C3_C1_7" };
    (VSESR_EL2) => { "S3_4_C5_C2_3" };
    (PMSCR_EL2) => { "S3_4_C9_C9_0" };
    (MPAM2_EL2) => { "S3_4_C10_C5_0" };
    (VDISR_EL2) => { "S3_4_C12_C1_1" };
    (ICH_AP0R0_EL2) => { "S3_4_C12_C8_0" };
    (ICH_AP0R1_EL2) => { "S3_4_C12_C8_1" };
    (ICH_AP0R2_EL2) => { "S3_4_C12_C8_2" };
    (ICH_AP0R3_EL2) => { "S3_4_C12_C8_3" };
    (ICH_AP1R0_EL2) => { "S3_4_C12_C9_0" };
    (ICH_AP1R1_EL2) => { "S3_4_C12_C9_1" };
    (ICH_AP1R2_EL2) => { "S3_4_C12_C9_2" };
    (ICH_AP1R3_EL2) => { "S3_4_C12_C9_3" };
    (ICC_SRE_EL2) => { "S3_4_C12_C9_5" };
    (ICH_HCR_EL2) => { "S3_4_C12_C11_0" };
    (ICH_VTR_EL2) => { "S3_4_C12_C11_1" };
    (ICH_ELRSR_EL2) => { "S3_4_C12_C11_5" };
    (ICH_VMCR_EL2) => { "S3_4_C12_C11_7" };
    (ICH_LR0_EL2) => { "S3_4_C12_C12_0" };
    (ICH_LR1_EL2) => { "S3_4_C12_C12_1" };
    (ICH_LR2_EL2) => { "S3_4_C12_C12_2" };
    (ICH_LR3_EL2) => { "S3_4_C12_C12_3" };
    (ICH_LR4_EL2) => { "S3_4_C12_C12_4" };
    (ICH_LR5_EL2) => { "S3_4_C12_C12_5" };
    (ICH_LR6_EL2) => { "S3_4_C12_C12_6" };
    (ICH_LR7_EL2) => { "S3_4_C12_C12_7" };
    (ICH_LR8_EL2) => { "S3_4_C12_C13_0" };
    (ICH_LR9_EL2) => { "S3_4_C12_C13_1" };
    (ICH_LR10_EL2) => { "S3_4_C12_C13_2" };
    (ICH_LR11_EL2) => { "S3_4_C12_C13_3" };
    (ICH_LR12_EL2) => { "S3_4_C12_C13_4" };
    (ICH_LR13_EL2) => { "S3_4_C12_C13_5" };
    (ICH_LR14_EL2) => { "S3_4_C12_C13_6" };
    (ICH_LR15_EL2) => { "S3_4_C12_C13_7" };
    (CNTHV_CTL_EL2) => { "S3_4_C14_C3_1" };
    ($name:ident) => { stringify!($name) };
}
