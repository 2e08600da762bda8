// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `bulkhead probe`: what it measures is what the boards' TOMLs say, and what they say wrongly is
//! shown and corrected.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::builds::Test;

pub const ALL: &[Test] = &[
    ("probe::qemu-virt-gicv4", || agrees("qemu-virt-gicv4")),
    ("probe::qemu-virt-gicv3", || agrees("qemu-virt-gicv3")),
    ("probe::qemu-virt-gicv3-noits", || agrees("qemu-virt-gicv3-noits")),
    ("probe::qemu-virt-smmu", || agrees("qemu-virt-smmu")),
    ("probe::qemu-sbsa", || agrees("qemu-sbsa")),
    ("probe::qemu-versal", || agrees("qemu-versal")),
    ("probe::a_wrong_board_is_corrected", wrong),
    ("probe::hardware_is_read_later", later),
    ("page::from_a_tree_to_a_booted_board", page),
];

/// What is wrong in `tests/qemu/boards/qemu-virt-probe-wrong.toml` and has no key to correct.
const LEFT: [&str; 2] = [
    "no function at 00:09.0 of pcie0: [[device]] or [[bridge]] \"ghost\"",
    "no answer at 0xb000000: base of [[smmu]] of \"smmu0\"",
];

/// The standard output and the status of `bulkhead probe`.
fn probe(arguments: &[&str]) -> Result<(String, Option<i32>), String> {
    let output = tests::bulkhead()
        .arg("probe")
        .args(arguments)
        .current_dir(tests::root())
        .output()
        .map_err(|error| format!("bulkhead does not start: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let why = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0 | 5) => Ok((said, output.status.code())),
        other => Err(format!("{arguments:?}: status {other:?}\n{said}{why}")),
    }
}

fn agrees(board: &str) -> Result<(), String> {
    let (said, status) = probe(&[board])?;
    // Nothing that was not measured counts as agreeing.
    let all = said.lines().count() == 1 && said.contains("is as measured");
    if status != Some(0) || !all {
        return Err(said);
    }
    let kept = tests::root().join("target/bulkhead/probes").join(board);
    let measured = fs::read_to_string(kept.join("measured.toml")).map_err(|why| why.to_string())?;
    for key in ["mpidr = ", "list_registers = ", "frequency = ", "maintenance = ", "GICD_IIDR = "] {
        if !measured.contains(key) {
            return Err(format!("no {key}in\n{measured}"));
        }
    }
    // A reserved register that is read is a line there.
    let log = fs::read_to_string(kept.join("scratch/qemu.log")).map_err(|why| why.to_string())?;
    match log.lines().find(|line| line.contains("gic") || line.contains("smmu")) {
        Some(line) => Err(format!("QEMU says {line}")),
        None => Ok(()),
    }
}

fn wrong() -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    let room = Path::new(env!("CARGO_TARGET_TMPDIR")).join("probe");
    fs::create_dir_all(&room).map_err(failed)?;
    let board = room.join("qemu-virt-probe-wrong.toml");
    let from = tests::root().join("tests/qemu/boards/qemu-virt-probe-wrong.toml");
    let old = fs::read_to_string(from).map_err(failed)?;
    fs::write(&board, &old).map_err(failed)?;
    let path = board.display().to_string();

    let (shown, status) = probe(&[&path])?;
    let mut wanted = vec![
        "no redistributor has the affinity 0x102 of [[cpu]] \"cpu2\"",
        "-address_bits = 48",
        "+address_bits = 40",
        "-mpidr = 0x102 # of another cluster",
        "+mpidr = 0x2 # of another cluster",
        "-spis = 288",
        "+spis = 256",
        "-redistributors = { stride = \"128 KiB\" }",
        "+redistributors = { stride = \"256 KiB\" }",
        "-device_id_bits = 20",
        "+device_id_bits = 16",
        "-virtual = 28",
        "+virtual = 27",
        "+bars = [{ index = 0, size = \"16 KiB\", wide = true }]",
    ];
    wanted.extend(LEFT);
    if let Some(line) = wanted.iter().find(|line| !shown.contains(**line)) {
        return Err(format!("no \"{line}\" in\n{shown}"));
    }
    if status != Some(5) || fs::read_to_string(&board).map_err(failed)? != old {
        return Err(format!("status {status:?}, or the board was written\n{shown}"));
    }

    // Written, only what has no key is left.
    probe(&[&path, "--write"])?;
    let (shown, status) = probe(&[&path])?;
    if status != Some(5) || shown.lines().count() != LEFT.len() + 1 {
        return Err(format!("after --write:\n{shown}"));
    }
    match LEFT.iter().find(|line| !shown.contains(**line)) {
        Some(line) => Err(format!("no \"{line}\" in\n{shown}")),
        None => Ok(()),
    }
}

/// A board that QEMU does not have: the image is built, and what a console said is read.
fn later() -> Result<(), String> {
    let (said, status) = probe(&["radxa-rock-5b"])?;
    let directory = "target/bulkhead/probes/radxa-rock-5b";
    for file in ["bulkhead.bin", "bulkhead.itb", "bulkhead.efi"] {
        let there = tests::root().join(directory).join(file).is_file();
        if !there || !said.contains(&format!("{directory}/{file}\n")) {
            return Err(format!("no {file}: {said}"));
        }
    }
    if status != Some(0) || !said.contains("bulkhead probe radxa-rock-5b --from ") {
        return Err(said);
    }
    Ok(())
}

/// docs/boards.md from a tree to a booted board, line by line as a reader would type it.
fn page() -> Result<(), String> {
    const BEGIN: &str = "mkdir -p target/try && cd target/try\n";
    let text = include_str!("../../../docs/boards.md");
    let begin = text.find(BEGIN).ok_or("docs/boards.md has no lines to run")?;
    let lines = text[begin..].split("```").next().unwrap_or_default();
    let _ = fs::remove_dir_all(tests::root().join("target/try"));
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", lines])
        .current_dir(tests::root())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("bash does not start: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let why = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{}\n{said}{why}", output.status));
    }
    // What import guesses wrongly of this tree, and what nobody could know.
    for line in [
        "-entry_size = 8",
        "+entry_size = 12",
        "+# Measured by the probe.",
        "virt: is as measured",
        "mysystem: no errors",
        "boot script: bulkhead.bin of virtio 0:1",
        "bulkhead: system mysystem on virt",
        "[hello] passed",
        "bulkhead: result: pass",
    ] {
        if !said.contains(line) {
            return Err(format!("no \"{line}\" in\n{said}{why}"));
        }
    }
    Ok(())
}
