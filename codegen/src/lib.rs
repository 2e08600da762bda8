// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From one TOML to one image: description, checks, plan and everything emitted from it.
//!
//! `load` reads a system and resolves its names, `check` judges it; both report with [`diag`]. The
//! image's build script calls [`build`]; the command line is the package `bulkhead`, in cli/.
#![forbid(unsafe_code)]

pub mod bounds;
pub mod build;
pub mod check;
pub mod diag;
pub mod emit;
pub mod import;
pub mod limits;
mod load;
pub mod model;
pub mod payload;
pub mod plan;
pub mod schema;
mod tree;
pub mod units;

pub use load::{load, load_board, show_board, targets};
