// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A guest's registers: their first state, and what an exception tells about it.
//!
//! An exclusive CPU holds the EL1 state of its vPE in the registers themselves, so nothing is
//! switched; a shared one switches it by `Context`. A vPE that starts, by boot, CPU_ON or restart,
//! starts from the state below (DDI 0487 D24, reset values).

use super::cpu::{HCR, TWI, grant, has_deferred_errors};
use super::simd;
use super::sysreg::{isb, read, write};
use crate::system::{System, is_entry};
use core::arch::asm;
use plan::Vm;

/// SCTLR_EL1 after reset: RES1 bits, MMU and caches off.
pub const SCTLR_EL1: u64 = 0x30d0_0800;
/// EL1h, DAIF masked.
pub const SPSR: u64 = 0x3c5;

/// MDSCR_EL1: SS, TDCC, KDE, MDE.
const DEBUG_CONTROL: u64 = 1 | 1 << 12 | 1 << 13 | 1 << 15;

/// Stage 2 of `vm` and the affinity that its vPE reads, on this CPU. Nothing changes for a VM that
/// is not the plan's.
pub fn assign<S: System>(vm: &Vm, mpidr: u64) {
    if !is_entry(S::PLAN.vms, vm) {
        return;
    }
    write!(VTCR_EL2, vm.vtcr);
    write!(VTTBR_EL2, vm.vttbr);
    write!(VMPIDR_EL2, mpidr);
    write!(HCR_EL2, HCR);
    grant(vm.features);
}

/// The same on a shared CPU: WFI of its vPE comes to EL2 if `waits_here`. No barrier:
/// [`Context::load`] has one.
///
/// Until then the old guest's EL1 tables stand beside the new one's stage 2. On Cortex-A55, A57,
/// A72 and A76 (errata 1530923, 1319537, 1319367, 1165522) an AT instruction that is executed
/// speculatively meanwhile would leave wrong translations behind. The remedy, TCR_EL1.EPD0 and EPD1
/// set around the change, is left out: there is no AT in an image's text (codegen, `image::rules`),
/// and nothing else can be fetched at EL2, speculatively or not, since all other memory is
/// execute-never there.
///
/// [`Context::load`]: super::context::Context::load
#[inline]
pub fn assign_shared<S: System>(vm: &Vm, mpidr: u64, waits_here: bool) {
    if !is_entry(S::PLAN.vms, vm) {
        return;
    }
    write!(VTCR_EL2, vm.vtcr);
    write!(VTTBR_EL2, vm.vttbr);
    write!(VMPIDR_EL2, mpidr);
    write!(HCR_EL2, if waits_here { HCR | TWI } else { HCR });
}

/// EL1 as after reset, about to run at `entry`.
pub fn reset(entry: u64) {
    write!(SCTLR_EL1, SCTLR_EL1);
    write!(CPACR_EL1, 0);
    write!(TCR_EL1, 0);
    write!(TTBR0_EL1, 0);
    write!(TTBR1_EL1, 0);
    write!(MAIR_EL1, 0);
    write!(VBAR_EL1, 0);
    write!(CONTEXTIDR_EL1, 0);
    write!(TPIDR_EL0, 0);
    write!(TPIDRRO_EL0, 0);
    write!(TPIDR_EL1, 0);
    write!(SP_EL0, 0);
    write!(SP_EL1, 0);
    write!(ELR_EL1, 0);
    write!(SPSR_EL1, 0);
    write!(ESR_EL1, 0);
    write!(FAR_EL1, 0);
    write!(AFSR0_EL1, 0);
    write!(AFSR1_EL1, 0);
    write!(AMAIR_EL1, 0);
    write!(PAR_EL1, 0);
    write!(CSSELR_EL1, 0);
    write!(MDSCR_EL1, 0);
    write!(CNTKCTL_EL1, 0);
    write!(CNTV_CTL_EL0, 0);
    write!(CNTV_CVAL_EL0, 0);
    write!(CNTP_CTL_EL0, 0);
    write!(CNTP_CVAL_EL0, 0);
    if has_deferred_errors() {
        write!(VDISR_EL2, 0);
    }
    simd::forget();
    write!(ELR_EL2, entry);
    write!(SPSR_EL2, SPSR);
    isb();
}

/// Drops what this CPU remembers of the VM that `assign` named: translations of both stages,
/// instructions.
pub fn forget() {
    // SAFETY: drops cached copies only.
    unsafe {
        asm!("tlbi vmalls12e1", "ic iallu", "dsb nsh", "isb", options(nostack, preserves_flags))
    }
}

/// Return to the guest after the instruction that trapped.
#[inline(always)]
pub fn skip() {
    write!(ELR_EL2, read!(ELR_EL2).wrapping_add(4));
}

/// Return to the guest at `elr`. Of its PSTATE, `spsr` may say anything but the mode.
pub fn go_on(elr: u64, spsr: u64) {
    write!(ELR_EL2, elr);
    write!(SPSR_EL2, read!(SPSR_EL2) & MODE | spsr & !MODE);
}

/// SPSR_EL2.M: EL, stack pointer and execution state.
const MODE: u64 = 0x1f;
/// SPSR_EL2.M\[4\].
const AARCH32: u64 = 1 << 4;

/// What is told of the guest whose registers this CPU holds: ELR_EL2, SPSR_EL2, SCTLR_EL1,
/// VBAR_EL1, ELR_EL1, ESR_EL1, FAR_EL1.
pub fn told() -> [u64; 7] {
    [
        read!(ELR_EL2),
        read!(SPSR_EL2),
        read!(SCTLR_EL1),
        read!(VBAR_EL1),
        read!(ELR_EL1),
        read!(ESR_EL1),
        read!(FAR_EL1),
    ]
}

/// SPSR_EL2: PSTATE of the guest.
pub fn state() -> u64 {
    read!(SPSR_EL2)
}

/// MDSCR_EL1 of the guest.
pub fn debug_control() -> u64 {
    read!(MDSCR_EL1) & DEBUG_CONTROL
}

/// The guest writes it. EL2 takes no debug exception, and what MDE enables was cleared at boot or
/// is the guest's own.
pub fn set_debug_control(value: u64) {
    write!(MDSCR_EL1, value & DEBUG_CONTROL);
    isb();
}

/// ELR_EL2: where the guest goes on.
pub fn elr() -> u64 {
    read!(ELR_EL2)
}

/// FAR_EL2: the virtual address of an abort.
pub fn far() -> u64 {
    read!(FAR_EL2)
}

/// HPFAR_EL2: the page of an abort, as an IPA (DDI 0487 D24.2.63).
pub fn hpfar() -> u64 {
    read!(HPFAR_EL2)
}

/// Takes the guest to its own vector for a synchronous exception with this syndrome, as hardware
/// would have (DDI 0487 J1.1, AArch64.TakeException).
pub fn raise(esr: u64, far: Option<u64>) {
    let spsr = read!(SPSR_EL2);
    write!(ESR_EL1, esr);
    if let Some(far) = far {
        write!(FAR_EL1, far);
    }
    write!(ELR_EL1, read!(ELR_EL2));
    write!(SPSR_EL1, spsr);
    write!(ELR_EL2, vector(spsr));
    // EL1h, DAIF set; NZCV and DIT stay; SS, IL, UAO and BTYPE clear; PAN is set unless
    // SCTLR_EL1.SPAN says otherwise; SSBS is SCTLR_EL1.DSSBS.
    let sctlr = read!(SCTLR_EL1);
    let pan = if read!(ID_AA64MMFR1_EL1) >> 20 & 0xf == 0 {
        0
    } else if sctlr >> 23 & 1 == 0 {
        1 << 22
    } else {
        spsr & 1 << 22
    };
    let ssbs = (sctlr >> 44 & 1) << 12;
    // AArch32 has DIT elsewhere.
    let dit = if spsr & AARCH32 != 0 { (spsr >> 21 & 1) << 24 } else { spsr & 1 << 24 };
    write!(SPSR_EL2, spsr & 0xf000_0000 | dit | pan | ssbs | SPSR);
}

/// The exception was taken from EL0.
pub fn from_el0() -> bool {
    read!(SPSR_EL2) & 0xc == 0
}

/// The timers are off: their interrupts go away.
pub fn stop_timers() {
    write!(CNTV_CTL_EL0, 0);
    write!(CNTP_CTL_EL0, 0);
    isb();
}

/// Where the guest takes a synchronous exception when this is its PSTATE.
pub fn vector(spsr: u64) -> u64 {
    // Same EL with SP_EL0, same EL with SP_EL1, from EL0 in AArch64, from EL0 in AArch32.
    let offset = match spsr & 0x1f {
        0b0_0100 => 0x000,
        0b0_0101 => 0x200,
        0b0_0000 => 0x400,
        _ => 0x600,
    };
    read!(VBAR_EL1).wrapping_add(offset)
}

/// The guest's addresses are IPAs.
pub fn mmu_off() -> bool {
    read!(SCTLR_EL1) & 1 == 0
}

/// SPSR_EL2.I: the guest takes no interrupt.
#[inline(always)]
pub fn masks_interrupts() -> bool {
    read!(SPSR_EL2) & 1 << 7 != 0
}
