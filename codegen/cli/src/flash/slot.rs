// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Two images on one disk, and the file that says which starts.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::str::FromStr;

use super::FlashError;
use super::device::{self, Guard};
use super::disk::{opened, partition};

/// The file that the boot script reads and writes, and a guest that marks a slot good.
pub const STATE: &str = "slots.env";

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    A,
    B,
}

impl Slot {
    /// The image's file on the partition.
    pub fn file(self) -> String {
        format!("bulkhead-{self}.bin")
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "a",
            Self::B => "b",
        })
    }
}

impl FromStr for Slot {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "a" => Ok(Self::A),
            "b" => Ok(Self::B),
            _ => Err("a slot is a or b".into()),
        }
    }
}

/// The state file. `new`: attempts are counted until somebody writes `slot_new=0`.
pub fn state(slot: Slot, new: bool, tries: u8) -> String {
    let new = u8::from(new);
    format!("slot={slot}\nslot_new={new}\nslot_count=0\nslot_tries={tries}\n")
}

/// Writes `image` into one slot of the disk at `path`, which has two, and makes it the new one. All
/// else on the disk stays.
pub fn update(path: &Path, slot: Slot, image: &[u8], tries: u8) -> Result<(), FlashError> {
    let failed = |error| FlashError::File { path: path.to_owned(), error };
    Guard::host().look(path, false)?;
    let mut open = OpenOptions::new();
    let file = device::exclusive(&mut open, path).open(path).map_err(failed)?;
    let window = partition(&file).map_err(failed)?;
    let window = window.ok_or_else(|| {
        FlashError::Other(format!(
            "{}: no disk of ours: write it without --slot first",
            path.display()
        ))
    })?;
    {
        let fat = opened(window).map_err(failed)?;
        let root = fat.root_dir();
        if root.open_file(&Slot::A.file()).is_err() || root.open_file(&Slot::B.file()).is_err() {
            let why = format!(
                "{}: it has no two slots: `slots = 2` of the target's layout, and write it without --slot first",
                path.display()
            );
            return Err(FlashError::Other(why));
        }
        // The state last: until then the other slot is what starts.
        for (name, bytes) in
            [(slot.file(), image), (STATE.into(), state(slot, true, tries).as_bytes())]
        {
            let mut there = root.create_file(&name).map_err(failed)?;
            there.truncate().map_err(failed)?;
            there.write_all(bytes).map_err(failed)?;
            there.flush().map_err(failed)?;
        }
    }
    file.sync_all().map_err(failed)?;
    device::forget(&file);
    same(&file, path, &slot.file(), image)
}

/// The file on the partition reads back as it was written.
fn same(file: &File, path: &Path, name: &str, wrote: &[u8]) -> Result<(), FlashError> {
    let failed = |error| FlashError::File { path: path.to_owned(), error };
    let window = partition(file).map_err(failed)?;
    let window = window.ok_or_else(|| FlashError::Other("the partition is gone".into()))?;
    let fat = opened(window).map_err(failed)?;
    let mut found = Vec::new();
    let mut there = fat.root_dir().open_file(name).map_err(failed)?;
    std::io::Read::read_to_end(&mut there, &mut found).map_err(failed)?;
    device::compare(path, 0, wrote, &found)
}
