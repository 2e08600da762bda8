// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A redistributor at an address of the caller's, by an entry that the plan does not have.
#![no_std]
#![forbid(unsafe_code)]

use arch::{System, mmu};
use plan::{Cpu, Pa};

pub fn redistributor<S: System>(cpu: Cpu) {
    let made_up = Cpu { redistributor: Pa::new(0x4020_0000), ..cpu };
    mmu::redistributor::<S>(&made_up); //~ E0308
}

pub fn virtual_lpis<S: System>(cpu: Cpu) {
    let made_up = Cpu { redistributor: Pa::new(0x4020_0000), ..cpu };
    mmu::virtual_lpis::<S>(&made_up); //~ E0308
}
