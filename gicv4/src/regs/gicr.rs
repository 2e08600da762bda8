//! A redistributor's RD and SGI frames (IHI 0069H 12.11).
//!
//! All offsets count from RD_base: the SGI frame is 64 KiB on, the VLPI frame ([`super::vlpi`]) 128 KiB.

use tock_registers::register_bitfields;

pub const CTLR: usize = 0x0000;
pub const IIDR: usize = 0x0004;
pub const TYPER: usize = 0x0008;
pub const STATUSR: usize = 0x0010;
pub const WAKER: usize = 0x0014;
pub const SETLPIR: usize = 0x0040;
pub const CLRLPIR: usize = 0x0048;
pub const PROPBASER: usize = 0x0070;
pub const PENDBASER: usize = 0x0078;
pub const INVLPIR: usize = 0x00a0;
pub const INVALLR: usize = 0x00b0;
pub const SYNCR: usize = 0x00c0;
pub const PIDR2: usize = 0xffe8;

/// SGI_base from RD_base.
pub const SGI_FRAME: usize = 0x1_0000;
pub const IGROUPR0: usize = SGI_FRAME + 0x0080;
pub const ISENABLER0: usize = SGI_FRAME + 0x0100;
pub const ICENABLER0: usize = SGI_FRAME + 0x0180;
pub const ISPENDR0: usize = SGI_FRAME + 0x0200;
pub const ICPENDR0: usize = SGI_FRAME + 0x0280;
pub const ISACTIVER0: usize = SGI_FRAME + 0x0300;
pub const ICACTIVER0: usize = SGI_FRAME + 0x0380;
/// One byte for each of INTIDs 0..32.
pub const IPRIORITYR: usize = SGI_FRAME + 0x0400;
/// ICFGR0 (SGIs, read-only) and ICFGR1 (PPIs).
pub const ICFGR0: usize = SGI_FRAME + 0x0c00;
pub const ICFGR1: usize = SGI_FRAME + 0x0c04;
pub const IGRPMODR0: usize = SGI_FRAME + 0x0d00;

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
