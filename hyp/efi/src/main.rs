// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The EFI stub: code of bulkhead.efi ahead of the flat binary.
//!
//! UEFI firmware loads bulkhead.efi anywhere and calls it at its own exception level, with MMU and
//! caches on and memory mapped to itself (UEFI 2.10, 2.3.6). What the stub does:
//!
//! 1. EL2, or one line on the firmware's console and back to it;
//! 2. `AllocatePages` at the plan's address, for all of the hypervisor's memory; if the firmware
//!    itself has something there, one line and back;
//! 3. the flat binary copied there;
//! 4. `GetMemoryMap` and `ExitBootServices`, again while the map changes in between;
//! 5. the hypervisor's memory and this code cleaned and invalidated to the point of coherency, MMU
//!    and caches off, and into the head as any other loader does it.
//!
//! The firmware's runtime services end here: guests' memory is where the plan puts it, whatever the
//! firmware has there. Its ACPI tables and device tree are not looked at.
//!
//! `bulkhead image` fills in the words and the text at the start of `start.s`.
#![no_std]
#![no_main]

use core::arch::global_asm;

global_asm!(include_str!("start.s"));

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
