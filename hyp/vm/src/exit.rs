// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why a guest came to EL2: ESR_EL2 decoded.
//!
//! Follows DDI 0487 D24.2.40 (ESR_EL2). Everything is inlined into the trap handler, where the enum
//! disappears: a match on the result compiles to tests of ESR bits. A syndrome that this crate does
//! not act on is [`Exit::Other`].

/// An exception taken from EL1 or EL0 of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Hvc {
        immediate: u16,
    },
    Smc {
        immediate: u16,
    },
    SysReg(SysReg),
    DataAbort(DataAbort),
    /// FAR_EL2 and HPFAR_EL2 tell where.
    InstructionAbort,
    /// WFI, WFE, WFIT or WFET; `wait` for WFI, the one that may sleep for ever.
    Wfx {
        wait: bool,
    },
    /// FP, SIMD, SVE or SME use with a trap set.
    FpTrap,
    /// A coprocessor instruction of a program in AArch32, most likely MRC, MCR, MRRC or MCRR:
    /// [`crate::aarch32::access`].
    Coprocessor,
    /// Exception class that no trap of ours asks for: UNDEFINED to the guest.
    Other {
        class: u8,
    },
}

/// MSR, MRS or a system instruction that trapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SysReg(u32);

/// A stage-2 data abort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataAbort(u32);

/// What an exit was, for a report.
pub const fn name(esr: u64) -> &'static str {
    match Exit::decode(esr) {
        Exit::Hvc { .. } => "HVC",
        Exit::Smc { .. } => "SMC",
        Exit::SysReg(_) => "system register",
        Exit::DataAbort(_) => "data abort",
        Exit::InstructionAbort => "instruction abort",
        Exit::Wfx { .. } => "WFI or WFE",
        Exit::FpTrap => "FP or SIMD",
        Exit::Coprocessor => "coprocessor",
        Exit::Other { .. } => "exception",
    }
}

/// FAR_EL2 says where.
pub const fn is_abort(esr: u64) -> bool {
    is_data_abort(esr) || class_of(esr) == class::INSTRUCTION_ABORT
}

/// FAR_EL2 says where, and the guest loaded or stored there.
#[inline(always)]
pub const fn is_data_abort(esr: u64) -> bool {
    class_of(esr) == class::DATA_ABORT
}

/// ESR_EL2.EC.
#[inline(always)]
const fn class_of(esr: u64) -> u32 {
    esr as u32 >> 26
}

/// ESR_EL2.EC values.
pub mod class {
    pub const WFX: u32 = 0x01;
    pub const CP15: u32 = 0x03;
    pub const CP15_WIDE: u32 = 0x04;
    pub const CP14: u32 = 0x05;
    pub const CP14_MEMORY: u32 = 0x06;
    pub const FP: u32 = 0x07;
    pub const CP10: u32 = 0x08;
    pub const CP14_WIDE: u32 = 0x0c;
    pub const HVC: u32 = 0x16;
    pub const SMC: u32 = 0x17;
    pub const SYSREG: u32 = 0x18;
    pub const SVE: u32 = 0x19;
    pub const SME: u32 = 0x1d;
    pub const INSTRUCTION_ABORT: u32 = 0x20;
    pub const DATA_ABORT: u32 = 0x24;
}

impl Exit {
    #[inline(always)]
    pub const fn decode(esr: u64) -> Self {
        let esr = esr as u32;
        match esr >> 26 {
            class::DATA_ABORT => Self::DataAbort(DataAbort(esr)),
            class::SYSREG => Self::SysReg(SysReg(esr)),
            class::HVC => Self::Hvc { immediate: esr as u16 },
            class::SMC => Self::Smc { immediate: esr as u16 },
            class::INSTRUCTION_ABORT => Self::InstructionAbort,
            class::WFX => Self::Wfx { wait: esr & 3 == 0 },
            class::FP | class::SVE | class::SME => Self::FpTrap,
            class::CP15 | class::CP15_WIDE | class::CP14 | class::CP14_WIDE => Self::Coprocessor,
            class::CP14_MEMORY | class::CP10 => Self::Coprocessor,
            other => Self::Other { class: other as u8 },
        }
    }
}

impl SysReg {
    /// ISS bits that name the register: Op0 21:20, Op2 19:17, Op1 16:14, CRn 13:10, CRm 4:1.
    const NAME: u32 = 0x3f_fc1e;

    #[inline(always)]
    pub const fn new(iss: u32) -> Self {
        Self(iss)
    }

    /// The register, to compare with [`SysReg::encode`].
    #[inline(always)]
    pub const fn encoding(self) -> u32 {
        self.0 & Self::NAME
    }

    /// Encoding of `S<op0>_<op1>_C<crn>_C<crm>_<op2>`.
    pub const fn encode(op0: u32, op1: u32, crn: u32, crm: u32, op2: u32) -> u32 {
        op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | crm << 1
    }

    /// General register 0..=30, or 31 for the zero register.
    #[inline(always)]
    pub const fn rt(self) -> usize {
        (self.0 >> 5 & 31) as usize
    }

    /// The guest writes the register (MSR).
    #[inline(always)]
    pub const fn write(self) -> bool {
        self.0 & 1 == 0
    }
}

/// The guest writes ICC_SGI1R_EL1, told by one mask.
#[inline(always)]
pub const fn is_sgi(esr: u64) -> bool {
    const SGI1R: u32 = class::SYSREG << 26 | SysReg::encode(3, 0, 12, 11, 5);
    esr as u32 & (0x3f << 26 | SysReg::NAME | 1) == SGI1R
}

/// The commonest exit, told by one mask: a data abort that [`DataAbort::emulable`] accepts, of a
/// 32-bit load or store without sign extension. The guest's register is [`DataAbort::rt`]'s and
/// takes the value as it is, whether it is 32 or 64 bits wide: [`crate::mmio::quick_read`],
/// [`crate::mmio::quick_write`].
#[inline(always)]
pub const fn is_word(esr: u64) -> bool {
    // EC 31:26, ISV 24, SAS 23:22, SSE 21, FnV 10, CM 8, S1PTW 7, DFSC 5:2.
    const MASK: u32 =
        0x3f << 26 | 1 << 24 | 3 << 22 | 1 << 21 | 1 << 10 | 1 << 8 | 1 << 7 | 0xf << 2;
    const PLAIN: u32 = class::DATA_ABORT << 26 | 1 << 24 | 2 << 22 | 1 << 2;
    esr as u32 & MASK == PLAIN
}

impl DataAbort {
    #[inline(always)]
    pub const fn new(esr: u32) -> Self {
        Self(esr)
    }

    /// The syndrome describes one plain load or store of one register at an address that is not
    /// mapped: ISV, and neither a cache operation, nor a table walk of the guest's, nor an unknown
    /// address. Otherwise there is nothing to emulate.
    #[inline(always)]
    pub const fn emulable(self) -> bool {
        // ISV 24 set; FnV 10, CM 8, S1PTW 7 clear; DFSC 5:2 = translation fault (0b0001),
        // the only one for which HPFAR_EL2 is always valid.
        self.0 & (1 << 24 | 1 << 10 | 1 << 8 | 1 << 7 | 0b11_1100) == 1 << 24 | 0b00_0100
    }

    /// The guest writes memory (WnR).
    #[inline(always)]
    pub const fn write(self) -> bool {
        self.0 & 1 << 6 != 0
    }

    /// General register 0..=30, or 31 for the zero register (SRT).
    #[inline(always)]
    pub const fn rt(self) -> usize {
        (self.0 >> 16 & 31) as usize
    }

    /// Width of the access: 1, 2, 4 or 8 bytes (SAS).
    #[inline(always)]
    pub const fn bytes(self) -> u32 {
        1 << (self.0 >> 22 & 3)
    }

    /// The load extends the sign (SSE).
    #[inline(always)]
    pub const fn sign_extend(self) -> bool {
        self.0 & 1 << 21 != 0
    }

    /// The register is 64 bits wide (SF).
    #[inline(always)]
    pub const fn sixty_four(self) -> bool {
        self.0 & 1 << 15 != 0
    }

    /// What the guest's register becomes when the device answers `value`.
    #[inline(always)]
    pub const fn extend(self, value: u64) -> u64 {
        let unused = 64 - 8 * self.bytes();
        if !self.sign_extend() {
            return value << unused >> unused;
        }
        let wide = ((value << unused) as i64 >> unused) as u64;
        if self.sixty_four() { wide } else { wide as u32 as u64 }
    }
}

/// Faulting IPA of an abort: HPFAR_EL2.FIPA above FAR_EL2's page offset.
#[inline(always)]
pub const fn fault_ipa(hpfar: u64, far: u64) -> u64 {
    (hpfar & 0xfff_ffff_fff0) << 8 | far & 0xfff
}

/// IPA that an abort is about, with this ESR_EL2; None: HPFAR_EL2 does not tell (DDI 0487
/// D24.2.63), or it is no abort.
///
/// Of an abort on a walk of the guest's own tables it is the table's page.
pub const fn abort_ipa(esr: u64, hpfar: u64, far: u64) -> Option<u64> {
    const WALK: u64 = 1 << 7;
    if !is_abort(esr) {
        return None;
    }
    let page = fault_ipa(hpfar, 0);
    match esr >> 2 & 0xf {
        // Address size, translation, access flag; permission only of a walk.
        0..=3 if esr & WALK != 0 => Some(page),
        0..=2 => Some(page | far & 0xfff),
        _ => None,
    }
}

/// ESR_EL1 for a synchronous external abort given to the guest, in place of the abort EL2 took.
///
/// EC keeps data or instruction, and says whether it came from EL0 (`lower`) or EL1; DFSC 0x10, IL
/// as it was. An abort on a walk of the guest's tables looks the same: ESR_EL2 tells the level in
/// stage 2, not the guest's.
pub const fn external_abort(esr: u64, lower: bool) -> u64 {
    let instruction = esr >> 26 & 0x3f == class::INSTRUCTION_ABORT as u64;
    let class = (if instruction { 0x20 } else { 0x24 }) + (if lower { 0 } else { 1 });
    // WnR and CM are kept for data aborts, FnV for all.
    let data = if instruction { 0 } else { esr & (1 << 6 | 1 << 8) };
    class << 26 | esr & (1 << 25 | 1 << 10) | data | 0x10
}

/// ESR_EL1 for an UNDEFINED exception: EC 0, IL as it was.
pub const fn undefined(esr: u64) -> u64 {
    esr & 1 << 25
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exception_classes() {
        assert_eq!(Exit::decode(0x5a00_0001), Exit::Hvc { immediate: 1 });
        assert_eq!(Exit::decode(0x5e00_0000), Exit::Smc { immediate: 0 });
        assert_eq!(Exit::decode(0x0600_0000), Exit::Wfx { wait: true });
        assert_eq!(Exit::decode(0x0600_0001), Exit::Wfx { wait: false });
        assert_eq!(Exit::decode(0x8200_0007), Exit::InstructionAbort);
        assert_eq!(Exit::decode(0x1e00_0000), Exit::FpTrap);
        for class in [0x03, 0x04, 0x05, 0x06, 0x08, 0x0c] {
            assert_eq!(Exit::decode(class << 26), Exit::Coprocessor, "{class:#x}");
        }
        // Pointer authentication, ERET and the like: nothing that is served.
        for class in [0x00, 0x09, 0x0a, 0x0d, 0x0e, 0x14, 0x1a, 0x1c, 0x22, 0x2d, 0x3f] {
            assert_eq!(Exit::decode(class << 26), Exit::Other { class: class as u8 }, "{class:#x}");
        }
    }

    #[test]
    fn sgi1r_write_as_seen_under_qemu() {
        let Exit::SysReg(register) = Exit::decode(0x623a_3016) else { panic!() };
        assert_eq!(register.encoding(), SysReg::encode(3, 0, 12, 11, 5));
        assert_eq!(register.rt(), 0);
        assert!(register.write());
        assert!(is_sgi(0x623a_3016) && is_sgi(0x623a_33f6));
        // A read, ICC_SGI0R_EL1, and an HVC.
        assert!(!is_sgi(0x623a_3017) && !is_sgi(0x623e_3016) && !is_sgi(0x5a3a_3016));
    }

    #[test]
    fn data_abort_fields() {
        // ldrsh w3, [x1]: ISV, SAS 1, SSE, SRT 3, SF 0, translation fault level 3.
        let abort =
            DataAbort::new(0x24 << 26 | 1 << 25 | 1 << 24 | 1 << 22 | 1 << 21 | 3 << 16 | 7);
        assert!(abort.emulable() && !abort.write());
        assert_eq!((abort.bytes(), abort.rt()), (2, 3));
        assert_eq!(abort.extend(0x8000), 0xffff_8000);
        // Same into x3.
        let abort = DataAbort::new(1 << 24 | 1 << 22 | 1 << 21 | 1 << 15 | 7);
        assert_eq!(abort.extend(0x8000), 0xffff_ffff_ffff_8000);
        // ldrb never leaks what lies above.
        assert_eq!(DataAbort::new(1 << 24 | 7).extend(0x1234), 0x34);
        assert_eq!(DataAbort::new(1 << 24 | 3 << 22 | 1 << 15 | 7).extend(u64::MAX), u64::MAX);
    }

    #[test]
    fn what_cannot_be_emulated() {
        assert!(!DataAbort::new(7).emulable(), "no syndrome (ldp, writeback)");
        assert!(!DataAbort::new(1 << 24 | 1 << 7 | 7).emulable(), "guest's table walk");
        assert!(!DataAbort::new(1 << 24 | 1 << 8 | 7).emulable(), "cache maintenance");
        assert!(!DataAbort::new(1 << 24 | 0x10).emulable(), "external abort");
        assert!(!DataAbort::new(1 << 24 | 0x21).emulable(), "alignment");
        assert!(!DataAbort::new(1 << 24 | 0x0f).emulable(), "permission: HPFAR_EL2 may be stale");
        assert!(DataAbort::new(1 << 24 | 0x05).emulable(), "translation, level 1");
    }

    #[test]
    fn plain_words() {
        // ldr w0 and str w0 under QEMU; ldr x0, ldrsw x0, ldrb w0; an instruction abort.
        assert!(is_word(0x9380_0007) && is_word(0x9380_8046));
        for other in
            [0x93c0_8007u64, 0x93a0_8007, 0x9300_0007, 0x8380_0007, 0x9280_0007, 0x9380_000f]
        {
            assert!(!is_word(other), "{other:#x}");
        }
    }

    #[test]
    fn faulting_address() {
        assert_eq!(fault_ipa(0x8_0000, 0xffff_0000_1234_5008), 0x0800_0008);
    }

    #[test]
    fn what_an_abort_is_about() {
        let ipa = |esr| abort_ipa(esr, 0x8_0000, 0xffff_0000_1234_5008);
        // Translation, access flag, permission; the same on a walk.
        assert_eq!(ipa(0x9200_0007), Some(0x800_0008));
        assert_eq!(ipa(0x8200_0009), Some(0x800_0008));
        assert_eq!(ipa(0x9200_000f), None, "HPFAR_EL2 is UNKNOWN");
        assert_eq!(ipa(0x8200_0087), Some(0x800_0000));
        assert_eq!(ipa(0x9200_008f), Some(0x800_0000));
        assert_eq!(ipa(0x9200_0010), None, "an external abort");
        assert_eq!(ipa(0x5a00_0007), None, "an HVC");
    }

    #[test]
    fn exceptions_for_the_guest() {
        let write = 0x9300_0047;
        assert_eq!(external_abort(write, false), 0x25 << 26 | 1 << 25 | 1 << 6 | 0x10);
        assert_eq!(external_abort(write, true) >> 26, 0x24);
        assert_eq!(external_abort(0x8200_0007, false) >> 26, 0x21);
        assert_eq!(external_abort(0x8200_0085, true), 0x20 << 26 | 1 << 25 | 0x10, "on a walk");
        let cache = 0x9200_0147;
        assert_eq!(external_abort(cache, false) & 0xffff, 0x150, "cache maintenance stays that");
        assert_eq!(undefined(0x6232_0000), 1 << 25);
    }
}
