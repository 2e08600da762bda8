// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Cache lines at an address of the caller's.
#![no_std]
#![forbid(unsafe_code)]

pub fn attempt() {
    arch::lines::flush(0x4020_0000, 64); //~ E0603
}
