// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `bulkhead import`: trees of our own (import/*.dts) and those that QEMU writes become boards that
//! a system can use, or one line that says why not.
//!
//! What becomes of NAME.dts is in NAME.txt; `BLESS=1` writes it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tests::{bulkhead, root};

/// The trees of our own, by name.
fn trees() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("tests/import")).unwrap();
    let mut trees: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    trees.retain(|path| path.extension().is_some_and(|ending| ending == "dts"));
    trees.sort();
    trees
}

fn import(arguments: &[&str]) -> Output {
    bulkhead().arg("import").args(arguments).output().unwrap()
}

/// A folder for one test.
fn room(name: &str) -> PathBuf {
    let room = Path::new(env!("CARGO_TARGET_TMPDIR")).join("import").join(name);
    fs::create_dir_all(&room).unwrap();
    room
}

/// hello and control have no errors on the board in `toml`.
fn usable(room: &Path, name: &str, toml: &str) {
    let board = room.join(format!("{name}.toml"));
    fs::write(&board, toml).unwrap();
    let console = if toml.contains("\nuart = ") { "" } else { "console = false\n" };
    let vm = |name: &str, cpu: u8| {
        format!(
            "[[vm]]\nname = \"{name}\"\npartition = \"{name}\"\n{console}vpes = [{{ cpu = \"cpu{cpu}\" \
             }}]\nmemory = [{{ size = \"2 MiB\" }}]\n"
        )
    };
    let system = room.join(format!("{name}-system.toml"));
    let head = format!("[system]\nname = \"imported\"\nboard = \"{}\"\n", board.display());
    fs::write(&system, head + &vm("hello", 0) + &vm("control", 1)).unwrap();
    let checked = bulkhead().arg("check").arg(&system).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{name}:\n{said}");
}

#[test]
fn each_tree_is_a_board_or_one_line() {
    let room = room("trees");
    for path in trees() {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let output = import(&[path.to_str().unwrap()]);
        let said = match output.status.success() {
            true => String::from_utf8(output.stdout).unwrap(),
            false => {
                let why = String::from_utf8(output.stderr).unwrap();
                assert_eq!(why.lines().count(), 1, "{why}");
                why.rsplit_once(".dts: ").unwrap().1.to_owned()
            }
        };
        let pinned = path.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&pinned, &said).unwrap();
        }
        assert_eq!(said, fs::read_to_string(&pinned).unwrap_or_default(), "{name}");
        if output.status.success() {
            usable(&room, name, &said);
        }
    }
}

/// What QEMU's machine says of itself.
fn dumped(room: &Path, name: &str, machine: &str) -> PathBuf {
    dumped_with(room, name, machine, 4)
}

/// The same with so many CPUs.
fn dumped_with(room: &Path, name: &str, machine: &str, cpus: u32) -> PathBuf {
    let path = room.join(format!("{name}.dtb"));
    let dump = format!("{machine},dumpdtb={}", path.display());
    let mut qemu = Command::new("timeout");
    qemu.args(["60", "qemu-system-aarch64", "-cpu", "cortex-a76", "-m", "8G"]);
    qemu.args(["-smp", &cpus.to_string()]);
    let output = qemu.args(["-nodefaults", "-nographic", "-M", &dump]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    path
}

#[test]
fn trees_of_qemu_are_boards() {
    let room = room("qemu");
    for (name, options) in [("v3", "3"), ("v4", "4"), ("smmu", "4,iommu=smmuv3")] {
        let machine = format!("virt,virtualization=on,gic-version={options}");
        let tree = dumped(&room, name, &machine);
        let output = import(&[tree.to_str().unwrap()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let toml = String::from_utf8(output.stdout).unwrap();
        usable(&room, name, &toml);
        // As the board that was written by hand has it.
        for line in ["base = 0x4000_0000", "size = \"8 GiB\"", "intx = [35, 36, 37, 38]"] {
            assert!(toml.contains(line), "{name}: no {line} in\n{toml}");
        }
        assert_eq!(toml.contains("smmu = \"smmu0\""), name == "smmu");
    }
    // More CPUs than its first region of redistributors holds.
    let machine = "virt,virtualization=on,gic-version=4";
    let tree = dumped_with(&room, "regions", machine, 62);
    let toml = String::from_utf8(import(&[tree.to_str().unwrap()]).stdout).unwrap();
    usable(&room, "regions", &toml);
    assert!(toml.contains("    { base = 0x40_0000_0000, size = \"64 MiB\" },"), "{toml}");
    let tree = dumped(&room, "hvc", "virt,gic-version=3");
    let why = String::from_utf8(import(&[tree.to_str().unwrap()]).stderr).unwrap();
    assert!(why.contains("not importable: PSCI is called by HVC"), "{why}");
}

#[test]
fn messages_of_linux_say_what_no_tree_has() {
    let room = room("messages");
    let tree = dumped(&room, "board", "virt,virtualization=on,gic-version=4");
    let messages = room.join("dmesg");
    let text = "GICv3: 256 SPIs implemented\n\
                GICv3: GICv4 features: \n\
                GICv3: CPU1: found redistributor 1 region 0:0x00000000080e0000\n\
                arch_timer: cp15 timer(s) running at 62.50MHz (phys).\n";
    fs::write(&messages, text).unwrap();
    let output = import(&[tree.to_str().unwrap(), "--dmesg", messages.to_str().unwrap()]);
    let toml = String::from_utf8(output.stdout).unwrap();
    for line in [
        "version = \"v4.0\"",
        "spis = 256",
        "redistributors = { base = 0x80a_0000, stride = \"256 KiB\", size = \"15744 KiB\" }",
        "frequency = 62500000",
    ] {
        assert!(toml.contains(line), "no {line} in\n{toml}");
    }
    usable(&room, "v4", &toml);
    fs::write(&messages, "CPU: All CPU(s) started at EL1\n").unwrap();
    let output = import(&[tree.to_str().unwrap(), "--dmesg", messages.to_str().unwrap()]);
    assert!(!output.status.success());
}

#[test]
fn a_running_linux_s_tree_is_a_board() {
    let room = room("live");
    let live = room.join("device-tree");
    let tree = dumped(&room, "board", "virt,virtualization=on,gic-version=3");
    let from_blob = import(&[tree.to_str().unwrap(), "--name", "board"]).stdout;
    // As Linux shows it: dtc reads such a directory, and fdtget none; so it is written by hand.
    let _ = fs::remove_dir_all(&live);
    unpack(&fs::read(&tree).unwrap(), &live);
    let from_live = import(&["--live", live.to_str().unwrap(), "--name", "board"]).stdout;
    let body = |toml: Vec<u8>| {
        let text = String::from_utf8(toml).unwrap();
        let (_, body) = text.split_once("[board]").unwrap();
        let mut lines: Vec<String> = body.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(body(from_blob), body(from_live));
}

/// A blob's nodes as directories, its properties as files, and each node's `name`.
fn unpack(blob: &[u8], directory: &Path) {
    let word = |at: usize| u32::from_be_bytes(blob[at..at + 4].try_into().unwrap()) as usize;
    let text = |at: usize| {
        let end = at + blob[at..].iter().position(|byte| *byte == 0).unwrap();
        std::str::from_utf8(&blob[at..end]).unwrap()
    };
    let (mut at, strings) = (word(8), word(12));
    let mut here = directory.to_owned();
    loop {
        let token = word(at);
        at += 4;
        match token {
            1 => {
                let name = text(at);
                here = if name.is_empty() { here } else { here.join(name) };
                fs::create_dir_all(&here).unwrap();
                fs::write(here.join("name"), name).unwrap();
                at += (name.len() + 1).next_multiple_of(4);
            }
            2 if here == directory => return,
            2 => here = here.parent().unwrap().to_owned(),
            3 => {
                let (bytes, name) = (word(at), word(at + 4));
                fs::write(here.join(text(strings + name)), &blob[at + 8..at + 8 + bytes]).unwrap();
                at += 8 + bytes.next_multiple_of(4);
            }
            _ => {}
        }
    }
}
