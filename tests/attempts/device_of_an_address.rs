// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Registers at an address of the caller's.
#![no_std]
#![forbid(unsafe_code)]

use arch::device::Device;
use plan::Pa;

pub fn attempt() -> u32 {
    Device { base: Pa::new(0x800_0000), bytes: 4096 }.read(0) //~ E0451
}
