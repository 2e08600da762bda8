// SPDX-License-Identifier: Apache-2.0 OR MIT
//! QEMU's log of wrong use: the only trace of a rejected ITS command.

use std::fs;
use std::path::Path;

use super::RunError;

/// Lines kept of a log; a loop in a guest could fill a disk.
const KEPT: usize = 200;

/// What QEMU wrote to the file of `-D`, at most [`KEPT`] lines.
pub fn read(path: &Path) -> Result<Vec<String>, RunError> {
    let bytes =
        fs::read(path).map_err(|error| RunError::File { path: path.to_path_buf(), error })?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().filter(|line| !line.trim().is_empty()).take(KEPT).map(str::to_owned).collect())
}
