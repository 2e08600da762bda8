// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What `bulkhead flash` makes, found and started by Debian's U-Boot in QEMU; the console is read
//! by `bulkhead console`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::images::{Image, Images};
use crate::lines::{Board, Console, waiting};

/// A test's name, and the test.
type Test = (&'static str, fn(&Images) -> Result<(), String>);

pub const ALL: &[Test] = &[
    ("flash::a_disk_image_boots", disk),
    ("flash::a_slot_that_fails_goes_back", slots),
    ("flash::by_tftp", tftp),
    ("flash::by_xmodem", xmodem),
];

const U_BOOT: [&str; 2] = ["-bios", "/usr/lib/u-boot/qemu_arm64/u-boot.bin"];

fn disk(images: &Images) -> Result<(), String> {
    let room = Room::new("disk", "kind = \"disk\"\ndevice = \"card.img\"")?;
    let image = images.get("hello")?;
    room.flash("hello", &[])?;
    let (_board, mut console) = room.boot(&image)?;
    console.after("boot script: bulkhead.bin of virtio 0:1")?;
    console.after("bulkhead: result: pass")?;
    console.status(0)
}

/// The new image in slot b resets the board each time it starts. After two attempts slot a is back,
/// and stays.
fn slots(images: &Images) -> Result<(), String> {
    let keys = "kind = \"disk\"\ndevice = \"card.img\"\nlayout = { slots = 2, tries = 2 }";
    let room = Room::new("slots", keys)?;
    let image = images.get("hello")?;
    images.get("slot-fails")?;
    room.flash("hello", &[])?;
    room.flash("tests/qemu/systems/slot-fails.toml", &["--slot", "b"])?;
    let (board, mut console) = room.boot(&image)?;
    for line in [
        "boot script: slot b, attempt 1 of 2, new 1",
        "boot script: slot b, attempt 2 of 2, new 1",
        "boot script: slot b has not started, back to slot a",
        "boot script: slot a, attempt 0 of 2, new 0",
        "[hello]",
        "bulkhead: result: pass",
    ] {
        console.after(line)?;
    }
    console.send(b"\x1dq")?;
    console.status(0)?;
    drop(board);

    let (board, mut console) = room.boot(&image)?;
    console.after("boot script: slot a, attempt 0 of 2, new 0")?;
    console.after("bulkhead: result: pass")?;
    console.send(b"\x1dq")?;
    console.status(0)?;
    drop(board);

    // What `altbootcmd` does, where U-Boot itself counts.
    let (_board, mut console) = room.boot(&image)?;
    console.after("Net:")?;
    console.send(b"\r\rsetenv slot_failed 1; run distro_bootcmd\r")?;
    console.after("boot script: slot a has not started, back to slot b")?;
    console.after("boot script: slot b, attempt 0 of 2, new 0")
}

/// The server is QEMU's own.
fn tftp(images: &Images) -> Result<(), String> {
    let room = Room::new("tftp", "kind = \"tftp\"\nfolder = \"served\"")?;
    let image = images.get("hello")?;
    room.flash("hello", &[])?;
    let served = room.0.join("served");
    let net = format!("user,id=net0,tftp={},bootfile=boot.scr.uimg", served.display());
    let more = ["-netdev", &net, "-device", "virtio-net-pci,netdev=net0,romfile="];
    let (_board, place) = waiting(&image, "telnet", &[&U_BOOT[..], &more].concat())?;
    let mut console = Console::on(&place)?;
    console.after("boot script: hello/bulkhead.bin by TFTP")?;
    console.after("bulkhead: result: pass")?;
    console.status(0)
}

fn xmodem(images: &Images) -> Result<(), String> {
    let image = images.get("hello")?;
    let (_board, place) = waiting(&image, "tcp", &U_BOOT)?;
    let room = Room::new("xmodem", &format!("kind = \"xmodem\"\nline = \"tcp:{place}\""))?;
    let mut command = tests::bulkhead();
    command.args(["flash", "hello", "--to", "board", "--targets"]).arg(room.targets());
    let mut console = Console::of(command, "waiting for U-Boot's prompt")?;
    console.after("bulkhead: result: pass")?;
    console.status(0)
}

/// A folder with a file of one target, `board`.
struct Room(PathBuf);

impl Room {
    fn new(name: &str, keys: &str) -> Result<Self, String> {
        let room = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("flash-{name}")));
        let _ = fs::remove_dir_all(&room.0);
        fs::create_dir_all(&room.0).map_err(|error| error.to_string())?;
        let text = format!("[[target]]\nname = \"board\"\n{keys}\n");
        fs::write(room.targets(), text).map_err(|error| error.to_string())?;
        Ok(room)
    }

    fn targets(&self) -> PathBuf {
        self.0.join("targets.toml")
    }

    fn flash(&self, system: &str, more: &[&str]) -> Result<(), String> {
        // Two at a time would make one disk.img.
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut command = tests::bulkhead();
        command.args(["flash", system, "--to", "board", "--targets"]).arg(self.targets());
        let output = command.args(more).output().map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// U-Boot, with the disk that was written.
    fn boot(&self, image: &Image) -> Result<(Board, Console), String> {
        let drive =
            format!("file={},format=raw,if=none,id=card", self.0.join("card.img").display());
        let more = ["-drive", &drive, "-device", "virtio-blk-pci,drive=card"];
        let (board, place) = waiting(image, "telnet", &[&U_BOOT[..], &more].concat())?;
        let mut command = tests::bulkhead();
        command.args(["console", &place]);
        // A board that is reset has said that it stops.
        if self.0.ends_with("flash-slots") {
            command.arg("--stay");
        }
        Ok((board, Console::of(command, "listening to")?))
    }
}
