// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The distributor (IHI 0069H 12.9).
#![expect(missing_docs, reason = "what tock-registers generates; names are the manual's")]

use crate::frame::{Distributor, ReadOnly, ReadWrite};
use tock_registers::register_bitfields;

registers! { Distributor;
    /// Control: groups, affinity routing, and RWP, which says that writes are on their way.
    CTLR = 0x0000: ReadWrite u32 (GICD_CTLR::Register);
    /// What there is: SPIs, LPIs, INTID bits.
    TYPER = 0x0004: ReadOnly u32 (GICD_TYPER::Register);
    /// Implementer and revision.
    IIDR = 0x0008: ReadOnly u32;
    /// GICv4.1: vPEID bits.
    TYPER2 = 0x000c: ReadOnly u32 (GICD_TYPER2::Register);
    /// Accesses that were refused.
    STATUSR = 0x0010: ReadWrite u32;
    /// Group: one bit for each INTID, 32 to a register, as in the banks up to ICACTIVER.
    IGROUPR = 0x0080: [32] ReadWrite u32;
    /// Written 1: enables.
    ISENABLER = 0x0100: [32] ReadWrite u32;
    /// Written 1: disables.
    ICENABLER = 0x0180: [32] ReadWrite u32;
    /// Written 1: makes pending.
    ISPENDR = 0x0200: [32] ReadWrite u32;
    /// Written 1: not pending any more.
    ICPENDR = 0x0280: [32] ReadWrite u32;
    /// Written 1: makes active.
    ISACTIVER = 0x0300: [32] ReadWrite u32;
    /// Written 1: deactivates.
    ICACTIVER = 0x0380: [32] ReadWrite u32;
    /// Priority: one byte for each INTID, here four at a time.
    IPRIORITYR = 0x0400: [256] ReadWrite u32;
    /// The same bytes one at a time, which these registers alone allow.
    IPRIORITYR_BYTES = 0x0400: [1020] ReadWrite u8;
    /// Trigger: two bits for each INTID, 16 to a register; bit 1 of each: edge-triggered.
    ICFGR = 0x0c00: [64] ReadWrite u32;
    /// Secure group: one bit for each INTID.
    IGRPMODR = 0x0d00: [32] ReadWrite u32;
    /// Extended SPIs, written 1: disables; one bit for each INTID from 4096 on.
    ICENABLER_E = 0x1400: [32] ReadWrite u32;
    /// Route: one doubleword for each INTID; those of SPIs begin at number 32.
    IROUTER = 0x6000: [1020] ReadWrite u64 (GICD_IROUTER::Register);
    /// Architecture revision.
    PIDR2 = 0xffe8: ReadOnly u32 (PIDR2::Register);
}

register_bitfields! [u32,
    /// GICD_CTLR with one Security state, or as Non-secure code sees it for the bits used here: bit
    /// 1 enables Non-secure or the only Group 1 in both views, bit 4 is its affinity routing in
    /// both (12.9.4).
    pub GICD_CTLR [
        EnableGrp0 OFFSET(0) NUMBITS(1) [],
        EnableGrp1 OFFSET(1) NUMBITS(1) [],
        ARE OFFSET(4) NUMBITS(1) [],
        DS OFFSET(6) NUMBITS(1) [],
        E1NWF OFFSET(7) NUMBITS(1) [],
        /// GICv4.1: SGIs of vPEs have no active state.
        NASSGIREQ OFFSET(8) NUMBITS(1) [],
        RWP OFFSET(31) NUMBITS(1) []
    ],
    pub GICD_TYPER [
        /// INTIDs up to 32 * (n + 1) - 1, at most 1019.
        ITLinesNumber OFFSET(0) NUMBITS(5) [],
        ESPI OFFSET(8) NUMBITS(1) [],
        NMI OFFSET(9) NUMBITS(1) [],
        SecurityExtn OFFSET(10) NUMBITS(1) [],
        MBIS OFFSET(16) NUMBITS(1) [],
        LPIS OFFSET(17) NUMBITS(1) [],
        /// Direct virtual LPI injection.
        DVIS OFFSET(18) NUMBITS(1) [],
        /// INTID bits minus one.
        IDbits OFFSET(19) NUMBITS(5) [],
        A3V OFFSET(24) NUMBITS(1) [],
        No1N OFFSET(25) NUMBITS(1) [],
        /// With ESPI: 32 * (n + 1) extended SPIs.
        ESPI_range OFFSET(27) NUMBITS(5) []
    ],
    /// GICv4.1; reads as zero before.
    pub GICD_TYPER2 [
        /// vPEID bits minus one, if VIL.
        VID OFFSET(0) NUMBITS(5) [],
        VIL OFFSET(7) NUMBITS(1) [],
        NASSGICAP OFFSET(8) NUMBITS(1) []
    ],
    pub PIDR2 [
        /// 3: GICv3, 4: GICv4.
        ArchRev OFFSET(4) NUMBITS(4) []
    ]
];

register_bitfields! [u64,
    pub GICD_IROUTER [
        Aff0 OFFSET(0) NUMBITS(8) [],
        Aff1 OFFSET(8) NUMBITS(8) [],
        Aff2 OFFSET(16) NUMBITS(8) [],
        IRM OFFSET(31) NUMBITS(1) [],
        Aff3 OFFSET(32) NUMBITS(8) []
    ]
];
