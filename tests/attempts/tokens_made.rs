// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A second boot.
#![no_std]
#![forbid(unsafe_code)]

use arch::{CpuBoot, System, SystemBoot};
use plan::CpuIndex;

pub fn system<S: System>() -> SystemBoot<S> {
    SystemBoot::new() //~ E0624
}

pub fn cpu<S: System>() -> CpuBoot<S> {
    CpuBoot::new(CpuIndex::new(0)) //~ E0624
}
