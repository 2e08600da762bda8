// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Memory at an address of the caller's.
#![no_std]
#![forbid(unsafe_code)]

use arch::System;
use arch::region::Region;
use plan::Pa;

pub fn attempt<S: System>() -> Region<S> {
    Region::new(Pa::new(0x4020_0000), 4096) //~ E0624
}
