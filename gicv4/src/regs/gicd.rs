//! The distributor's frame (IHI 0069H 12.9).

use tock_registers::register_bitfields;

pub const CTLR: usize = 0x0000;
pub const TYPER: usize = 0x0004;
pub const IIDR: usize = 0x0008;
pub const TYPER2: usize = 0x000c;
pub const STATUSR: usize = 0x0010;
/// One bit for each INTID, 32 to a register.
pub const IGROUPR: usize = 0x0080;
pub const ISENABLER: usize = 0x0100;
pub const ICENABLER: usize = 0x0180;
pub const ISPENDR: usize = 0x0200;
pub const ICPENDR: usize = 0x0280;
pub const ISACTIVER: usize = 0x0300;
pub const ICACTIVER: usize = 0x0380;
/// One byte for each INTID.
pub const IPRIORITYR: usize = 0x0400;
/// Two bits for each INTID, 16 to a register; bit 1 of each: edge-triggered.
pub const ICFGR: usize = 0x0c00;
pub const IGRPMODR: usize = 0x0d00;
/// Extended SPIs: one bit for each INTID from 4096 on.
pub const ICENABLER_E: usize = 0x1400;
/// One doubleword for each INTID; those of SPIs begin at 0x6100.
pub const IROUTER: usize = 0x6000;
pub const PIDR2: usize = 0xffe8;

register_bitfields! [u32,
    /// GICD_CTLR with one Security state, or as Non-secure code sees it for the bits used here: bit 1 enables
    /// Non-secure or the only Group 1 in both views, bit 4 is its affinity routing in both (12.9.4).
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
