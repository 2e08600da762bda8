// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `bulkhead flash`: what is done for each kind of target.
//!
//! Tools of others are scripts here that record how they were called. That shows our command lines,
//! and not that the tools take them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use super::{path, room};

const TOOLS: [&str; 4] = ["uuu", "openocd", "fastboot", "labgrid-client"];
const FAKE: &str = "#!/bin/sh\n{ printf %s \"${0##*/}\"; printf ' <%s>' \"$@\"; echo; } >>\"$CALLS\"\nexit ${FAILS:-0}\n";

const TARGETS: &str = r#"
[[target]]
name = "usb"
kind = "uuu"
bootloader = "flash.bin"
storage = "sd"
layout = { raw = [{ file = "flash.bin", at = "32 KiB" }] }

[[target]]
name = "jtag"
kind = "openocd"
config = ["interface/x.cfg", "board.cfg"]
before = ["targets soc.a53.0"]

[[target]]
name = "fast"
kind = "fastboot"
partition = "boot"
serial = "0123"
image_only = true

[[target]]
name = "lab"
kind = "labgrid"
place = "board-7"
mux = true
power = true

[[target]]
name = "raw"
kind = "raw"
device = "emmc.img"
at = "1 MiB"

[[target]]
name = "null"
kind = "disk"
device = "/dev/null"
"#;

/// The command with these arguments, in a room with targets and firmware.
fn flash(room: &Path, arguments: &[&str], fails: &str) -> Output {
    fs::write(room.join("targets.toml"), TARGETS).unwrap();
    fs::write(room.join("flash.bin"), b"firmware").unwrap();
    fs::write(room.join("board.cfg"), b"").unwrap();
    let mut command = tests::bulkhead();
    command.args(["flash", "hello", "--targets"]).arg(room.join("targets.toml")).args(arguments);
    command.env("PATH", path(room)).env("CALLS", room.join("calls")).env("FAILS", fails);
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn tools_are_called_as_they_are_documented() {
    let room = room("flash-tools");
    let calls = room.join("calls");
    let _ = fs::remove_file(&calls);
    let none = flash(&room, &["--to", "usb"], "0");
    if !Path::new("/usr/bin/uuu").exists() {
        assert_eq!(none.status.code(), Some(1));
        assert!(said(&none).contains("uuu is not in PATH: package uuu"), "{none:?}");
    }
    for tool in TOOLS {
        fs::write(room.join(tool), FAKE).unwrap();
        fs::set_permissions(room.join(tool), fs::Permissions::from_mode(0o755)).unwrap();
    }
    for target in ["usb", "jtag", "fast", "lab"] {
        let dry = flash(&room, &["--to", target, "--dry-run"], "0");
        assert!(dry.status.success() && !calls.exists(), "{dry:?}");
        let output = flash(&room, &["--to", target], "0");
        assert!(output.status.success(), "{output:?}");
        let called = fs::read_to_string(&calls).unwrap();
        fs::remove_file(&calls).unwrap();
        // What the dry run printed is what was called.
        let printed = String::from_utf8_lossy(&dry.stdout).into_owned();
        let tools = || printed.lines().filter(|line| !line.starts_with("make "));
        assert_eq!(tools().count(), called.lines().count(), "{printed}\n{called}");
        let words = match target {
            "usb" => "uuu <-b> <sd_all> <",
            "jtag" => "openocd <-f> <interface/x.cfg> <-f> <",
            "fast" => "fastboot <-s> <0123> <flash> <boot> <target/bulkhead/hello/bulkhead.bin>",
            _ => "labgrid-client <-p> <board-7> <power> <off>",
        };
        assert!(called.starts_with(words), "{called}");
        match target {
            "usb" => assert!(called.ends_with("/flash.bin> <target/bulkhead/hello/disk.img>\n")),
            "jtag" => {
                let order = [
                    "<init>",
                    "<targets soc.a53.0>",
                    "<halt>",
                    "<load_image {",
                    "<verify_image {",
                    "<resume 0x",
                    "<shutdown>",
                ];
                let at: Vec<_> = order.iter().map(|word| called.find(word)).collect();
                assert!(at.iter().all(Option::is_some) && at.is_sorted(), "{called}");
            }
            "lab" => {
                let rest: Vec<&str> =
                    called.lines().filter_map(|l| l.split("<board-7> ").nth(1)).collect();
                let disk = "<write-image> <target/bulkhead/hello/disk.img>";
                assert_eq!(
                    rest,
                    ["<power> <off>", "<sd-mux> <host>", disk, "<sd-mux> <dut>", "<power> <on>"]
                );
            }
            _ => {}
        }
    }
    let failed = flash(&room, &["--to", "lab"], "3");
    assert_eq!(failed.status.code(), Some(1));
    assert!(said(&failed).contains("labgrid-client -p board-7 power off: exit status: 3"));
    assert_eq!(fs::read_to_string(&calls).unwrap().lines().count(), 1, "it stops there");
}

#[test]
fn an_image_goes_to_its_place_and_nothing_else_changes() {
    let room = room("flash-raw");
    let disk = room.join("emmc.img");
    fs::write(&disk, vec![0x77; 4 << 20]).unwrap();
    let output = flash(&room, &["--to", "raw"], "0");
    assert!(output.status.success(), "{output:?}");
    let disk = fs::read(disk).unwrap();
    assert_eq!(disk.len(), 4 << 20);
    assert!(disk[..1 << 20].iter().all(|&byte| byte == 0x77));
    assert_eq!(&disk[(1 << 20) + 0x38..][..4], b"ARM\x64");
    assert!(disk[3 << 20..].iter().all(|&byte| byte == 0x77));
}

#[test]
fn what_cannot_be_is_one_line() {
    let room = room("flash-wrong");
    for (arguments, status, why) in [
        (&["--to", "nobody"][..], 2, "there is no target \"nobody\"; there are: usb, jtag"),
        (&["--to", "null"], 1, "/dev/null: it is neither a disk nor a file; nothing was written"),
        (&["--to", "null", "--slot", "b"], 1, "target `null` has one slot"),
        (&["--to", "raw", "--slot", "b"], 1, "--slot is for a target of kind \"disk\""),
    ] {
        let output = flash(&room, arguments, "0");
        assert_eq!(output.status.code(), Some(status), "{output:?}");
        assert!(said(&output).contains(why), "{output:?}");
    }
}
