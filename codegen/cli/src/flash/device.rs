// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Disks and files that are written: who must not be, and what was.
//!
//! A disk is refused while it, a partition of it or what is built on it (LVM, RAID, encryption) is
//! mounted, swapped to or held. `/proc` and `/sys` say that; Linux says it again when the disk is
//! opened exclusively.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, OFlags, fadvise, major, minor};

use super::FlashError;
use super::step::Source;

const BLOCK: usize = 1 << 20;

/// Where the host says what its disks are used for.
pub struct Guard {
    proc: PathBuf,
    sys: PathBuf,
}

/// A disk that may be written, as a person knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub bytes: u64,
    pub model: String,
}

impl Guard {
    pub fn host() -> Self {
        Self { proc: "/proc".into(), sys: "/sys".into() }
    }

    /// Whether `path` may be written. None: it is no disk but a file, there or not. `part`: a
    /// partition will do.
    pub fn look(&self, path: &Path, part: bool) -> Result<Option<Known>, FlashError> {
        let refused = |why: String| FlashError::Refused { path: path.to_owned(), why };
        let found = match fs::metadata(path) {
            Ok(found) => found,
            // A file made there would be taken for a disk.
            Err(_) if path.starts_with("/dev") => return Err(refused("it is not there".into())),
            Err(_) => return Ok(None),
        };
        let kind = found.file_type();
        if kind.is_file() {
            return Ok(None);
        }
        if !kind.is_block_device() {
            return Err(refused("it is neither a disk nor a file".into()));
        }
        let number = format!("{}:{}", major(found.rdev()), minor(found.rdev()));
        self.disk(&number, part).map_err(refused)
    }

    /// The same of the disk with a number.
    fn disk(&self, number: &str, part: bool) -> Result<Option<Known>, String> {
        let place = self.sys.join("dev/block").join(number);
        let text = |path: &Path| {
            fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
        };
        if place.join("partition").exists() && !part {
            return Err("it is a partition; give the whole disk".into());
        }
        if text(&place.join("ro")) == "1" {
            return Err("it is read-only".into());
        }
        let mut parts = vec![(place.clone(), number.to_owned())];
        for entry in fs::read_dir(&place).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.join("partition").exists() {
                let number = text(&path.join("dev"));
                parts.push((path, number));
            }
        }
        let mounts = fs::read_to_string(self.proc.join("self/mountinfo"));
        let mounts = mounts.map_err(|error| format!("what is mounted is not known: {error}"))?;
        for (place, number) in &parts {
            if let Some(on) = mounted(&mounts, number) {
                return Err(format!("{} is mounted on {on}", named(place, number)));
            }
            if let Some(holder) =
                fs::read_dir(place.join("holders")).ok().and_then(|mut held| held.next())
            {
                let holder = holder.map(|holder| holder.file_name().to_string_lossy().into_owned());
                let holder = holder.unwrap_or_default();
                return Err(format!("{} is a part of {holder}", named(place, number)));
            }
            if swapped(&text(&self.proc.join("swaps")), number) {
                return Err(format!("{} is swap", named(place, number)));
            }
        }
        let sectors: u64 = text(&place.join("size")).parse().unwrap_or(0);
        if sectors == 0 {
            return Err("there is no medium in it".into());
        }
        let model = [place.join("device/model"), place.join("device/name")];
        let model = model.iter().map(|path| text(path)).find(|model| !model.is_empty());
        Ok(Some(Known { bytes: sectors * 512, model: model.unwrap_or_default() }))
    }
}

fn named(place: &Path, number: &str) -> String {
    let target = fs::canonicalize(place).unwrap_or_default();
    target.file_name().map_or(number.into(), |name| format!("/dev/{}", name.to_string_lossy()))
}

/// Where a device is mounted, by the fields of /proc/self/mountinfo (proc(5)): number, mount point,
/// and behind a dash the source, by which file systems with numbers of their own are found.
fn mounted<'a>(mounts: &'a str, number: &str) -> Option<&'a str> {
    mounts.lines().find_map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let dash = words.iter().position(|word| *word == "-")?;
        let same = words.get(2) == Some(&number)
            || words.get(dash + 2).is_some_and(|source| is_device(source, number));
        same.then(|| words.get(4).copied().unwrap_or("?"))
    })
}

fn swapped(swaps: &str, number: &str) -> bool {
    swaps
        .lines()
        .skip(1)
        .any(|line| line.split_whitespace().next().is_some_and(|source| is_device(source, number)))
}

fn is_device(path: &str, number: &str) -> bool {
    path.starts_with('/')
        && fs::metadata(path).is_ok_and(|found| {
            found.file_type().is_block_device()
                && format!("{}:{}", major(found.rdev()), minor(found.rdev())) == number
        })
}

/// How a disk is opened: nobody else may have it. A file is just opened.
pub fn exclusive<'a>(open: &'a mut OpenOptions, path: &Path) -> &'a mut OpenOptions {
    let disk = fs::metadata(path).is_ok_and(|found| found.file_type().is_block_device());
    let flags = if disk { OFlags::EXCL.bits() } else { 0 };
    open.read(true).write(true).custom_flags(flags.cast_signed())
}

/// Copies `from` to `path` from byte `at` on, and reads it back. Other bytes there stay.
pub fn copy(from: &Source, path: &Path, at: u64, part: bool) -> Result<u64, FlashError> {
    let failed = |error| FlashError::File { path: path.to_owned(), error };
    let source_failed = |error| FlashError::File { path: from.to_string().into(), error };
    let known = Guard::host().look(path, part)?;
    let bytes = from.bytes()?;
    let mut source = from.open()?;
    if let Some(known) = known.filter(|known| known.bytes < at + bytes) {
        let why = format!("it has {} bytes, {} are needed", known.bytes, at + bytes);
        return Err(FlashError::Refused { path: path.to_owned(), why });
    }
    let mut open = OpenOptions::new();
    let file = exclusive(&mut open, path).create(!path.exists()).open(path).map_err(failed)?;
    let (mut block, mut there) = (vec![0; BLOCK], vec![0; BLOCK]);
    let mut place = at;
    loop {
        let count = source.read(&mut block).map_err(source_failed)?;
        if count == 0 {
            break;
        }
        file.write_all_at(&block[..count], place).map_err(failed)?;
        place += count as u64;
    }
    file.sync_all().map_err(failed)?;
    forget(&file);
    let mut source = from.open()?;
    let mut place = at;
    loop {
        let count = source.read(&mut block).map_err(source_failed)?;
        if count == 0 {
            return Ok(bytes);
        }
        file.read_exact_at(&mut there[..count], place).map_err(failed)?;
        compare(path, place, &block[..count], &there[..count])?;
        place += count as u64;
    }
}

/// What is read next comes from the medium, as far as Linux can be asked.
pub fn forget(file: &File) {
    // A file system without that reads its cache.
    let _ = fadvise(file, 0, None, Advice::DontNeed);
}

/// The first difference, as an error.
pub fn compare(path: &Path, base: u64, wrote: &[u8], found: &[u8]) -> Result<(), FlashError> {
    let differs = (0..wrote.len().max(found.len())).find(|&at| wrote.get(at) != found.get(at));
    match differs {
        None => Ok(()),
        Some(at) => Err(FlashError::ReadBack {
            path: path.to_owned(),
            at: base + at as u64,
            wrote: wrote.get(at).copied().unwrap_or(0),
            found: found.get(at).copied().unwrap_or(0),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host with a disk 8:0, its partition 8:1, and these mounts and swaps.
    fn host(name: &str, mounts: &str, swaps: &str) -> (Guard, PathBuf) {
        let room =
            std::env::temp_dir().join(format!("bulkhead-guard-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&room);
        let guard = Guard { proc: room.join("proc"), sys: room.join("sys") };
        fs::create_dir_all(guard.proc.join("self")).unwrap();
        fs::write(guard.proc.join("self/mountinfo"), mounts).unwrap();
        fs::write(guard.proc.join("swaps"), swaps).unwrap();
        let disk = guard.sys.join("block/sdz");
        for folder in ["device", "holders", "sdz1/holders"] {
            fs::create_dir_all(disk.join(folder)).unwrap();
        }
        for (file, text) in [
            ("size", "4096\n"),
            ("ro", "0\n"),
            ("device/model", "Card Reader\n"),
            ("sdz1/partition", "1\n"),
            ("sdz1/dev", "8:1\n"),
            ("sdz1/ro", "0\n"),
            ("sdz1/size", "2048\n"),
        ] {
            fs::write(disk.join(file), text).unwrap();
        }
        let numbers = guard.sys.join("dev/block");
        fs::create_dir_all(&numbers).unwrap();
        std::os::unix::fs::symlink(&disk, numbers.join("8:0")).unwrap();
        std::os::unix::fs::symlink(disk.join("sdz1"), numbers.join("8:1")).unwrap();
        (guard, room)
    }

    const ELSEWHERE: &str = "22 1 8:16 / / rw - ext4 /dev/nowhere rw\n";

    #[test]
    fn a_free_disk_is_known() {
        let (guard, room) = host("free", ELSEWHERE, "Filename Type\n");
        let known = Known { bytes: 4096 * 512, model: "Card Reader".into() };
        assert_eq!(guard.disk("8:0", false), Ok(Some(known)));
        assert!(guard.disk("8:1", false).unwrap_err().contains("give the whole disk"));
        assert!(guard.disk("8:1", true).is_ok());
        fs::write(room.join("sys/block/sdz/ro"), "1\n").unwrap();
        assert_eq!(guard.disk("8:0", false), Err("it is read-only".into()));
        fs::remove_dir_all(room).unwrap();
    }

    #[test]
    fn a_disk_in_use_is_refused() {
        let line =
            |number: &str| format!("{ELSEWHERE}30 22 {number} / /media/card rw - vfat x rw\n");
        for (number, who) in [("8:0", "/dev/sdz is"), ("8:1", "/dev/sdz1 is")] {
            let (guard, room) = host(&number.replace(':', "-"), &line(number), "");
            let why = guard.disk("8:0", false).unwrap_err();
            assert_eq!(why, format!("{who} mounted on /media/card"));
            fs::remove_dir_all(room).unwrap();
        }
        let (guard, room) = host("held", ELSEWHERE, "");
        fs::create_dir(room.join("sys/block/sdz/sdz1/holders/dm-0")).unwrap();
        assert_eq!(guard.disk("8:0", false), Err("/dev/sdz1 is a part of dm-0".into()));
        fs::remove_file(room.join("proc/self/mountinfo")).unwrap();
        assert!(guard.disk("8:0", false).unwrap_err().contains("what is mounted is not known"));
        fs::remove_dir_all(room).unwrap();
    }

    #[test]
    fn what_is_no_disk_is_refused_and_what_reads_back_otherwise_is_said() {
        let guard = Guard::host();
        for no_disk in ["/dev/null", "/dev/no-such-disk"] {
            assert!(guard.look(Path::new(no_disk), false).is_err(), "{no_disk}");
        }
        assert_eq!(guard.look(Path::new("/nowhere/disk.img"), false).unwrap(), None);
        let said = compare(Path::new("x"), 512, b"abc", b"abd").unwrap_err().to_string();
        assert_eq!(said, "x: byte 514 reads back as 0x64, not 0x63");
    }
}
