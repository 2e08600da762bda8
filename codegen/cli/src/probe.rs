// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a board's probe printed, and how the board's TOML differs from it.
//!
//! The probe (`hyp/probe`) prints a TOML that inherits the board, with what was measured. [`read`]
//! takes it off a console, [`compare`] makes the change of the board's own file that would agree
//! with it; comments and form stay.

mod capture;
mod compare;

pub use capture::{Measured, read};
pub use compare::{Comparison, compare};
