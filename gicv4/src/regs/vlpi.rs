// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A redistributor's VLPI frame: residency of virtual PEs (IHI 0069H 12.11).
//!
//! Offsets count from VLPI_base. GICv4.0 and v4.1 share offsets and little else: the v4.1 layouts
//! have names ending in `_V41`.
#![expect(missing_docs, reason = "what tock-registers generates; names are the manual's")]

use crate::frame::{NamesMemory, ReadOnly, VirtualLpis, WriteOnly};
use crate::given::Base;
use tock_registers::register_bitfields;

/// VLPI_base from RD_base.
pub const FROM_RD_BASE: usize = 0x2_0000;

registers! { VirtualLpis;
    /// GICv4.0: the virtual configuration table of the resident vPE.
    VPROPBASER = 0x0070: NamesMemory u64 (GICR_VPROPBASER::Register);
    /// The same of GICv4.1: the vPE table.
    VPROPBASER_V41 = 0x0070: NamesMemory u64 (GICR_VPROPBASER_V41::Register);
    /// Who is resident: by its pending table (GICv4.0) or its vPEID (GICv4.1).
    VPENDBASER = 0x0078: NamesMemory u64 (GICR_VPENDBASER::Register);
    /// GICv4.1: asks for the virtual SGIs of a vPE.
    VSGIR = 0x0080: WriteOnly u32 (GICR_VSGIR::Register);
    /// GICv4.1: the answer.
    VSGIPENDR = 0x0088: ReadOnly u32 (GICR_VSGIPENDR::Register);
}

register_bitfields! [u64,
    pub GICR_VPROPBASER [
        /// vINTID bits minus one.
        IDbits OFFSET(0) NUMBITS(5) [],
        InnerCache OFFSET(7) NUMBITS(3) [],
        Shareability OFFSET(10) NUMBITS(2) [],
        /// PA 51:12 of the virtual LPI configuration table.
        PhysicalAddress OFFSET(12) NUMBITS(40) [],
        OuterCache OFFSET(56) NUMBITS(3) []
    ],
    pub GICR_VPENDBASER [
        InnerCache OFFSET(7) NUMBITS(3) [],
        Shareability OFFSET(10) NUMBITS(2) [],
        /// PA 51:16 of the virtual pending table.
        PhysicalAddress OFFSET(16) NUMBITS(36) [],
        OuterCache OFFSET(56) NUMBITS(3) [],
        Dirty OFFSET(60) NUMBITS(1) [],
        PendingLast OFFSET(61) NUMBITS(1) [],
        IDAI OFFSET(62) NUMBITS(1) [],
        Valid OFFSET(63) NUMBITS(1) []
    ],
    /// GICv4.1: the vPE table itself.
    pub GICR_VPROPBASER_V41 [
        /// Pages minus one.
        Size OFFSET(0) NUMBITS(7) [],
        InnerCache OFFSET(7) NUMBITS(3) [],
        Shareability OFFSET(10) NUMBITS(2) [],
        PhysicalAddress OFFSET(12) NUMBITS(40) [],
        /// The table is all zero.
        Z OFFSET(52) NUMBITS(1) [],
        PageSize OFFSET(53) NUMBITS(2) [],
        Indirect OFFSET(55) NUMBITS(1) [],
        OuterCache OFFSET(56) NUMBITS(3) [],
        /// Doublewords of one entry minus one; read-only.
        EntrySize OFFSET(59) NUMBITS(3) [],
        Valid OFFSET(63) NUMBITS(1) []
    ],
    pub GICR_VPENDBASER_V41 [
        VPEID OFFSET(0) NUMBITS(16) [],
        VGrp1En OFFSET(58) NUMBITS(1) [],
        VGrp0En OFFSET(59) NUMBITS(1) [],
        Dirty OFFSET(60) NUMBITS(1) [],
        PendingLast OFFSET(61) NUMBITS(1) [],
        /// Ask for the default doorbell when the vPE stops being resident.
        Doorbell OFFSET(62) NUMBITS(1) [],
        Valid OFFSET(63) NUMBITS(1) []
    ]
];

register_bitfields! [u32,
    pub GICR_VSGIR [
        VPEID OFFSET(0) NUMBITS(16) []
    ],
    pub GICR_VSGIPENDR [
        Pending OFFSET(0) NUMBITS(16) [],
        Busy OFFSET(31) NUMBITS(1) []
    ]
];

/// GICR_VPROPBASER of GICv4.0: a virtual LPI configuration table.
pub type VirtualConfigBase = Base<GICR_VPROPBASER::Register>;

/// GICR_VPROPBASER of GICv4.1: the vPE table.
pub type VpeTableBase = Base<GICR_VPROPBASER_V41::Register>;

/// GICR_VPENDBASER of GICv4.0: a virtual pending table.
pub type VirtualPendingBase = Base<GICR_VPENDBASER::Register>;
