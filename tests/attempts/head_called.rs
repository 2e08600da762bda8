// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The head's and the vectors' ways into Rust, called by somebody else.
#![no_std]
#![forbid(unsafe_code)]

use arch::frame::{Frame, Next};
use arch::vectors::way;
use arch::{Handlers, head, mmu};

pub fn first<S: Handlers>() -> ! {
    head::first_cpu::<S>(0) //~ E0133
}

pub fn other<S: Handlers>() -> ! {
    head::other_cpu::<S>(0) //~ E0133
}

pub fn pages<S: Handlers>() {
    mmu::protect_image::<S>(); //~ E0133
}

pub fn handler<S: Handlers>(frame: &mut Frame) -> Next {
    way::hvc_fast::<S>(frame) //~ E0133
}
