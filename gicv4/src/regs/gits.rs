//! The ITS control and translation frames (IHI 0069H 12.18, 12.19).

use tock_registers::register_bitfields;

pub const CTLR: usize = 0x0000;
pub const IIDR: usize = 0x0004;
pub const TYPER: usize = 0x0008;
/// GICv4.1.
pub const MPIDR: usize = 0x0018;
pub const CBASER: usize = 0x0080;
pub const CWRITER: usize = 0x0088;
pub const CREADR: usize = 0x0090;
/// GITS_BASER0; GITS_BASERn is `8 * n` further on.
pub const BASER: usize = 0x0100;
pub const BASERS: usize = 8;
pub const PIDR2: usize = 0xffe8;
/// The translation frame, 64 KiB on: devices write their EventID here.
pub const TRANSLATER: usize = 0x1_0040;
/// GICv4.1: writing generates a vSGI.
pub const SGIR: usize = 0x2_0020;

register_bitfields! [u32,
    pub GITS_CTLR [
        Enabled OFFSET(0) NUMBITS(1) [],
        /// This ITS's bit in VMOVP's ITSList; writable only where GITS_TYPER.VMOVP is 0.
        ITS_Number OFFSET(4) NUMBITS(4) [],
        /// Read-only; the ITS has nothing in flight and may be reprogrammed.
        Quiescent OFFSET(31) NUMBITS(1) []
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
