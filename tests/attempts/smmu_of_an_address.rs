// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An SMMU's registers, tables and queues, from which it would read what the caller names.
#![no_std]
#![forbid(unsafe_code)]

use arch::smmu::hardware; //~ E0603
use arch::smmu::{Driver, Registers}; //~ E0603
use arch::System;

pub fn parts<S: System>(driver: Driver<S>) {
    let _ = driver.streams; //~ E0616
    let _ = driver.unit; //~ E0616
}
