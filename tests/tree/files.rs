// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The files of the tree, as git has them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// A text file, and where it is from the top on.
pub struct File {
    pub path: String,
    pub text: String,
}

impl File {
    /// Whether its name ends like one of these.
    pub fn is(&self, endings: &[&str]) -> bool {
        endings.iter().any(|ending| self.path.ends_with(ending))
    }

    pub fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

/// Every text file that git tracks and that is there.
pub fn all() -> &'static [File] {
    static FILES: OnceLock<Vec<File>> = OnceLock::new();
    FILES.get_or_init(|| {
        let output = Command::new("git").arg("ls-files").current_dir(tests::root()).output();
        let listed = String::from_utf8(output.expect("git runs").stdout).expect("names are text");
        let read = |path: &str| {
            let text = fs::read_to_string(tests::root().join(path)).ok()?;
            Some(File { path: path.to_string(), text })
        };
        let files: Vec<File> = listed.lines().filter_map(read).collect();
        assert!(files.len() > 100, "git lists the tree");
        files
    })
}

/// Whether there is such a file or folder; `*` stands for any letters but `/`.
pub fn exists(pattern: &str) -> bool {
    let pattern = pattern.trim_end_matches('/');
    if !pattern.contains('*') {
        return tests::root().join(pattern).exists();
    }
    let depth = pattern.split('/').count();
    all().iter().any(|file| {
        let parts: Vec<&str> = file.path.split('/').take(depth).collect();
        parts.len() == depth
            && parts.iter().zip(pattern.split('/')).all(|(part, pattern)| matches(part, pattern))
    })
}

/// Whether some file of the tree has this name, in whatever folder.
pub fn is_somewhere(name: &str) -> bool {
    let last = |file: &File| Path::new(&file.path).file_name().map(|last| last == name);
    all().iter().any(|file| last(file) == Some(true))
}

fn matches(text: &str, pattern: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return text == pattern };
    let Some(mut left) = text.strip_prefix(start) else { return false };
    loop {
        if matches(left, rest) {
            return true;
        }
        let mut letters = left.chars();
        if letters.next().is_none() {
            return false;
        }
        left = letters.as_str();
    }
}
