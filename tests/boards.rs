// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Every board of boards/ takes a system: pair.toml with another `board`.

use std::fs;
use std::path::{Path, PathBuf};

use codegen::model::Board;
use tests::{bulkhead, root};

/// Boards whose images are made in the default suite: clusters and an HSCIF; a GIC that is not
/// coherent and a 16550; several regions of redistributors and vLPIs.
const LINKED: [&str; 3] = ["renesas-s4-spider", "radxa-rock-5b", "hisilicon-d05"];

/// The boards, by name.
fn names() -> Vec<String> {
    let entries = fs::read_dir(root().join("boards")).unwrap();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".toml").map(str::to_owned))
        .collect();
    names.sort();
    names
}

/// pair.toml on `board`; without a UART there, VMs have no console. `test` keeps its files apart.
fn system(test: &str, board: &str) -> (PathBuf, Board) {
    let room = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pairs").join(test);
    fs::create_dir_all(&room).unwrap();
    let path = room.join(format!("{board}.toml"));
    let text = |console: &str| {
        format!(
            "inherit = \"{0}/tests/pair.toml\"\n[system]\nname = \"{test}-{board}\"\n\
             board = \"{0}/boards/{board}.toml\"\n{console}",
            root().display()
        )
    };
    fs::write(&path, text("")).unwrap();
    let described =
        codegen::load(&path).unwrap_or_else(|report| panic!("{}", report.render(false)));
    if described.board.console.is_none() {
        let mute = |vm: &str| format!("[[vm]]\nname = \"{vm}\"\nconsole = false\n");
        fs::write(&path, text(&(mute("hello") + &mute("control")))).unwrap();
    }
    (path, described.board)
}

fn must(command: &str, system: &Path) {
    let output = bulkhead().arg(command).arg(system).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command} {}:\n{said}", system.display());
}

#[test]
fn each_board_has_room_for_two_vms() {
    let names = names();
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        let (system, _) = system("room", &name);
        must("check", &system);
        must("plan", &system);
    }
}

/// What nobody has run says where it comes from, and what is to be known before it is tried.
#[test]
fn a_board_of_hardware_says_what_is_untried() {
    for name in names() {
        let (_, board) = system("untried", &name);
        if board.qemu.is_some() {
            continue;
        }
        assert!(board.source.is_some() && board.boot.is_some(), "{name}: no source or no boot");
        let text = fs::read_to_string(root().join(format!("boards/{name}.toml"))).unwrap();
        for part in ["# Source: ", "# Boot: ", "# Firmware: ", "# Untried: "] {
            assert!(text.lines().any(|line| line.starts_with(part)), "{name}: no `{part}`");
        }
    }
}

/// The tables of boards, and whatever else `bulkhead schema` writes.
#[test]
fn generated_pages_are_up_to_date() {
    let output = bulkhead().args(["schema", "--check"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn images_link() {
    LINKED.iter().for_each(|name| must("image", &system("images", name).0));
}

#[test]
#[ignore = "makes an image for each board"]
fn all_images_link() {
    let mut names = names();
    names.retain(|name| !LINKED.contains(&name.as_str()));
    names.iter().for_each(|name| must("image", &system("all", name).0));
}
