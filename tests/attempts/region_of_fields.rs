// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Another region made of one.
#![no_std]
#![forbid(unsafe_code)]

use arch::System;
use arch::region::Region;
use plan::Pa;

pub fn attempt<S: System>(region: Region<S>) -> Region<S> {
    Region { base: Pa::new(0x4020_0000), ..region } //~ E0451
}
