// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What every line and every source file has: a width, and a licence.

use crate::files::{self, File};
use crate::names;

const COLUMNS: usize = 100;
const LICENCE: &str = "SPDX-License-Identifier: Apache-2.0 OR MIT";

/// Made by a program, or pinned as one printed it.
fn is_output(file: &File) -> bool {
    file.path.starts_with("tests/plans/")
}

fn comment(file: &File) -> Option<&'static str> {
    match () {
        () if file.is(&[".rs", ".s", ".c", ".dts", ".dtsi"]) => Some("//"),
        () if file.is(&[".sh", ".toml", "Justfile", ".ci/run"]) => Some("#"),
        () if file.is(&[".ld", ".css"]) => Some("/*"),
        () => None,
    }
}

/// Prose of pages and lines of comments. Tables and drawings have no other form; code is rustfmt's.
#[test]
fn no_text_is_wider_than_a_page() {
    let mut wide = Vec::new();
    for file in files::all().iter().filter(|file| !is_output(file)) {
        let (prose, _) = names::split(&file.text);
        let page = file.is(&[".md"]);
        let text = if page { &prose } else { &file.text };
        let is_text = |line: &&str| {
            let comment = comment(file).filter(|mark| line.trim_start().starts_with(mark));
            let text = line.trim_start().trim_start_matches(['/', '!', '#', '*']);
            let drawn = text.trim_start().starts_with('|') || text.contains("---");
            (page || comment.is_some()) && !drawn
        };
        let lines = text.lines().filter(is_text).filter(|line| line.chars().count() > COLUMNS);
        wide.extend(lines.map(|line| format!("{}: {line}", file.path)));
    }
    assert!(wide.is_empty(), "wider than {COLUMNS} columns:\n{}", wide.join("\n"));
}

/// Manifests say it in their own way. Other TOMLs and trees of tests are data.
#[test]
fn every_source_file_names_its_licence() {
    let data = |file: &&File| is_output(file) || file.path.starts_with("tests/bad/");
    let without = |file: &&File| {
        let first: Vec<&str> = file.text.lines().take(2).collect();
        match comment(file) {
            Some(_) if file.is(&["Cargo.toml"]) => !file.text.contains("license"),
            Some(_) if file.is(&[".toml"]) => false,
            Some(_) => !first.iter().any(|line| line.contains(LICENCE)),
            None => false,
        }
    };
    let files = files::all().iter().filter(|file| !data(file));
    let without: Vec<&str> = files.filter(without).map(|file| file.path.as_str()).collect();
    assert!(without.is_empty(), "without `{LICENCE}`: {without:#?}");
}
