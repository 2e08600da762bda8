// SPDX-License-Identifier: Apache-2.0 OR MIT
//! This vPE: its number, its interrupt mask, waiting.

use core::arch::asm;

use aarch64_cpu::registers::{DAIF, MPIDR_EL1, Readable};

/// vPEs with the same Aff1.
const CLUSTER: u32 = 16;

/// Number of this vPE in its VM, by its affinity: sixteen for each Aff1.
pub fn vpe() -> u32 {
    let affinity = MPIDR_EL1.get() as u32;
    (affinity >> 8 & 0xff) * CLUSTER + (affinity & 0xf)
}

/// Affinity fields of the VM's vPE `vpe`.
pub fn affinity_of(vpe: u32) -> u64 {
    u64::from(vpe / CLUSTER) << 8 | u64::from(vpe % CLUSTER)
}

/// Affinity fields of this vPE, as PSCI wants them.
pub fn affinity() -> u64 {
    MPIDR_EL1.get() & 0xff_00ff_ffff
}

/// Lets interrupts in.
pub fn enable_interrupts() {
    // SAFETY: changes PSTATE.I only; handlers are installed from the first instruction on.
    unsafe { asm!("msr daifclr, #2", "isb", options(nostack)) };
}

/// Keeps interrupts out.
pub fn disable_interrupts() {
    // SAFETY: changes PSTATE.I only.
    unsafe { asm!("msr daifset, #2", options(nostack)) };
}

/// Runs `body` with interrupts masked and leaves the mask as it was.
pub fn without_interrupts<R>(body: impl FnOnce() -> R) -> R {
    let masked = DAIF.is_set(DAIF::I);
    disable_interrupts();
    let result = body();
    if !masked {
        enable_interrupts();
    }
    result
}

/// Stops until an interrupt is pending, masked or not.
pub fn wait_for_interrupt() {
    // SAFETY: waits; what came before is made visible first, as a device may be what wakes us.
    unsafe { asm!("dsb sy", "wfi", options(nostack)) };
}

/// Waits by WFI until `done`. An interrupt that comes between the test and the WFI is not missed:
/// it stays pending, because it is masked, and WFI falls through.
pub fn wait_until(mut done: impl FnMut() -> bool) {
    loop {
        disable_interrupts();
        let ready = done();
        if !ready {
            wait_for_interrupt();
        }
        enable_interrupts();
        if ready {
            return;
        }
    }
}

/// Makes every write before it visible to devices and other vPEs before any after it.
pub fn barrier() {
    // SAFETY: a barrier.
    unsafe { asm!("dsb sy", options(nostack)) };
}

/// One turn of a loop that polls: lets another vPE or the emulator go on.
pub fn relax() {
    // SAFETY: a hint.
    unsafe { asm!("yield", options(nostack, nomem)) };
}
