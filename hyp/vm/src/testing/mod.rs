// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What tests stand on: a machine with physical interrupts, and guests on it. Not in the image.

mod cpu;
mod guests;
pub mod its_board;
mod its_setup;
mod machine;
mod platform;
mod sgi_gic;

pub use cpu::Cpu;
pub use guests::{guests, guests_of, leak, pair, plan, plan_of, plan_v41, vm, write};
pub use machine::*;
pub use sgi_gic::SgiGic;
