// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which boards QEMU scenarios run on.
//!
//! A scenario names a system and a system a board. A board of tests/qemu/boards counts for the one
//! in boards/ that it inherits, because it has that one's drivers and delivery.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use toml::Table;

/// Systems and boards that inherit each other in a circle are errors of their own.
const DEEPEST: usize = 8;

/// Names in boards/ of those that a scenario runs on whose verdict is "pass".
pub fn boards(root: &Path) -> BTreeSet<String> {
    let board = |path: &PathBuf| {
        let scenario = table(path).filter(passes)?;
        let name = scenario.get("system")?.as_str()?;
        let system = first(root, &["configs", "tests/qemu/systems"], name)?;
        home(root, &board_of(root, &system)?)
    };
    tomls(&root.join("tests/qemu/scenarios")).iter().filter_map(board).collect()
}

fn passes(scenario: &Table) -> bool {
    let expected = scenario.get("expect").and_then(|expect| expect.get("verdict"));
    expected.and_then(|verdict| verdict.as_str()) == Some("pass")
}

/// The TOMLs in a directory, sorted.
pub fn tomls(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.sort();
    paths
}

fn table(path: &Path) -> Option<Table> {
    fs::read_to_string(path).ok()?.parse().ok()
}

/// ROOM/NAME.toml of the first room that has it.
fn first(root: &Path, rooms: &[&str], name: &str) -> Option<PathBuf> {
    let paths = rooms.iter().map(|room| root.join(room).join(format!("{name}.toml")));
    paths.into_iter().find(|path| path.is_file())
}

/// The file that `name` stands for in `file`: a path from there, or a name in one of the rooms.
fn named(root: &Path, file: &Path, rooms: &[&str], name: &str) -> Option<PathBuf> {
    match name.ends_with(".toml") {
        true => Some(file.parent()?.join(name)),
        false => first(root, rooms, name),
    }
}

/// The board's TOML that a system names, or inherits.
fn board_of(root: &Path, system: &Path) -> Option<PathBuf> {
    let mut path = system.to_owned();
    for _ in 0..DEEPEST {
        let system = table(&path)?;
        let own = system.get("system").and_then(|own| own.get("board"));
        if let Some(name) = own.and_then(|name| name.as_str()) {
            return named(root, &path, &["tests/qemu/boards", "boards"], name);
        }
        let parent = system.get("inherit")?.as_str()?;
        path = named(root, &path, &["configs", "tests/qemu/systems"], parent)?;
    }
    None
}

/// The name in boards/ of a board, or of the nearest one there that it inherits.
fn home(root: &Path, board: &Path) -> Option<String> {
    let room = root.join("boards").canonicalize().ok()?;
    let mut path = board.to_owned();
    for _ in 0..DEEPEST {
        if path.parent()?.canonicalize().ok()? == room {
            return Some(path.file_stem()?.to_str()?.to_owned());
        }
        let board = table(&path)?;
        let parent = board.get("inherit")?.as_str()?;
        path = named(root, &path, &["tests/qemu/boards", "boards"], parent)?;
    }
    None
}
