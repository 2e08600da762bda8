// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From an image to a board: disk images, folders, and the tools that people have.
//!
//! 1. A target (`codegen::schema::targets`) becomes a list of [`Step`]s.
//! 2. `--dry-run` prints them; otherwise each is looked at first (is the tool there, may the disk
//!    be written), and then taken.
//! 3. What is written is read back.
//!
//! Other people's tools are called by their documented command lines and nothing else is known of
//! them.

mod device;
mod disk;
mod script;
mod slot;
mod step;
mod target;
mod window;
mod xmodem;

pub use disk::{Disk, FileAt};
pub use slot::{Slot, update};
pub use step::Step;
pub use target::{Job, steps};

/// Why an image did not get where it should.
#[derive(Debug, thiserror::Error)]
pub enum FlashError {
    /// A file or a device could not be made, read or written.
    #[error("{}: {error}", path.display())]
    File { path: std::path::PathBuf, error: std::io::Error },
    /// A device that must not be written.
    #[error("{}: {why}; nothing was written", path.display())]
    Refused { path: std::path::PathBuf, why: String },
    /// What was read back is other than what was written.
    #[error("{}: byte {at} reads back as {found:#04x}, not {wrote:#04x}", path.display())]
    ReadBack { path: std::path::PathBuf, at: u64, wrote: u8, found: u8 },
    /// A tool is not installed.
    #[error("{program} is not in PATH: {install}")]
    NoTool { program: &'static str, install: &'static str },
    /// A tool said no.
    #[error("{command}: {why}")]
    Tool { command: String, why: String },
    /// It does not fit, or is not what it should be.
    #[error("{0}")]
    Other(String),
    /// The line of U-Boot.
    #[error(transparent)]
    Line(#[from] crate::run::RunError),
}
