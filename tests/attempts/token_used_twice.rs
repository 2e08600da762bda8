// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Two trap frames of one CPU, which are one.
#![no_std]
#![forbid(unsafe_code)]

use arch::vectors::StackTop;
use arch::{CpuBoot, System};

pub fn attempt<S: System>(cpu: CpuBoot<S>) -> (StackTop, StackTop) {
    (cpu.frame(), cpu.frame()) //~ E0382
}
