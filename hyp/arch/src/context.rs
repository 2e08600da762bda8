// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A vPE's registers while another vPE has its CPU.
//!
//! Only CPUs that several vPEs share need it. What is kept here is all that a guest can change by
//! itself:
//!
//! 1. general registers: they are in the CPU's trap frame and change places with it;
//! 2. system registers of EL1 and EL0, where the guest goes on, pointer authentication keys and
//!    DISR_EL1 if the CPU has them;
//! 3. q0 to q31, FPCR, FPSR: EL2 is built without floating point, so that they are still the
//!    guest's;
//! 4. the virtual CPU interface, list registers and all ([`super::gic::Interface`]).
//!
//! Breakpoints and watchpoints are [`super::debug`]'s, for those guests that have them. The virtual
//! timer and the PMU are [`super::timer`]'s and [`super::pmu`]'s, because they stop when the vPE
//! waits, too, not only when another one runs. Not kept, since no guest can change it: auxiliary
//! control, and SVE (HCR_EL2.TACR, CPTR_EL2.TZ trap them).

use super::cpu::has_deferred_errors;
use super::gic::Interface;
use super::guest;
use super::sysreg::{isb, read, write};
use crate::frame::{FRAME_BYTES, Frame};
use core::arch::global_asm;
use core::mem::offset_of;

/// Registers of one vPE.
#[repr(C, align(64))]
pub struct Context<const LIST: usize> {
    vectors: Vectors,
    general: Frame,
    system: [u64; SYSTEM],
    keys: [u64; KEYS],
    /// VDISR_EL2, which is the guest's DISR_EL1.
    deferred: u64,
    /// The virtual CPU interface, with `LIST` list registers.
    pub interface: Interface<LIST>,
}

#[repr(C, align(16))]
struct Vectors {
    fpcr: u64,
    fpsr: u64,
    q: [[u64; 2]; 32],
}

macro_rules! registers {
    ($count:ident, $save:ident, $load:ident: $($index:literal $name:ident,)*) => {
        const $count: usize = [$($index),*].len();

        #[inline]
        fn $save(values: &mut [u64; $count]) {
            $(values[$index] = read!($name);)*
        }

        #[inline]
        fn $load(values: &[u64; $count]) {
            $(write!($name, values[$index]);)*
        }
    };
}

registers! { SYSTEM, save_system, load_system:
    0 SCTLR_EL1,
    1 CPACR_EL1,
    2 TCR_EL1,
    3 TTBR0_EL1,
    4 TTBR1_EL1,
    5 MAIR_EL1,
    6 AMAIR_EL1,
    7 VBAR_EL1,
    8 CONTEXTIDR_EL1,
    9 TPIDR_EL0,
    10 TPIDRRO_EL0,
    11 TPIDR_EL1,
    12 SP_EL0,
    13 SP_EL1,
    14 ELR_EL1,
    15 SPSR_EL1,
    16 ESR_EL1,
    17 FAR_EL1,
    18 AFSR0_EL1,
    19 AFSR1_EL1,
    20 PAR_EL1,
    21 CSSELR_EL1,
    22 CNTKCTL_EL1,
    23 ELR_EL2,
    24 SPSR_EL2,
    25 MDSCR_EL1,
}

// APIA, APIB, APDA, APDB, APGA: low and high half of each (DDI 0487 D24, FEAT_PAuth).
registers! { KEYS, save_keys, load_keys:
    0 APIAKeyLo_EL1,
    1 APIAKeyHi_EL1,
    2 APIBKeyLo_EL1,
    3 APIBKeyHi_EL1,
    4 APDAKeyLo_EL1,
    5 APDAKeyHi_EL1,
    6 APDBKeyLo_EL1,
    7 APDBKeyHi_EL1,
    8 APGAKeyLo_EL1,
    9 APGAKeyHi_EL1,
}

const SCTLR: usize = 0;
const ELR: usize = 23;
const SPSR: usize = 24;
/// ELR_EL2, SPSR_EL2, SCTLR_EL1, VBAR_EL1, ELR_EL1, ESR_EL1, FAR_EL1.
const TOLD: [usize; 7] = [ELR, SPSR, SCTLR, 7, 14, 16, 17];

/// ID_AA64ISAR1_EL1.APA, API, GPA, GPI: some kind of pointer authentication is there.
fn has_keys() -> bool {
    read!(ID_AA64ISAR1_EL1) & 0xff00_0ff0 != 0
}

impl<const LIST: usize> Context<LIST> {
    /// Of a vPE that has not begun.
    pub const fn new() -> Self {
        Self {
            vectors: Vectors { fpcr: 0, fpsr: 0, q: [[0; 2]; 32] },
            general: Frame::new(),
            system: [0; SYSTEM],
            keys: [0; KEYS],
            deferred: 0,
            interface: Interface::new(),
        }
    }

    /// EL1 as after reset, about to run at `entry` with `x0`; the interface stays.
    pub fn start(&mut self, entry: u64, x0: u64) {
        self.system = [0; SYSTEM];
        self.system[SCTLR] = guest::SCTLR_EL1;
        self.system[ELR] = entry;
        self.system[SPSR] = guest::SPSR;
        self.deferred = 0;
        self.general.start(x0);
    }

    /// Where the guest goes on.
    pub fn elr(&self) -> u64 {
        self.system[ELR]
    }

    /// What is told of it, as [`guest::told`].
    pub fn told(&self) -> [u64; 7] {
        TOLD.map(|index| self.system.get(index).copied().unwrap_or(0))
    }

    /// Takes the registers of the vPE that this CPU holds.
    pub fn save(&mut self, frame: &Frame) {
        // SAFETY: stores q0 to q31, FPCR, FPSR and the frame in the first two fields of a
        // `Context`, and nothing else.
        unsafe { save_vectors((&raw mut *self).cast(), frame) };
        save_system(&mut self.system);
        if has_keys() {
            save_keys(&mut self.keys);
        }
        if has_deferred_errors() {
            self.deferred = read!(VDISR_EL2);
        }
        self.interface.save();
    }

    /// Makes them this CPU's. EL1 does not run before the caller's barrier.
    pub fn load(&self, frame: &mut Frame) {
        load_system(&self.system);
        if has_keys() {
            load_keys(&self.keys);
        }
        if has_deferred_errors() {
            write!(VDISR_EL2, self.deferred);
        }
        self.interface.load();
        // SAFETY: loads q0 to q31, FPCR and FPSR, which EL2's own code does not use, and writes the
        // frame.
        unsafe { load_vectors((&raw const *self).cast(), frame) };
        isb();
    }
}

unsafe extern "C" {
    fn save_vectors(to: *mut Vectors, frame: *const Frame);
    fn load_vectors(from: *const Vectors, frame: *mut Frame);
}

const _: () = assert!(offset_of!(Context<1>, vectors) == 0 && offset_of!(Vectors, q) == 16);
const _: () = assert!(offset_of!(Context<1>, general) == GENERAL && FRAME_BYTES == 256);
/// Where a context has the general registers.
const GENERAL: usize = 528;

global_asm!(
    r#"
    .arch_extension fp
    .arch_extension simd
    .macro  each_pair instruction
    \instruction q0, q1, [x0, #16]
    \instruction q2, q3, [x0, #48]
    \instruction q4, q5, [x0, #80]
    \instruction q6, q7, [x0, #112]
    \instruction q8, q9, [x0, #144]
    \instruction q10, q11, [x0, #176]
    \instruction q12, q13, [x0, #208]
    \instruction q14, q15, [x0, #240]
    \instruction q16, q17, [x0, #272]
    \instruction q18, q19, [x0, #304]
    \instruction q20, q21, [x0, #336]
    \instruction q22, q23, [x0, #368]
    \instruction q24, q25, [x0, #400]
    \instruction q26, q27, [x0, #432]
    \instruction q28, q29, [x0, #464]
    \instruction q30, q31, [x0, #496]
    .endm

    .section .ahead.context, "ax"
    .global save_vectors
save_vectors:
    each_pair stp
    mrs     x2, fpcr
    mrs     x3, fpsr
    stp     x2, x3, [x0]
    // The guest's vectors are safe now, and theirs carry the frame.
    ldp     q0, q1, [x1, #0]
    ldp     q2, q3, [x1, #32]
    ldp     q4, q5, [x1, #64]
    ldp     q6, q7, [x1, #96]
    ldp     q8, q9, [x1, #128]
    ldp     q10, q11, [x1, #160]
    ldp     q12, q13, [x1, #192]
    ldp     q14, q15, [x1, #224]
    stp     q0, q1, [x0, #{general} + 0]
    stp     q2, q3, [x0, #{general} + 32]
    stp     q4, q5, [x0, #{general} + 64]
    stp     q6, q7, [x0, #{general} + 96]
    stp     q8, q9, [x0, #{general} + 128]
    stp     q10, q11, [x0, #{general} + 160]
    stp     q12, q13, [x0, #{general} + 192]
    stp     q14, q15, [x0, #{general} + 224]
    ret

    .global load_vectors
load_vectors:
    ldp     q0, q1, [x0, #{general} + 0]
    ldp     q2, q3, [x0, #{general} + 32]
    ldp     q4, q5, [x0, #{general} + 64]
    ldp     q6, q7, [x0, #{general} + 96]
    ldp     q8, q9, [x0, #{general} + 128]
    ldp     q10, q11, [x0, #{general} + 160]
    ldp     q12, q13, [x0, #{general} + 192]
    ldp     q14, q15, [x0, #{general} + 224]
    stp     q0, q1, [x1, #0]
    stp     q2, q3, [x1, #32]
    stp     q4, q5, [x1, #64]
    stp     q6, q7, [x1, #96]
    stp     q8, q9, [x1, #128]
    stp     q10, q11, [x1, #160]
    stp     q12, q13, [x1, #192]
    stp     q14, q15, [x1, #224]
    each_pair ldp
    ldp     x2, x3, [x0]
    msr     fpcr, x2
    msr     fpsr, x3
    ret
    .arch_extension nosimd
    .arch_extension nofp
    "#,
    general = const GENERAL,
);
