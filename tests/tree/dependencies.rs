// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Every dependency of a package is used by it.

use std::collections::BTreeSet;

use crate::files::{self, File};

/// The crate's own files: those below its folder that are of no package further down.
fn sources<'a>(folder: &str, packages: &[&str]) -> impl Iterator<Item = &'a File> {
    let below =
        |path: &str, folder: &str| folder.is_empty() || path.starts_with(&format!("{folder}/"));
    let further: Vec<String> = packages
        .iter()
        .filter(|other| other.len() > folder.len() && below(other, folder))
        .map(ToString::to_string)
        .collect();
    let folder = folder.to_string();
    files::all().iter().filter(move |file| {
        file.is(&[".rs"])
            && below(&file.path, &folder)
            && !further.iter().any(|other| below(&file.path, other))
    })
}

fn names(table: &toml::Table) -> BTreeSet<String> {
    const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let here = KINDS.iter().filter_map(|kind| table.get(*kind)?.as_table());
    let mut names: BTreeSet<String> = here.flat_map(|table| table.keys().cloned()).collect();
    for target in table.get("target").and_then(toml::Value::as_table).into_iter().flatten() {
        names.extend(target.1.as_table().map(self::names).unwrap_or_default());
    }
    names
}

#[test]
fn every_dependency_is_used() {
    let manifests: Vec<&File> =
        files::all().iter().filter(|file| file.path.ends_with("Cargo.toml")).collect();
    let packages: Vec<&str> = manifests.iter().map(|file| file.folder()).collect();
    let mut unused = Vec::new();
    let mut inherited = BTreeSet::new();
    for manifest in &manifests {
        let table: toml::Table = manifest.text.parse().expect("cargo reads it");
        // A crate's source may be another package's, too.
        let library = table.get("lib").and_then(|library| library.get("path")?.as_str());
        let elsewhere = library.filter(|path| path.starts_with("../"));
        let elsewhere = elsewhere.map(|path| join(manifest.folder(), path));
        let folder = elsewhere.as_deref().unwrap_or(manifest.folder());
        for name in names(&table) {
            let path = name.replace('-', "_");
            let uses = [format!("{path}::"), format!("use {path};"), format!("use {path} ")];
            let mut sources = sources(folder, &packages);
            if !sources.any(|file| uses.iter().any(|uses| has_word(&file.text, uses))) {
                unused.push(format!("{}: {name}", manifest.path));
            }
            inherited.insert(name);
        }
    }
    let top: toml::Table = manifests[0].text.parse().expect("cargo reads it");
    let offered = top["workspace"]["dependencies"].as_table().expect("a table");
    unused.extend(offered.keys().filter(|name| !inherited.contains(*name)).cloned());
    assert!(unused.is_empty(), "not used: {unused:#?}");
}

/// The package's folder of a path from `folder` to a `src/lib.rs`.
fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').collect();
    for part in path.trim_end_matches("/src/lib.rs").split('/') {
        match part {
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// `text` has `word`, and not as the end of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let begins = |at: usize| {
        let before = text[..at].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_' || letter == ':')
    };
    text.match_indices(word).any(|(at, _)| begins(at) || text[..at].ends_with(" ::"))
}

/// The Rust version that packages name is the one that everything here is built with.
#[test]
fn the_rust_version_is_the_one_that_is_tried() {
    let table = |path: &str| -> toml::Table {
        let file = files::all().iter().find(|file| file.path == path).expect("it is in the tree");
        file.text.parse().expect("cargo and rustup read it")
    };
    let (workspace, toolchain) = (table("Cargo.toml"), table("rust-toolchain.toml"));
    let named = workspace["workspace"]["package"]["rust-version"].as_str().expect("a text");
    let tried = toolchain["toolchain"]["channel"].as_str().expect("a text");
    assert_eq!(tried.strip_suffix(".0").unwrap_or(tried), named);
}
