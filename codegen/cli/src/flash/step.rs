// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One thing to do, as it is printed and as it is done.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::device::{self, Guard};
use super::xmodem::{self, Serial};
use super::{Disk, FlashError, Slot, update};
use crate::run::Report;

/// Somebody else's program, and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tool {
    pub program: &'static str,
    pub install: &'static str,
}

pub const UUU: Tool = Tool {
    program: "uuu",
    install: "package uuu of Debian 12 and later, or https://github.com/nxp-imx/mfgtools",
};
pub const OPENOCD: Tool = Tool { program: "openocd", install: "package openocd" };
pub const FASTBOOT: Tool = Tool { program: "fastboot", install: "package fastboot" };
pub const LABGRID: Tool =
    Tool { program: "labgrid-client", install: "`pip install labgrid`, or package labgrid" };

/// What is copied.
pub enum Source {
    File(PathBuf),
    /// The image alone.
    Image(Vec<u8>),
}

impl Source {
    /// From its start.
    pub fn open(&self) -> Result<Box<dyn Read + '_>, FlashError> {
        match self {
            Self::Image(bytes) => Ok(Box::new(bytes.as_slice())),
            Self::File(path) => match File::open(path) {
                Ok(file) => Ok(Box::new(file)),
                Err(error) => Err(FlashError::File { path: path.clone(), error }),
            },
        }
    }

    pub fn bytes(&self) -> Result<u64, FlashError> {
        match self {
            Self::Image(bytes) => Ok(bytes.len() as u64),
            Self::File(path) => {
                let found = std::fs::metadata(path);
                let failed = |error| FlashError::File { path: path.clone(), error };
                found.map(|found| found.len()).map_err(failed)
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Image(_) => f.write_str("the image"),
        }
    }
}

/// One thing to do.
pub enum Step {
    /// A disk image.
    Make { disk: Disk, path: PathBuf },
    /// Bytes to a place of a file or a disk; `part`: of a partition, too.
    Copy { from: Source, to: PathBuf, at: u64, part: bool },
    /// A small file.
    Write { path: PathBuf, bytes: Vec<u8> },
    /// One slot of a disk that has two.
    Slot { path: PathBuf, slot: Slot, image: Vec<u8>, tries: u8 },
    /// A tool with its arguments.
    Run { tool: Tool, arguments: Vec<String> },
    /// To U-Boot's prompt, and started.
    Serial(Serial),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Make { path, .. } => write!(f, "make {}", path.display()),
            Self::Copy { from, to, at: 0, .. } => {
                write!(f, "write {from} to {}, read it back", to.display())
            }
            Self::Copy { from, to, at, .. } => {
                write!(f, "write {from} to {} from byte {at} on, read it back", to.display())
            }
            Self::Write { path, .. } => write!(f, "write {}", path.display()),
            Self::Slot { path, slot, .. } => write!(
                f,
                "write the image to slot {slot} of {}, read it back, make it the new one",
                path.display()
            ),
            Self::Run { tool, arguments } => f.write_str(&command_line(tool, arguments)),
            Self::Serial(serial) => serial.fmt(f),
        }
    }
}

impl Step {
    /// The disk that would be overwritten, and what it is; None: none. A disk that must not be
    /// written and a tool that is not there are errors.
    pub fn look(&self) -> Result<Option<String>, FlashError> {
        match self {
            Self::Copy { to, part, .. } => {
                let known = Guard::host().look(to, *part)?;
                Ok(known.map(|known| {
                    let (gb, name) = (known.bytes / 1_000_000_000, to.display());
                    format!("{name}, {gb} GB {}", known.model).trim_end().to_owned()
                }))
            }
            Self::Slot { path, .. } => Guard::host().look(path, false).map(|_| None),
            Self::Run { tool, .. } => {
                let path = std::env::var_os("PATH").unwrap_or_default();
                match std::env::split_paths(&path).any(|room| room.join(tool.program).is_file()) {
                    true => Ok(None),
                    false => {
                        Err(FlashError::NoTool { program: tool.program, install: tool.install })
                    }
                }
            }
            Self::Make { .. } | Self::Write { .. } | Self::Serial(_) => Ok(None),
        }
    }

    /// Does it. The report is that of a system which was started.
    pub fn take(self) -> Result<Option<Report>, FlashError> {
        match self {
            Self::Make { disk, path } => disk.write(&path).map(|_| None),
            Self::Copy { from, to, at, part } => device::copy(&from, &to, at, part).map(|_| None),
            Self::Write { path, bytes } => written(&path, &bytes).map(|()| None),
            Self::Slot { path, slot, image, tries } => {
                update(&path, slot, &image, tries).map(|()| None)
            }
            Self::Run { tool, arguments } => called(&tool, &arguments).map(|()| None),
            Self::Serial(serial) => xmodem::send(serial).map(Some),
        }
    }
}

fn written(path: &Path, bytes: &[u8]) -> Result<(), FlashError> {
    let failed = |error| FlashError::File { path: path.to_owned(), error };
    path.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(failed)?;
    std::fs::write(path, bytes).map_err(failed)?;
    device::compare(path, 0, bytes, &std::fs::read(path).map_err(failed)?)
}

/// As it can be given to a shell.
fn command_line(tool: &Tool, arguments: &[String]) -> String {
    let plain = |word: &str| {
        !word.is_empty()
            && word.chars().all(|l| l.is_ascii_alphanumeric() || "-_./:=,+@".contains(l))
    };
    let quoted = |word: &String| match plain(word) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    };
    let words = std::iter::once(tool.program.to_owned()).chain(arguments.iter().map(quoted));
    words.collect::<Vec<_>>().join(" ")
}

fn called(tool: &Tool, arguments: &[String]) -> Result<(), FlashError> {
    let failed = |why: String| FlashError::Tool { command: command_line(tool, arguments), why };
    let status = Command::new(tool.program).args(arguments).stdin(Stdio::inherit()).status();
    let status = status.map_err(|error| failed(error.to_string()))?;
    if status.success() { Ok(()) } else { Err(failed(status.to_string())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted() {
        let words = ["-c", "load_image /a b/x.bin 0x1", "it's", ""].map(str::to_owned);
        let line = command_line(&OPENOCD, &words);
        assert_eq!(line, r"openocd -c 'load_image /a b/x.bin 0x1' 'it'\''s' ''");
    }
}
