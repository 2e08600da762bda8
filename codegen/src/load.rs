// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From a path to a system.
//!
//! 1. Read the system TOML, then the board and the partitions that it names. Merge each with what
//!    it inherits, verify and deserialise it.
//! 2. Resolve every name to an index.
//! 3. When something is wrong, run the rules over what there is, so that one run tells everything.

mod board;
mod files;
mod inherit;
mod merge;
mod payload;
mod schedule;
mod show;
mod system;
mod targets;

pub use show::board as show_board;
pub use targets::load as targets;

use std::path::Path;

use crate::check;
use crate::diag::Report;
use crate::model::{Board, System};

/// Read the board TOML at `path` alone. The error holds everything that is wrong with its form.
pub fn load_board(path: &Path) -> Result<Board, Report> {
    let mut files = files::Files::new(path);
    let board = board::alone(&mut files, path);
    match board {
        Some(board) if !files.report.has_errors() => Ok(board),
        _ => Err(files.report),
    }
}

/// Read the system TOML at `path`, its board and its partitions. The error holds everything that is
/// wrong with them.
pub fn load(path: &Path) -> Result<System, Report> {
    let mut files = files::Files::new(path);
    let system = system::load(&mut files);
    let mut report = files.report;
    match system {
        Some(mut system) if !report.has_errors() => {
            system.sources = report.sources;
            Ok(system)
        }
        Some(mut system) => {
            system.sources = report.sources.clone();
            report.diagnostics.extend(check::run(&system).diagnostics);
            report.sort();
            Err(report)
        }
        None => {
            report.partial = true;
            report.sort();
            Err(report)
        }
    }
}
