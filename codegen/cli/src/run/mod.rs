// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Running an image under QEMU, or listening to a board: command line, console, report.
//!
//! The command line tool and the QEMU scenarios both come through here, so that what a test sees is
//! what a user sees:
//!
//! 1. [`Machine`] is what the board's `[qemu]` and its used devices' `qemu` keys say, resolved;
//! 2. [`Options`] is what this run wants on top (input, timeout, instruction counting, overrides);
//! 3. [`run`] starts QEMU, streams its console, ends it by its own process id, and parses what came
//!    into a [`Report`]; [`attach`] does the same with the console of a board;
//! 4. [`Report::write`] keeps it as JSON in `target/bulkhead/reports/NAME.json`.
//!
//! A run is judged by the console alone, as on a board with a serial cable; of the plan nothing is
//! read but where the log is, on a board without a console.

mod ansi;
mod attach;
pub mod bench;
mod console;
mod decode;
pub mod differs;
mod firmware;
mod follow;
mod hang;
mod learned;
mod line;
mod log;
mod machine;
mod options;
mod process;
mod report;
mod screen;
pub mod series;
mod session;
mod size;
mod telnet;
mod terminal;
mod whole;

pub use ansi::{Plain, plain};
pub use attach::{Attached, attach};
pub use console::Transcript;
pub use decode::{Decoder, Piece};
pub use firmware::Firmware;
pub use learned::Learned;
pub use line::{Ends, Line};
pub use machine::{Machine, Scratch};
pub use options::{Echo, Input, Options, Step, colours};
pub use process::run;
pub use report::{Figure, Report, Verdict, VmLine};
pub use screen::Screen;
pub use size::{Section, sections};

/// What keeps a run from happening at all; a run that fails is a [`Report`].
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A file or directory of the run could not be made, read or written.
    #[error("{}: {error}", path.display())]
    File { path: std::path::PathBuf, error: std::io::Error },
    /// QEMU could not be started.
    #[error("cannot start {program}: {error} (./setup.sh installs it)")]
    Start { program: String, error: std::io::Error },
    /// The line to a board could not be opened.
    #[error("cannot open {line}: {error}")]
    Line { line: String, error: std::io::Error },
}
