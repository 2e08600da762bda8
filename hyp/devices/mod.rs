// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The devices that EL2 itself drives: one UART, or none.
//!
//! May call: `arch`, `state`.

pub mod line;
mod port;
