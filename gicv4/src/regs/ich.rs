// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Hypervisor CPU-interface registers (IHI 0069H 12.4): values only, the registers are system
//! registers of the CPU.
#![expect(missing_docs, reason = "what tock-registers generates; names are the manual's")]

use tock_registers::register_bitfields;

register_bitfields! [u64,
    /// `ICH_LR<n>_EL2`.
    pub ICH_LR [
        VINTID OFFSET(0) NUMBITS(32) [],
        /// With HW: the physical INTID to deactivate.
        PINTID OFFSET(32) NUMBITS(13) [],
        /// Without HW: raise a maintenance interrupt when it ends. Bit 9 of the pINTID field.
        EOI OFFSET(41) NUMBITS(1) [],
        Priority OFFSET(48) NUMBITS(8) [],
        NMI OFFSET(59) NUMBITS(1) [],
        Group OFFSET(60) NUMBITS(1) [],
        HW OFFSET(61) NUMBITS(1) [],
        State OFFSET(62) NUMBITS(2) [
            Inactive = 0,
            Pending = 1,
            Active = 2,
            PendingActive = 3
        ]
    ],
    pub ICH_VTR [
        /// List registers minus one.
        ListRegs OFFSET(0) NUMBITS(5) [],
        DVIM OFFSET(18) NUMBITS(1) [],
        TDS OFFSET(19) NUMBITS(1) [],
        /// No direct injection of virtual interrupts.
        NV4 OFFSET(20) NUMBITS(1) [],
        A3V OFFSET(21) NUMBITS(1) [],
        SEIS OFFSET(22) NUMBITS(1) [],
        IDbits OFFSET(23) NUMBITS(3) [],
        PREbits OFFSET(26) NUMBITS(3) [],
        PRIbits OFFSET(29) NUMBITS(3) []
    ],
    pub ICH_HCR [
        En OFFSET(0) NUMBITS(1) [],
        UIE OFFSET(1) NUMBITS(1) [],
        LRENPIE OFFSET(2) NUMBITS(1) [],
        NPIE OFFSET(3) NUMBITS(1) [],
        VGrp0EIE OFFSET(4) NUMBITS(1) [],
        VGrp0DIE OFFSET(5) NUMBITS(1) [],
        VGrp1EIE OFFSET(6) NUMBITS(1) [],
        VGrp1DIE OFFSET(7) NUMBITS(1) [],
        /// GICv4.1: ends of virtual SGIs do not add to EOIcount.
        VSGIEOICount OFFSET(8) NUMBITS(1) [],
        TC OFFSET(10) NUMBITS(1) [],
        TALL0 OFFSET(11) NUMBITS(1) [],
        TALL1 OFFSET(12) NUMBITS(1) [],
        TSEI OFFSET(13) NUMBITS(1) [],
        TDIR OFFSET(14) NUMBITS(1) [],
        DVIM OFFSET(15) NUMBITS(1) [],
        EOIcount OFFSET(27) NUMBITS(5) []
    ],
    pub ICH_VMCR [
        VENG0 OFFSET(0) NUMBITS(1) [],
        VENG1 OFFSET(1) NUMBITS(1) [],
        VAckCtl OFFSET(2) NUMBITS(1) [],
        VFIQEn OFFSET(3) NUMBITS(1) [],
        VCBPR OFFSET(4) NUMBITS(1) [],
        VEOIM OFFSET(9) NUMBITS(1) [],
        VBPR1 OFFSET(18) NUMBITS(3) [],
        VBPR0 OFFSET(21) NUMBITS(3) [],
        VPMR OFFSET(24) NUMBITS(8) []
    ]
];
