// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A minimal EL3 firmware, with the state that a real one leaves to a hypervisor.
//!
//! For QEMU's virt with `secure=on`, where every CPU begins here, at EL3. What Trusted Firmware-A's
//! defaults leave behind:
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

global_asm!(
    include_str!("start.s"),
    DISTRIBUTOR = const 0x0800_0000_u32,
    REDISTRIBUTORS = const 0x080a_0000_u32,
    UART = const 0x0900_0000_u32,
    // The board's Secure RAM: 32 bytes for each CPU, entry, context, and whether it was told to go
    // on.
    MAILBOXES = const 0x0e00_0000_u32,
);

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
