// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The ITS: its control frame, and what lies behind it (IHI 0069H 12.18, 12.19).
#![expect(missing_docs, reason = "what tock-registers generates; names are the manual's")]

use crate::frame::{Its, NamesMemory, ReadOnly, ReadWrite};
use crate::given::Base;
use tock_registers::register_bitfields;

registers! { Its;
    /// Control: whether it translates, and whether it rests.
    CTLR = 0x0000: ReadWrite u32 (GITS_CTLR::Register);
    /// Implementer and revision.
    IIDR = 0x0004: ReadOnly u32;
    /// Widths of IDs, and what it has.
    TYPER = 0x0008: ReadOnly u64 (GITS_TYPER::Register);
    /// GICv4.1: with which redistributors it shares its vPE table.
    MPIDR = 0x0018: ReadOnly u32;
    /// The command queue.
    CBASER = 0x0080: NamesMemory u64 (GITS_CBASER::Register);
    /// Where the next command goes.
    CWRITER = 0x0088: ReadWrite u64 (GITS_CWRITER::Register);
    /// Which command it reads next.
    CREADR = 0x0090: ReadOnly u64 (GITS_CREADR::Register);
    /// Tables: each register has a type, and any may have any.
    BASER = 0x0100: [8] NamesMemory u64 (GITS_BASER::Register);
    /// Architecture revision.
    PIDR2 = 0xffe8: ReadOnly u32 (GITS_PIDR2::Register);
}

/// GITS_TRANSLATER from GITS_base: devices write their EventID there.
pub const TRANSLATER: usize = 0x1_0040;

/// The virtual SGI frame of GICv4.1.
pub mod sgi {
    use crate::frame::{ItsSgis, WriteOnly};

    /// The frame's base from GITS_base.
    pub const FROM_GITS_BASE: usize = 0x2_0000;

    registers! { ItsSgis;
        /// Writing generates a virtual SGI.
        SGIR = 0x0020: WriteOnly u64 (super::GITS_SGIR::Register);
    }
}

register_bitfields! [u32,
    pub GITS_CTLR [
        Enabled OFFSET(0) NUMBITS(1) [],
        /// This ITS's bit in VMOVP's ITSList; writable only where GITS_TYPER.VMOVP is 0.
        ITS_Number OFFSET(4) NUMBITS(4) [],
        /// Read-only; the ITS has nothing in flight and may be reprogrammed.
        Quiescent OFFSET(31) NUMBITS(1) []
    ],
    pub GITS_PIDR2 [
        /// 3: GICv3, 4: GICv4.
        ArchRev OFFSET(4) NUMBITS(4) []
    ]
];

register_bitfields! [u64,
    pub GITS_TYPER [
        Physical OFFSET(0) NUMBITS(1) [],
        /// Virtual LPIs (GICv4).
        Virtual OFFSET(1) NUMBITS(1) [],
        CCT OFFSET(2) NUMBITS(1) [],
        /// Bytes of one interrupt translation entry minus one.
        ITTEntrySize OFFSET(4) NUMBITS(4) [],
        /// EventID bits minus one.
        IDbits OFFSET(8) NUMBITS(5) [],
        /// DeviceID bits minus one.
        Devbits OFFSET(13) NUMBITS(5) [],
        SEIS OFFSET(18) NUMBITS(1) [],
        /// Commands name redistributors by address (1) or processor number (0).
        PTA OFFSET(19) NUMBITS(1) [],
        /// Collections held in the ITS itself.
        HCC OFFSET(24) NUMBITS(8) [],
        /// ICID bits minus one, if CIL; 16 bits otherwise.
        CIDbits OFFSET(32) NUMBITS(4) [],
        CIL OFFSET(36) NUMBITS(1) [],
        /// One VMOVP to any ITS is enough.
        VMOVP OFFSET(37) NUMBITS(1) [],
        MPAM OFFSET(38) NUMBITS(1) [],
        VSGI OFFSET(39) NUMBITS(1) [],
        /// VMAPP in its GICv4.1 form.
        VMAPP OFFSET(40) NUMBITS(1) [],
        SVPET OFFSET(41) NUMBITS(2) [],
        NID OFFSET(43) NUMBITS(1) [],
        UMSI OFFSET(44) NUMBITS(1) [],
        UMSIIRQ OFFSET(45) NUMBITS(1) [],
        INV OFFSET(46) NUMBITS(1) []
    ],
    pub GITS_CBASER [
        /// 4 KiB pages minus one.
        Size OFFSET(0) NUMBITS(8) [],
        Shareability OFFSET(10) NUMBITS(2) [],
        PhysicalAddress OFFSET(12) NUMBITS(40) [],
        OuterCache OFFSET(53) NUMBITS(3) [],
        InnerCache OFFSET(59) NUMBITS(3) [],
        Valid OFFSET(63) NUMBITS(1) []
    ],
    pub GITS_CWRITER [
        Retry OFFSET(0) NUMBITS(1) [],
        /// Byte offset 19:5 of the next command to be written.
        Offset OFFSET(5) NUMBITS(15) []
    ],
    pub GITS_CREADR [
        Stalled OFFSET(0) NUMBITS(1) [],
        Offset OFFSET(5) NUMBITS(15) []
    ],
    pub GITS_BASER [
        /// Pages minus one.
        Size OFFSET(0) NUMBITS(8) [],
        PageSize OFFSET(8) NUMBITS(2) [
            Size4KiB = 0,
            Size16KiB = 1,
            Size64KiB = 2
        ],
        Shareability OFFSET(10) NUMBITS(2) [],
        /// PA 47:12; with 64 KiB pages bits 15:12 hold PA 51:48.
        PhysicalAddress OFFSET(12) NUMBITS(36) [],
        /// Bytes minus one; read-only.
        EntrySize OFFSET(48) NUMBITS(5) [],
        OuterCache OFFSET(53) NUMBITS(3) [],
        /// Read-only.
        Type OFFSET(56) NUMBITS(3) [
            None = 0,
            Devices = 1,
            Vpes = 2,
            Collections = 4
        ],
        InnerCache OFFSET(59) NUMBITS(3) [],
        Indirect OFFSET(62) NUMBITS(1) [],
        Valid OFFSET(63) NUMBITS(1) []
    ],
    pub GITS_SGIR [
        VINTID OFFSET(0) NUMBITS(4) [],
        VPEID OFFSET(32) NUMBITS(16) []
    ]
];

/// GITS_CBASER: a command queue.
pub type QueueBase = Base<GITS_CBASER::Register>;
