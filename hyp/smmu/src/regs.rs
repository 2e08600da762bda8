// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Register offsets and fields of the Non-secure page 0 and page 1 (IHI 0070 6.1 to 6.3).

use tock_registers::register_bitfields;

pub const IDR0: usize = 0x00;
pub const IDR1: usize = 0x04;
pub const IDR2: usize = 0x08;
pub const IDR3: usize = 0x0c;
pub const IDR4: usize = 0x10;
pub const IDR5: usize = 0x14;
pub const IIDR: usize = 0x18;
pub const AIDR: usize = 0x1c;
pub const CR0: usize = 0x20;
pub const CR0ACK: usize = 0x24;
pub const CR1: usize = 0x28;
pub const CR2: usize = 0x2c;
pub const GBPA: usize = 0x44;
pub const IRQ_CTRL: usize = 0x50;
pub const IRQ_CTRLACK: usize = 0x54;
pub const GERROR: usize = 0x60;
pub const GERRORN: usize = 0x64;
/// Where a global error's MSI goes; 0: the wire (IDR0.MSI only).
pub const GERROR_IRQ_CFG0: usize = 0x68;
pub const STRTAB_BASE: usize = 0x80;
pub const STRTAB_BASE_CFG: usize = 0x88;
pub const CMDQ_BASE: usize = 0x90;
pub const CMDQ_PROD: usize = 0x98;
pub const CMDQ_CONS: usize = 0x9c;
pub const EVTQ_BASE: usize = 0xa0;
/// Where the event queue's MSI goes; 0: the wire (IDR0.MSI only).
pub const EVTQ_IRQ_CFG0: usize = 0xb0;
/// Page 1.
pub const EVTQ_PROD: usize = 0x1_00a8;
/// Page 1.
pub const EVTQ_CONS: usize = 0x1_00ac;
/// Bytes of the two pages that a driver needs.
pub const FRAME_BYTES: usize = 0x2_0000;

/// Name of a register that a driver writes.
pub const fn name(offset: usize) -> Option<&'static str> {
    Some(match offset {
        CR0 => "SMMU_CR0",
        CR1 => "SMMU_CR1",
        CR2 => "SMMU_CR2",
        GBPA => "SMMU_GBPA",
        IRQ_CTRL => "SMMU_IRQ_CTRL",
        GERRORN => "SMMU_GERRORN",
        GERROR_IRQ_CFG0 => "SMMU_GERROR_IRQ_CFG0",
        STRTAB_BASE => "SMMU_STRTAB_BASE",
        STRTAB_BASE_CFG => "SMMU_STRTAB_BASE_CFG",
        CMDQ_BASE => "SMMU_CMDQ_BASE",
        CMDQ_PROD => "SMMU_CMDQ_PROD",
        CMDQ_CONS => "SMMU_CMDQ_CONS",
        EVTQ_BASE => "SMMU_EVTQ_BASE",
        EVTQ_IRQ_CFG0 => "SMMU_EVTQ_IRQ_CFG0",
        EVTQ_PROD => "SMMU_EVTQ_PROD",
        EVTQ_CONS => "SMMU_EVTQ_CONS",
        _ => return None,
    })
}

register_bitfields! [u32,
    /// 6.3, SMMU_IDR0.
    pub SMMU_IDR0 [
        /// Stage 2.
        S2P OFFSET(0) NUMBITS(1) [],
        /// Stage 1.
        S1P OFFSET(1) NUMBITS(1) [],
        /// Translation table formats: bit 1 is AArch64.
        TTF OFFSET(2) NUMBITS(2) [],
        /// Its own accesses are coherent with the CPUs' caches.
        COHACC OFFSET(4) NUMBITS(1) [],
        /// Takes part in broadcast TLB maintenance of CPUs.
        BTM OFFSET(5) NUMBITS(1) [],
        HTTU OFFSET(6) NUMBITS(2) [],
        HYP OFFSET(9) NUMBITS(1) [],
        ATS OFFSET(10) NUMBITS(1) [],
        MSI OFFSET(13) NUMBITS(1) [],
        PRI OFFSET(16) NUMBITS(1) [],
        /// 16-bit VMIDs; 8 bits otherwise.
        VMID16 OFFSET(18) NUMBITS(1) [],
        /// 0b00 both, 0b10 little, 0b11 big.
        TTENDIAN OFFSET(21) NUMBITS(2) [],
        /// 0b00 stalls and terminates, 0b01 terminates, 0b10 always stalls.
        STALL_MODEL OFFSET(24) NUMBITS(2) [],
        TERM_MODEL OFFSET(26) NUMBITS(1) [],
        /// 0b01: two-level stream tables as well as linear ones.
        ST_LEVEL OFFSET(27) NUMBITS(2) []
    ],
    /// 6.3, SMMU_IDR1.
    pub SMMU_IDR1 [
        SIDSIZE OFFSET(0) NUMBITS(6) [],
        SSIDSIZE OFFSET(6) NUMBITS(5) [],
        PRIQS OFFSET(11) NUMBITS(5) [],
        EVTQS OFFSET(16) NUMBITS(5) [],
        CMDQS OFFSET(21) NUMBITS(5) [],
        /// Queue bases are fixed by hardware.
        QUEUES_PRESET OFFSET(29) NUMBITS(1) [],
        /// The stream table base is fixed by hardware.
        TABLES_PRESET OFFSET(30) NUMBITS(1) []
    ],
    /// 6.3, SMMU_IDR5.
    pub SMMU_IDR5 [
        /// Bits of an output address: 32, 36, 40, 42, 44, 48, 52.
        OAS OFFSET(0) NUMBITS(3) [],
        GRAN4K OFFSET(4) NUMBITS(1) [],
        GRAN16K OFFSET(5) NUMBITS(1) [],
        GRAN64K OFFSET(6) NUMBITS(1) [],
        VAX OFFSET(10) NUMBITS(2) [],
        STALL_MAX OFFSET(16) NUMBITS(16) []
    ],
    /// 6.3, SMMU_AIDR.
    pub SMMU_AIDR [
        ArchMinorRev OFFSET(0) NUMBITS(4) [],
        ArchMajorRev OFFSET(4) NUMBITS(4) []
    ],
    /// 6.3, SMMU_CR0 and SMMU_CR0ACK.
    pub SMMU_CR0 [
        SMMUEN OFFSET(0) NUMBITS(1) [],
        PRIQEN OFFSET(1) NUMBITS(1) [],
        EVTQEN OFFSET(2) NUMBITS(1) [],
        CMDQEN OFFSET(3) NUMBITS(1) [],
        ATSCHK OFFSET(4) NUMBITS(1) [],
        VMW OFFSET(6) NUMBITS(3) []
    ],
    /// 6.3, SMMU_CR1: how the SMMU reads its tables and queues.
    pub SMMU_CR1 [
        QUEUE_IC OFFSET(0) NUMBITS(2) [],
        QUEUE_OC OFFSET(2) NUMBITS(2) [],
        QUEUE_SH OFFSET(4) NUMBITS(2) [],
        TABLE_IC OFFSET(6) NUMBITS(2) [],
        TABLE_OC OFFSET(8) NUMBITS(2) [],
        TABLE_SH OFFSET(10) NUMBITS(2) []
    ],
    /// 6.3, SMMU_CR2.
    pub SMMU_CR2 [
        E2H OFFSET(0) NUMBITS(1) [],
        /// Record C_BAD_STREAMID.
        RECINVSID OFFSET(1) NUMBITS(1) [],
        /// Leave CPUs' broadcast TLB maintenance out.
        PTM OFFSET(2) NUMBITS(1) []
    ],
    /// 6.3, SMMU_GBPA: what happens to transactions while SMMUEN = 0.
    pub SMMU_GBPA [
        ABORT OFFSET(20) NUMBITS(1) [],
        /// Set to change the register; the SMMU clears it when the change has taken effect.
        Update OFFSET(31) NUMBITS(1) []
    ],
    /// 6.3, SMMU_IRQ_CTRL and SMMU_IRQ_CTRLACK.
    pub SMMU_IRQ_CTRL [
        GERROR_IRQEN OFFSET(0) NUMBITS(1) [],
        PRIQ_IRQEN OFFSET(1) NUMBITS(1) [],
        EVENTQ_IRQEN OFFSET(2) NUMBITS(1) []
    ],
    /// 6.3, SMMU_GERROR and SMMU_GERRORN: an error is active where the two differ.
    pub SMMU_GERROR [
        CMDQ_ERR OFFSET(0) NUMBITS(1) [],
        EVENTQ_ABT_ERR OFFSET(2) NUMBITS(1) [],
        PRIQ_ABT_ERR OFFSET(3) NUMBITS(1) [],
        MSI_CMDQ_ABT_ERR OFFSET(4) NUMBITS(1) [],
        MSI_EVENTQ_ABT_ERR OFFSET(5) NUMBITS(1) [],
        MSI_PRIQ_ABT_ERR OFFSET(6) NUMBITS(1) [],
        MSI_GERROR_ABT_ERR OFFSET(7) NUMBITS(1) [],
        SFM_ERR OFFSET(8) NUMBITS(1) []
    ],
    /// 6.3, SMMU_STRTAB_BASE_CFG.
    pub SMMU_STRTAB_BASE_CFG [
        /// StreamID bits that the table covers.
        LOG2SIZE OFFSET(0) NUMBITS(6) [],
        /// StreamID bits of a leaf: 6, 8 or 10.
        SPLIT OFFSET(6) NUMBITS(5) [],
        /// 0b00 linear, 0b01 two levels.
        FMT OFFSET(16) NUMBITS(2) []
    ],
    /// 6.3, SMMU_CMDQ_CONS.
    pub SMMU_CMDQ_CONS [
        RD OFFSET(0) NUMBITS(20) [],
        ERR OFFSET(24) NUMBITS(7) []
    ]
];

/// SMMU_EVTQ_PROD.OVFLG and SMMU_EVTQ_CONS.OVACKFLG: records were lost where the two differ.
pub const OVERFLOW: u32 = 1 << 31;
/// SMMU_STRTAB_BASE.RA, SMMU_CMDQ_BASE.RA, SMMU_EVTQ_BASE.WA: the allocation hint.
pub const ALLOCATE: u64 = 1 << 62;
