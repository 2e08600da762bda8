// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Every number, size and time of a system and its board at its edges: refused, or a plan that
//! holds.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use codegen::emit::{constants, link, report};
use codegen::units::Time;

use crate::{rules, schedule, stand_in};

const NUMBERS: [&str; 8] =
    ["0", "1", "16", "255", "65535", "65536", "4294967295", "9223372036854775807"];
const SIZES: [&str; 6] = ["0 B", "1 B", "4 KiB", "2 MiB", "1 TiB", "16777215 TiB"];
const TIMES: [&str; 6] = ["0 ns", "1 ns", "1 us", "1 s", "1000000 s", "18446744073 s"];

/// Values of a text: where each is, and what to write there instead.
fn values(text: &str) -> Vec<(std::ops::Range<usize>, Vec<String>)> {
    let mut out = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let code = line.split('#').next().unwrap_or("");
        let mut rest = 0;
        while let Some(found) =
            code[rest..].find(['"', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
        {
            let start = rest + found;
            let quoted = code.as_bytes()[start] == b'"';
            let from = start + usize::from(quoted);
            let end = match quoted {
                true => code[from..].find('"').map_or(code.len(), |end| from + end),
                false => code[from..]
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .map_or(code.len(), |end| from + end),
            };
            rest = (end + usize::from(quoted)).min(code.len());
            let value = &code[from..end];
            let in_word = start > 0 && code.as_bytes()[start - 1].is_ascii_alphanumeric();
            let edges: &[&str] = match quoted {
                false if in_word || !code.contains('=') => &[],
                false => &NUMBERS,
                true if value.parse::<Time>().is_ok() => &TIMES,
                true if value.parse::<codegen::units::Size>().is_ok() => &SIZES,
                true => &[],
            };
            if !edges.is_empty() {
                let edges = edges.iter().map(|edge| (*edge).to_owned()).collect();
                out.push((at + from..at + end, edges));
            }
        }
        at += line.len();
    }
    out
}

type Files = [(PathBuf, String); 2];

/// A directory for a copy of the system at `path` and of its board: those two files, not yet
/// written.
fn room(name: &str, path: &str) -> (PathBuf, Files) {
    let root = tests::root();
    let room = stand_in::directory(name);
    fs::create_dir_all(room.join("boards")).unwrap();
    let partitions = room.join("partitions");
    if !partitions.exists() {
        std::os::unix::fs::symlink(root.join("partitions"), &partitions).unwrap();
    }
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let board = "boards/qemu-virt-gicv4.toml";
    let files = [(room.join("system.toml"), read(path)), (room.join(board), read(board))];
    (room, files)
}

/// What becomes of the system in `room`.
fn judge(room: &Path) -> &'static str {
    let Ok(system) = codegen::load(&room.join("system.toml")) else { return "not loaded" };
    let Ok(plan) = stand_in::plan(&system, room) else { return "refused" };
    rules::hold(&plan);
    schedule::hold(&plan);
    assert!(!constants::file(&plan).is_empty() && !link::fragment(&plan).is_empty());
    assert!(!report::text(&plan).is_empty() && !report::json(&plan).is_empty());
    "planned"
}

#[test]
fn a_number_at_its_edge_is_refused_or_planned() {
    let mut failed = Vec::new();
    let mut planned = 0;
    for (name, path) in [("demo", "configs/demo.toml"), ("modes", stand_in::MODES)] {
        let (room, files) = room(&format!("edges-{name}"), path);
        files.iter().for_each(|(path, text)| fs::write(path, text).unwrap());
        assert_eq!(judge(&room), "planned");
        // The board once.
        for (path, text) in files.iter().take(if name == "demo" { 2 } else { 1 }) {
            for (at, edges) in values(text) {
                for edge in edges {
                    let changed = [&text[..at.start], &edge, &text[at.end..]].concat();
                    fs::write(path, &changed).unwrap();
                    let line = 1 + text[..at.start].matches('\n').count();
                    match catch_unwind(AssertUnwindSafe(|| judge(&room))) {
                        Ok("planned") => planned += 1,
                        Ok(_) => {}
                        Err(_) => failed.push(format!("{}:{line}: {edge}", path.display())),
                    }
                }
            }
            fs::write(path, text).unwrap();
        }
    }
    assert!(planned > 100, "{planned}");
    assert!(failed.is_empty(), "{failed:#?}");
}

/// An SGI to such a CPU needs a feature that no register compared at boot shows.
#[test]
fn an_aff0_above_15_is_an_assumption() {
    let (room, [(system, text), (board, other)]) = room("edges-far", "configs/demo.toml");
    fs::write(system, text).unwrap();
    let told = |mpidr: &str| {
        let changed = other.replacen("mpidr = 0x003", mpidr, 1);
        fs::write(&board, changed).unwrap();
        let system = codegen::load(&room.join("system.toml")).unwrap();
        let plan = stand_in::plan(&system, &room).unwrap();
        plan.assumptions.iter().filter(|line| line.contains("Aff0 is above 15")).count()
    };
    assert_eq!((told("mpidr = 0x00f"), told("mpidr = 0x010")), (0, 1));
}
