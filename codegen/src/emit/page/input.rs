// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The files that a plan was made from, by digest.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::model::System;

/// A file that a plan was made from.
pub struct Input {
    /// From the root of the tree on; of a file elsewhere, its name.
    pub name: String,
    pub bytes: usize,
    /// SHA-256, as sha256sum prints it.
    pub digest: String,
}

/// The system's TOMLs as they were read, then the payloads' files. One that cannot be read any more
/// is left out: the plan was made before.
pub fn inputs(system: &System, files: &[PathBuf], root: &Path) -> Vec<Input> {
    let sources = system.sources.iter();
    let mut all: Vec<Input> =
        sources.map(|source| Input::new(&source.path, source.text.as_bytes(), root)).collect();
    let mut files: Vec<&PathBuf> = files.iter().collect();
    files.sort();
    files.dedup();
    let read = |file: &PathBuf| Some(Input::new(file, &std::fs::read(file).ok()?, root));
    all.extend(files.into_iter().filter_map(read));
    all
}

impl Input {
    fn new(path: &Path, bytes: &[u8], root: &Path) -> Self {
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let name = match whole.strip_prefix(root) {
            Ok(inside) => inside.display().to_string(),
            Err(_) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        };
        let mut digest = String::new();
        for byte in Sha256::digest(bytes) {
            // Writing to a String cannot fail.
            let _ = write!(digest, "{byte:02x}");
        }
        Self { name, bytes: bytes.len(), digest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_sha256sum_s_and_a_name_has_no_place_of_the_machine() {
        let input = Input::new(Path::new("/tree/configs/a.toml"), b"abc", Path::new("/tree"));
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!((input.name.as_str(), input.digest.as_str()), ("configs/a.toml", abc));
        let elsewhere = Input::new(Path::new("/home/her/Image"), b"", Path::new("/tree"));
        assert_eq!(elsewhere.name, "Image");
    }
}
