// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One UART for everybody: rings of output, the mux that merges them, the escape key.

mod input;
mod mux;
mod ring;

pub use input::{Input, NO_CONSOLE, focus, key};
pub use mux::{Mux, Pumped, begin_line, end_line};
pub use ring::Ring;
