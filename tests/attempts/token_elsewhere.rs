// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A CPU's token, its stack's top or the board's token on another CPU, which then runs on a stack
//! that is in use.
#![no_std]
#![forbid(unsafe_code)]

use arch::vectors::StackTop;
use arch::{CpuBoot, System, SystemBoot};

fn sent<T: Send>(_: T) {}
fn shared<T: Sync>(_: &T) {}

pub fn token<S: System + Send>(cpu: CpuBoot<S>) {
    sent(cpu); //~ E0277
}

pub fn top(top: StackTop) {
    sent(top); //~ E0277
}

pub fn board<S: System + Send>(system: &SystemBoot<S>) {
    shared(system); //~ E0277
}
