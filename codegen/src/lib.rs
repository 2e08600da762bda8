//! From one TOML to one image: description, checks, plan and everything emitted from it.
//!
//! `load` reads a system and resolves its names, `check` judges it; both report with [`diag`]. The command line and running under
//! QEMU are feature `cli`, on by default.
#![forbid(unsafe_code)]

pub mod bounds;
pub mod build;
pub mod check;
#[cfg(feature = "cli")]
pub mod cli;
pub mod diag;
pub mod emit;
pub mod image;
pub mod limits;
mod load;
pub mod model;
pub mod plan;
#[cfg(feature = "cli")]
pub mod run;
pub mod schema;
mod tree;
pub mod units;

pub use load::load;
