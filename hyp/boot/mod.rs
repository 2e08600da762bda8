// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From firmware to the first instruction of every guest.
//!
//! May call: `arch`, `state`, `io`, `gic`, `cpu`, `life`, `run`, `exits`.

mod entry;
pub mod order;
mod verify;
mod wires;
