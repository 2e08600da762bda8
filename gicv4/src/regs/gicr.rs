// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A redistributor's RD and SGI frames (IHI 0069H 12.11).
//!
//! All offsets count from RD_base: the SGI frame is 64 KiB on.
#![expect(missing_docs, reason = "what tock-registers generates; names are the manual's")]

use crate::frame::{NamesMemory, ReadOnly, ReadWrite, Redistributor, WriteOnly};
use crate::given::Base;
use tock_registers::register_bitfields;

registers! { Redistributor;
    /// Control: LPIs, and RWP, which says that disables are on their way.
    CTLR = 0x0000: ReadWrite u32 (GICR_CTLR::Register);
    /// Implementer and revision.
    IIDR = 0x0004: ReadOnly u32;
    /// Whose it is, and what it has.
    TYPER = 0x0008: ReadOnly u64 (GICR_TYPER::Register);
    /// Accesses that were refused.
    STATUSR = 0x0010: ReadWrite u32;
    /// Power: asleep or awake.
    WAKER = 0x0014: ReadWrite u32 (GICR_WAKER::Register);
    /// DirectLPI: makes an LPI pending.
    SETLPIR = 0x0040: WriteOnly u64;
    /// DirectLPI: an LPI is not pending any more.
    CLRLPIR = 0x0048: WriteOnly u64;
    /// The LPI configuration table.
    PROPBASER = 0x0070: NamesMemory u64 (GICR_PROPBASER::Register);
    /// The LPI pending table.
    PENDBASER = 0x0078: NamesMemory u64 (GICR_PENDBASER::Register);
    /// DirectLPI: the configuration of an LPI changed.
    INVLPIR = 0x00a0: WriteOnly u64 (GICR_INVLPIR::Register);
    /// DirectLPI: the configuration of any LPI changed.
    INVALLR = 0x00b0: WriteOnly u64 (GICR_INVLPIR::Register);
    /// DirectLPI: whether such a write is on its way.
    SYNCR = 0x00c0: ReadOnly u32 (GICR_SYNCR::Register);
    /// Architecture revision.
    PIDR2 = 0xffe8: ReadOnly u32;
    /// Group of SGIs and PPIs: one bit for each, as in the registers up to ICACTIVER0.
    IGROUPR0 = 0x1_0080: ReadWrite u32;
    /// Written 1: enables.
    ISENABLER0 = 0x1_0100: ReadWrite u32;
    /// Written 1: disables. Registers 1 and 2: extended PPIs.
    ICENABLER = 0x1_0180: [3] ReadWrite u32;
    /// Register 0 of those: SGIs and PPIs.
    ICENABLER0 = 0x1_0180: ReadWrite u32;
    /// Written 1: makes pending.
    ISPENDR0 = 0x1_0200: ReadWrite u32;
    /// Written 1: not pending any more.
    ICPENDR0 = 0x1_0280: ReadWrite u32;
    /// Written 1: makes active.
    ISACTIVER0 = 0x1_0300: ReadWrite u32;
    /// Written 1: deactivates.
    ICACTIVER0 = 0x1_0380: ReadWrite u32;
    /// Priority: one byte for each of INTIDs 0..32, here four at a time.
    IPRIORITYR = 0x1_0400: [8] ReadWrite u32;
    /// The same bytes one at a time, which these registers alone allow.
    IPRIORITYR_BYTES = 0x1_0400: [32] ReadWrite u8;
    /// Trigger of SGIs, which are always edges.
    ICFGR0 = 0x1_0c00: ReadOnly u32;
    /// Trigger of PPIs: two bits for each; bit 1 of each: edge-triggered.
    ICFGR1 = 0x1_0c04: ReadWrite u32;
    /// Secure group: one bit for each.
    IGRPMODR0 = 0x1_0d00: ReadWrite u32;
}

register_bitfields! [u32,
    pub GICR_CTLR [
        EnableLPIs OFFSET(0) NUMBITS(1) [],
        /// Clear-enable supported: EnableLPIs may be cleared again.
        CES OFFSET(1) NUMBITS(1) [],
        /// INVLPIR and INVALLR work even without DirectLPI.
        IR OFFSET(2) NUMBITS(1) [],
        RWP OFFSET(3) NUMBITS(1) [],
        UWP OFFSET(31) NUMBITS(1) []
    ],
    pub GICR_WAKER [
        ProcessorSleep OFFSET(1) NUMBITS(1) [],
        ChildrenAsleep OFFSET(2) NUMBITS(1) []
    ],
    pub GICR_SYNCR [
        Busy OFFSET(0) NUMBITS(1) []
    ]
];

register_bitfields! [u64,
    pub GICR_TYPER [
        PLPIS OFFSET(0) NUMBITS(1) [],
        /// Virtual LPIs: there is a VLPI frame, and the stride is 256 KiB.
        VLPIS OFFSET(1) NUMBITS(1) [],
        /// GICR_VPENDBASER.Dirty means something after Valid was set, too.
        Dirty OFFSET(2) NUMBITS(1) [],
        DirectLPI OFFSET(3) NUMBITS(1) [],
        Last OFFSET(4) NUMBITS(1) [],
        DPGS OFFSET(5) NUMBITS(1) [],
        /// The VLPI frame has its GICv4.1 layout.
        RVPEID OFFSET(7) NUMBITS(1) [],
        ProcessorNumber OFFSET(8) NUMBITS(16) [],
        CommonLPIAff OFFSET(24) NUMBITS(2) [],
        VSGI OFFSET(26) NUMBITS(1) [],
        PPInum OFFSET(27) NUMBITS(5) [],
        /// Aff3 63:56, Aff2, Aff1, Aff0 39:32.
        AffinityValue OFFSET(32) NUMBITS(32) []
    ],
    pub GICR_PROPBASER [
        IDbits OFFSET(0) NUMBITS(5) [],
        InnerCache OFFSET(7) NUMBITS(3) [],
        Shareability OFFSET(10) NUMBITS(2) [],
        /// PA 51:12.
        PhysicalAddress OFFSET(12) NUMBITS(40) [],
        OuterCache OFFSET(56) NUMBITS(3) []
    ],
    pub GICR_PENDBASER [
        InnerCache OFFSET(7) NUMBITS(3) [],
        Shareability OFFSET(10) NUMBITS(2) [],
        /// PA 51:16.
        PhysicalAddress OFFSET(16) NUMBITS(36) [],
        OuterCache OFFSET(56) NUMBITS(3) [],
        /// Pending table zero: written 1 when software cleared the table; reads as 0.
        PTZ OFFSET(62) NUMBITS(1) []
    ],
    /// INVLPIR and INVALLR; vPEID and V on GICv4.1 only.
    pub GICR_INVLPIR [
        INTID OFFSET(0) NUMBITS(32) [],
        VPEID OFFSET(32) NUMBITS(16) [],
        V OFFSET(63) NUMBITS(1) []
    ]
];

/// GICR_PROPBASER: an LPI configuration table.
pub type ConfigBase = Base<GICR_PROPBASER::Register>;

/// GICR_PENDBASER: an LPI pending table.
pub type PendingBase = Base<GICR_PENDBASER::Register>;
