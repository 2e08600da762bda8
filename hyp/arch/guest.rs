//! A guest's registers: their first state, and what an exception tells about it.
//!
//! An exclusive CPU holds the EL1 state of its vPE in the registers themselves, so nothing is switched; a shared one
//! switches it by `Context`. A vPE that starts, by boot, CPU_ON or restart, starts from the state below (DDI 0487 D24,
//! reset values).

use super::context::forget_vectors;
use super::cpu::{HCR, TWI, grant, has_deferred_errors};
use super::sysreg::{isb, read, write};
use core::arch::asm;
use plan::Vm;
use vm::aarch32;

/// SCTLR_EL1 after reset: RES1 bits, MMU and caches off.
pub const SCTLR_EL1: u64 = 0x30d0_0800;
/// EL1h, DAIF masked.
pub const SPSR: u64 = 0x3c5;

/// MDSCR_EL1: SS, TDCC, KDE, MDE.
const DEBUG_CONTROL: u64 = 1 | 1 << 12 | 1 << 13 | 1 << 15;

/// Stage 2 of `vm` and the affinity that its vPE reads, on this CPU.
pub fn assign(vm: &Vm, mpidr: u64) {
    write!("vtcr_el2", vm.vtcr);
    write!("vttbr_el2", vm.vttbr);
    write!("vmpidr_el2", mpidr);
    write!("hcr_el2", HCR);
    grant(vm.features);
}

/// The same on a shared CPU: WFI of its vPE comes to EL2 if `waits_here`. No barrier: [`Context::load`] has one.
///
/// Until then the old guest's EL1 tables stand beside the new one's stage 2. On Cortex-A55, A57, A72 and A76 (errata 1530923,
/// 1319537, 1319367, 1165522) an AT instruction that is executed speculatively meanwhile would leave wrong translations
/// behind. The remedy, TCR_EL1.EPD0 and EPD1 set around the change, is left out: there is no AT in an image's text
/// (codegen, `image::rules`), and nothing else can be fetched at EL2, speculatively or not, since all other memory
/// is execute-never there.
///
/// [`Context::load`]: super::context::Context::load
#[inline]
pub fn assign_shared(vm: &Vm, mpidr: u64, waits_here: bool) {
    write!("vtcr_el2", vm.vtcr);
    write!("vttbr_el2", vm.vttbr);
    write!("vmpidr_el2", mpidr);
    write!("hcr_el2", if waits_here { HCR | TWI } else { HCR });
}

/// EL1 as after reset, about to run at `entry`.
pub fn reset(entry: u64) {
    write!("sctlr_el1", SCTLR_EL1);
    write!("cpacr_el1", 0);
    write!("tcr_el1", 0);
    write!("ttbr0_el1", 0);
    write!("ttbr1_el1", 0);
    write!("mair_el1", 0);
    write!("vbar_el1", 0);
    write!("contextidr_el1", 0);
    write!("tpidr_el0", 0);
    write!("tpidrro_el0", 0);
    write!("tpidr_el1", 0);
    write!("sp_el0", 0);
    write!("sp_el1", 0);
    write!("elr_el1", 0);
    write!("spsr_el1", 0);
    write!("esr_el1", 0);
    write!("far_el1", 0);
    write!("afsr0_el1", 0);
    write!("afsr1_el1", 0);
    write!("amair_el1", 0);
    write!("par_el1", 0);
    write!("csselr_el1", 0);
    write!("mdscr_el1", 0);
    write!("cntkctl_el1", 0);
    write!("cntv_ctl_el0", 0);
    write!("cntv_cval_el0", 0);
    write!("cntp_ctl_el0", 0);
    write!("cntp_cval_el0", 0);
    if has_deferred_errors() {
        write!("S3_4_C12_C1_1", 0); // VDISR_EL2
    }
    forget_vectors();
    write!("elr_el2", entry);
    write!("spsr_el2", SPSR);
    isb();
}

/// Drops what this CPU remembers of the VM that `assign` named: translations of both stages, instructions.
pub fn forget() {
    // SAFETY: drops cached copies only.
    unsafe {
        asm!("tlbi vmalls12e1", "ic iallu", "dsb nsh", "isb", options(nostack, preserves_flags))
    }
}

/// Return to the guest after the instruction that trapped.
#[inline(always)]
pub fn skip() {
    write!("elr_el2", read!("elr_el2").wrapping_add(4));
}

/// The same behind an instruction of any length, and of an IT block, by its syndrome.
#[inline(always)]
pub fn skip_any(esr: u64) {
    let spsr = read!("spsr_el2");
    if aarch32::is_aarch32(spsr) {
        skip_aarch32(esr, spsr);
    } else {
        skip();
    }
}

#[cold]
fn skip_aarch32(esr: u64, spsr: u64) {
    let (elr, spsr) = aarch32::skip(esr, read!("elr_el2"), spsr);
    write!("elr_el2", elr);
    write!("spsr_el2", spsr);
}

/// SPSR_EL2: PSTATE of the guest.
pub fn state() -> u64 {
    read!("spsr_el2")
}

/// The same after MRC to the flags.
pub fn set_flags(value: u64) {
    write!("spsr_el2", aarch32::with_flags(read!("spsr_el2"), value));
}

/// MDSCR_EL1 of the guest.
pub fn debug_control() -> u64 {
    read!("mdscr_el1") & DEBUG_CONTROL
}

/// The guest writes it. EL2 takes no debug exception, and what MDE enables was cleared at boot or is the guest's own.
pub fn set_debug_control(value: u64) {
    write!("mdscr_el1", value & DEBUG_CONTROL);
    isb();
}

pub fn elr() -> u64 {
    read!("elr_el2")
}

pub fn far() -> u64 {
    read!("far_el2")
}

pub fn hpfar() -> u64 {
    read!("hpfar_el2")
}

/// Takes the guest to its own vector for a synchronous exception with this syndrome, as hardware would have
/// (DDI 0487 J1.1, AArch64.TakeException).
pub fn raise(esr: u64, far: Option<u64>) {
    let spsr = read!("spsr_el2");
    write!("esr_el1", esr);
    if let Some(far) = far {
        write!("far_el1", far);
    }
    write!("elr_el1", read!("elr_el2"));
    write!("spsr_el1", spsr);
    write!("elr_el2", vector(spsr));
    // EL1h, DAIF set; NZCV and DIT stay; SS, IL, UAO and BTYPE clear; PAN is set unless SCTLR_EL1.SPAN says otherwise;
    // SSBS is SCTLR_EL1.DSSBS.
    let sctlr = read!("sctlr_el1");
    let pan = if read!("id_aa64mmfr1_el1") >> 20 & 0xf == 0 {
        0
    } else if sctlr >> 23 & 1 == 0 {
        1 << 22
    } else {
        spsr & 1 << 22
    };
    let ssbs = (sctlr >> 44 & 1) << 12;
    // AArch32 has DIT elsewhere.
    let dit = if aarch32::is_aarch32(spsr) { (spsr >> 21 & 1) << 24 } else { spsr & 1 << 24 };
    write!("spsr_el2", spsr & 0xf000_0000 | dit | pan | ssbs | SPSR);
}

/// The exception was taken from EL0.
pub fn from_el0() -> bool {
    read!("spsr_el2") & 0xc == 0
}

/// The timers are off: their interrupts go away.
pub fn stop_timers() {
    write!("cntv_ctl_el0", 0);
    write!("cntp_ctl_el0", 0);
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
    read!("vbar_el1").wrapping_add(offset)
}

/// The guest's addresses are IPAs.
pub fn mmu_off() -> bool {
    read!("sctlr_el1") & 1 == 0
}

/// SPSR_EL2.I: the guest takes no interrupt.
#[inline(always)]
pub fn masks_interrupts() -> bool {
    read!("spsr_el2") & 1 << 7 != 0
}
