// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How much of a user's file is looked at.
//!
//! Every file is read by [`read`]: only a regular one, and never more than its kind may have. A
//! pipe would be waited on for ever, and a packed file of kilobytes can become gigabytes. What is
//! above a bound is an error that says the bound.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// A TOML. The biggest here has 10 KiB.
pub const TOML: u64 = 1 << 20;
/// A payload, an initial RAM disk or an image of memory.
pub const PAYLOAD: u64 = 1 << 30;
/// What an Image or an ELF file unpacks to, and what an ELF file's segments come to.
pub const UNPACKED: u64 = 512 << 20;
/// A device tree or an overlay (Linux's MAX_FDT_SIZE).
pub const TREE: u64 = 2 << 20;
/// Nodes within each other (Linux's FDT_MAX_DEPTH).
pub const TREE_DEPTH: usize = 64;
/// Diagnostics that are shown.
pub const DIAGNOSTICS: usize = 100;
/// Windows of a CPU's frame.
pub const WINDOWS: usize = 256;

/// The file's length, if it is one that ends.
pub fn length(path: &Path) -> io::Result<u64> {
    let metadata = fs::metadata(path)?;
    match (metadata.is_file(), metadata.is_dir()) {
        (true, _) => Ok(metadata.len()),
        (_, true) => Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory")),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")),
    }
}

/// All of a regular file of at most `most` bytes.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    length(path)?;
    let mut bytes = Vec::new();
    // The length may be wrong, as that of files in /proc is.
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > most {
        true => Err(too_big(most)),
        false => Ok(bytes),
    }
}

/// For what is bigger than `most`.
pub fn too_big(most: u64) -> io::Error {
    let most = crate::units::Size(most);
    io::Error::new(io::ErrorKind::FileTooLarge, format!("it is bigger than {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_end_is_not_read() {
        for endless in ["/dev/zero", "/dev/tty", "/"] {
            assert!(read(Path::new(endless), TREE).is_err(), "{endless}");
        }
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert_eq!(read(&own, TOML).unwrap(), fs::read(&own).unwrap());
        assert_eq!(read(&own, 10).unwrap_err().to_string(), "it is bigger than 10 B");
    }
}
