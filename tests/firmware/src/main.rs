// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A minimal EL3 firmware, with the state that a real one leaves to a hypervisor.
//!
//! For machines of QEMU whose CPUs begin here, at address 0 and EL3: sbsa-ref, and virt with
//! `secure=on`. Where the board has what is written into the file's first words. What Trusted
//! Firmware-A's defaults leave behind:
//!
//! 1. Two Security states: GICD_CTLR.DS is 0, all interrupts are Non-secure Group 1. Registers and
//!    bits that only the Secure side has read as zero at EL2.
//! 2. EL2 is entered with the MMU off, at the address in byte 8 of this firmware, on
//!    the first CPU.
//! 3. What needs a driver at EL3 traps: trace filters (TRFCR_EL2), memory partitioning (MPAM2_EL2).
//! 4. The other CPUs wait for PSCI CPU_ON (DEN 0022). Of the rest there are PSCI_VERSION and
//!    SYSTEM_OFF; any other call is NOT_SUPPORTED.
//!
//! Any other exception at EL3 prints a line on the UART and ends the run: real firmware has the
//! same traps and would not survive them.
#![no_std]
#![no_main]

use core::arch::global_asm;

global_asm!(include_str!("start.s"));

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
