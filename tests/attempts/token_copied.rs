// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Two tokens of one.
#![no_std]
#![forbid(unsafe_code)]

use arch::{CpuBoot, System};

pub fn attempt<S: System>(cpu: &CpuBoot<S>) -> CpuBoot<S> {
    cpu.clone() //~ E0308
}
