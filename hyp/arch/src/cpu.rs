// SPDX-License-Identifier: Apache-2.0 OR MIT
//! EL2's registers on one CPU: what is trapped, and that nothing is inherited.
//!
//! Firmware, boot loaders and reset states leave different values behind (U-Boot CPTR 0x33ff, QEMU
//! MDCR 6, ...), so every register that EL2 owns is written once, on every CPU, before its first
//! guest. References are to DDI 0487 D24.
//!
//! A guest keeps: FP and SIMD, pointer authentication, the EL1 timers and the physical counter, its
//! own caches by address. SVE, PMU and debug registers it keeps if the plan gives them to it
//! ([`grant`], [`permit`]). It loses, and meets as UNDEFINED: SME, trace registers, RAS error
//! records, LORegions, auxiliary and implementation defined registers, activity monitors. Its
//! feature registers are read through EL2, which hides what it lost.

use super::debug;
use super::sysreg::{isb, read, write};
use super::timer;
use crate::boot::CpuBoot;
use crate::system::System;
use aarch64_cpu::registers::HCR_EL2;
use plan::Features;

/// HCR_EL2 while a guest runs alone on its CPU: WFI and WFE are its own. Maintenance by set and way
/// traps (TSW; SWIO, should it ever not); a guest's tables in device memory fault (PTW); all
/// interrupts come to EL2 (FMO, IMO, AMO); the rest traps what the module's introduction says, but
/// not pointer authentication (APK, API).
pub const HCR: u64 = HCR_EL2::VM::SET.value
    | HCR_EL2::SWIO::SET.value
    | HCR_EL2::PTW::SET.value
    | HCR_EL2::FMO::SET.value
    | HCR_EL2::IMO::SET.value
    | HCR_EL2::AMO::SET.value
    | HCR_EL2::TID3::SET.value
    | HCR_EL2::TSC::SET.value
    | TSW
    | HCR_EL2::TIDCP::SET.value
    | HCR_EL2::TACR::SET.value
    | HCR_EL2::RW::SET.value
    | HCR_EL2::TLOR::SET.value
    | HCR_EL2::TERR::SET.value
    | HCR_EL2::APK::SET.value
    | HCR_EL2::API::SET.value;

/// HCR_EL2.TSW.
const TSW: u64 = 1 << 22;

/// HSTR_EL2.T15: implementation defined CP15 registers, which HCR_EL2.TIDCP leaves to AArch32
/// programs.
const HSTR: u64 = 1 << 15;

/// HCR_EL2 before a guest is there: interrupts are EL2's, EL1 is AArch64.
pub const HCR_BOOT: u64 = HCR_EL2::RW::SET.value
    | HCR_EL2::TSC::SET.value
    | HCR_EL2::FMO::SET.value
    | HCR_EL2::IMO::SET.value
    | HCR_EL2::AMO::SET.value;

/// HCR_EL2.TWI: WFI of a vPE that shares its CPU, so that another one may run.
pub const TWI: u64 = 1 << 13;

/// CPTR_EL2 (E2H = 0): RES1 bits, which include TZ and TSM, and TTA, TAM. FP is the guest's.
const CPTR: u64 = 0x33ff | 1 << 20 | 1 << 30;

/// MDCR_EL2 but for HPMN: TPMCR, TPM, TDA, TDOSA, TDRA, TPMS, HPMD, TTRF. Debug exceptions of a
/// guest stay its own.
const MDCR: u64 = 1 << 5 | 1 << 6 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 14 | 1 << 17 | 1 << 19;

/// MDCR_EL2: TPMCR, TPM.
const MDCR_PMU: u64 = 1 << 5 | 1 << 6;
/// MDCR_EL2.TDA.
const MDCR_DEBUG: u64 = 1 << 9;
/// CPTR_EL2.TZ.
const CPTR_SVE: u64 = 1 << 8;

/// Gives the guest of this CPU, which is alone here, what the plan has for it. Counters and vectors
/// begin as after reset.
pub fn grant(features: Features) {
    write!(CNTHCTL_EL2, timer::COUNTER_AND_TIMER);
    if features.has(Features::DEBUG) {
        write!(MDCR_EL2, read!(MDCR_EL2) & !MDCR_DEBUG);
    }
    if features.has(Features::PMU) {
        write!(MDCR_EL2, read!(MDCR_EL2) & !MDCR_PMU);
        reset_pmu();
    }
    if features.has(Features::SVE) {
        write!(CPTR_EL2, read!(CPTR_EL2) & !CPTR_SVE);
        isb();
        // ZCR_EL2.LEN: as long as the CPU's vectors are.
        write!(ZCR_EL2, 0xf);
    }
    isb();
}

/// The same on a CPU that vPEs share, where PMU and debug registers are kept for each that has
/// them: only the traps.
pub fn permit(features: Features) {
    let mut traps = MDCR_PMU | MDCR_DEBUG;
    if features.has(Features::DEBUG) {
        traps &= !MDCR_DEBUG;
    }
    if features.has(Features::PMU) {
        traps &= !MDCR_PMU;
    }
    write!(MDCR_EL2, read!(MDCR_EL2) & !(MDCR_PMU | MDCR_DEBUG) | traps);
}

/// Writes every register of EL2 that does not belong to one VM or to the interrupt controller.
pub fn initialise<S: System>(_: &CpuBoot<S>) {
    // The number of event counters that EL1 may have is all of them; fewer would be another trap to
    // explain.
    let pmu = pmu_version();
    let counters = if pmu != 0 { read!(PMCR_EL0) >> 11 & 0x1f } else { 0 };
    if pmu != 0 {
        reset_pmu();
    }
    write!(CPTR_EL2, CPTR);
    // FEAT_PMUv3p5: HCCD, so that EL2's cycles are not a guest's.
    let cycles = if pmu >= 6 { 1 << 23 } else { 0 };
    write!(MDCR_EL2, MDCR | counters | cycles);
    write!(HSTR_EL2, HSTR);
    write!(HACR_EL2, 0);
    write!(ACTLR_EL2, 0);
    write!(CNTHCTL_EL2, timer::COUNTER);
    write!(CNTVOFF_EL2, 0);
    write!(CNTP_CTL_EL0, 0);
    write!(CNTHP_CTL_EL2, 0);
    debug::disarm();
    write!(VPIDR_EL2, read!(MIDR_EL1));
    initialise_extensions(S::PLAN.board.mpam);
    isb();
}

/// ID_AA64DFR0_EL1.PMUVer; 0: there are no performance monitors, or not the architecture's.
fn pmu_version() -> u64 {
    match read!(ID_AA64DFR0_EL1) >> 8 & 0xf {
        0xf => 0,
        version => version,
    }
}

/// Nothing counts and nothing interrupts.
fn reset_pmu() {
    write!(PMCR_EL0, 0);
    write!(PMCNTENCLR_EL0, u64::from(u32::MAX));
    write!(PMINTENCLR_EL1, u64::from(u32::MAX));
    write!(PMOVSCLR_EL0, u64::from(u32::MAX));
    write!(PMUSERENR_EL0, 0);
}

/// Registers that only some CPUs have: nothing that a reset or firmware left behind stays.
///
/// TRFCR_EL2 is left as it is: E2TRE is 0 after reset, and an access may end in EL3
/// (MDCR_EL3.TTRF). So may one of MPAM2_EL2 (MPAM3_EL3.TRAPLOWER is 1 after reset), which is
/// written if the board says that firmware allows it.
fn initialise_extensions(mpam: bool) {
    let has = |register: u64, lowest: u32| register >> lowest & 0xf != 0;
    let (processor, debug) = (read!(ID_AA64PFR0_EL1), read!(ID_AA64DFR0_EL1));
    let (memory, fine_traps) = (read!(ID_AA64MMFR1_EL1), read!(ID_AA64MMFR0_EL1) >> 56 & 0xf);
    let activity = has(processor, 44);
    if fine_traps != 0 {
        initialise_fine_traps(activity, fine_traps >= 2);
    }
    if has(memory, 40) {
        // HCRX_EL2: MSCEn, since a guest's feature registers show FEAT_MOPS.
        let copies = has(read!(ID_AA64ISAR2_EL1), 16); // MOPS
        write!(HCRX_EL2, u64::from(copies) << 11);
    }
    if has(memory, 8) {
        write!(CNTHV_CTL_EL2, 0);
    }
    if has_deferred_errors() {
        write!(VSESR_EL2, 0);
        write!(VDISR_EL2, 0);
    }
    if has(debug, 52) {
        write!(BRBCR_EL2, 0); // no record of EL2's branches
    }
    if has(read!(ID_AA64PFR1_EL1), 44) {
        write!(GCSCR_EL2, 0); // no guarded stack of EL2's
    }
    if mpam && has(processor, 40) {
        write!(MPAM2_EL2, 0b11 << 48); // EL1's and EL0's registers are trapped
    }
    // PMBIDR_EL1.P: profiling is somebody else's.
    if has(debug, 32) && read!(PMBIDR_EL1) & 1 << 4 == 0 {
        write!(PMSCR_EL2, 0); // no profiling of EL2
    }
}

/// ID_AA64PFR0_EL1.RAS: DISR_EL1 is there, which is VDISR_EL2 to a guest (HCR_EL2.AMO).
pub fn has_deferred_errors() -> bool {
    read!(ID_AA64PFR0_EL1) >> 28 & 0xf != 0
}

/// FEAT_FGT: no fine-grained trap is on, but those of what is newer than this list (the bits whose
/// names begin with n).
fn initialise_fine_traps(activity: bool, second: bool) {
    write!(HFGRTR_EL2, 0);
    write!(HFGWTR_EL2, 0);
    write!(HFGITR_EL2, 0);
    write!(HDFGRTR_EL2, 0);
    write!(HDFGWTR_EL2, 0);
    if activity {
        write!(HAFGRTR_EL2, 0);
    }
    if second {
        write!(HDFGRTR2_EL2, 0);
        write!(HDFGWTR2_EL2, 0);
        write!(HFGRTR2_EL2, 0);
        write!(HFGWTR2_EL2, 0);
        write!(HFGITR2_EL2, 0);
    }
}

/// ID_AA64MMFR0_EL1.PARange in bits.
pub fn physical_address_bits() -> u8 {
    address_bits(read!(ID_AA64MMFR0_EL1) & 0xf)
}

/// The same by its code, which VTCR_EL2.PS has, too.
pub fn address_bits(code: u64) -> u8 {
    match code {
        0 => 32,
        1 => 36,
        2 => 40,
        3 => 42,
        4 => 44,
        5 => 48,
        _ => 52,
    }
}

/// DCZID_EL0: bytes that DC ZVA clears, or None if it is not permitted.
pub fn zeroed_bytes() -> Option<u64> {
    let value = read!(DCZID_EL0);
    (value & 1 << 4 == 0).then_some(4 << (value & 0xf))
}
