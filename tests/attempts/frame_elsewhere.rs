// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A guest entered on a frame that is not at the top of a stack.
#![no_std]
#![forbid(unsafe_code)]

use arch::frame::Frame;
use arch::vectors::{self, StackTop};

pub fn attempt(frame: &'static mut Frame) -> ! {
    vectors::enter(StackTop(frame)) //~ E0423
}
