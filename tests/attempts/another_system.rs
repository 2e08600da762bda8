// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A plan of the caller's own.
#![no_std]
#![forbid(unsafe_code)]

use arch::System;
use plan::Plan;

pub struct Mine;

impl System for Mine { //~ E0200
    const PLAN: &'static Plan = panic!();
    type Vpe = ();
    const COUNTERS: usize = 0;
    const CALLS: usize = 0;
}
