// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An ITS at an address of the caller's, and a second owner of its queue and of the LPI table.
#![no_std]
#![forbid(unsafe_code)]

use arch::{System, given, mmu};
use plan::{Its, Pa};

pub fn registers(its: Its) {
    let made_up = Its { base: Pa::new(0x4020_0000), ..its };
    mmu::its(&made_up); //~ E0603 E0597
}

pub fn queue(its: &'static Its) {
    mmu::its_queue::<true>(its); //~ E0603 E0133
}

pub fn table<S: System>(its: &'static Its) {
    mmu::lpi_config::<S, true>(its, 0x4020_0000); //~ E0603 E0133
}

pub fn twice<S: System>() -> bool {
    let Some(taken) = given::its::<S, true>(0) else { return false };
    let first = taken.queue;
    let second = taken.queue; //~ E0382
    drop((first, second));
    true
}
