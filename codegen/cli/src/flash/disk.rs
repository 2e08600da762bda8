// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A disk image: an MBR, firmware at fixed places, one FAT partition.
//!
//! It is made in a file, by a user without rights. The table is an MBR and not a GPT: boot ROMs
//! read firmware from 8 KiB or 32 KiB on, where a GPT has its entries. The MBR is one sector with
//! one entry, written here; the file system is by the crate `fatfs`. The same inputs give the same
//! bytes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use fatfs::{FatType, FileSystem, FormatVolumeOptions, FsOptions, format_volume};

use super::FlashError;
use super::window::Window;

const SECTOR: u64 = 512;
const MIB: u64 = 1 << 20;
/// Where partitions begin, and what they are multiples of.
const ALIGNED: u64 = MIB;
/// A partition of the usual size, and what it has for its own tables and for growth.
const USUAL: u64 = 64 * MIB;
const SPARE: u64 = 8 * MIB;

/// A file system in a part of a file.
pub type Fat<'a> = FileSystem<Window<'a>>;

/// Bytes for a fixed place.
#[derive(Clone, Debug)]
pub struct FileAt {
    pub file: PathBuf,
    pub at: u64,
}

/// What goes on a disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    pub raw: Vec<FileAt>,
    /// Names in the partition, and contents.
    pub files: Vec<(String, Vec<u8>)>,
    /// Bytes of the partition. None: what is needed.
    pub partition: Option<u64>,
}

impl Disk {
    /// Writes it to `path`, and says how many bytes it has.
    pub fn write(&self, path: &Path) -> Result<u64, FlashError> {
        let failed = |error| FlashError::File { path: path.to_owned(), error };
        let raw = self.raw.iter().map(|raw| {
            let read = std::fs::read(&raw.file);
            let bytes = read.map_err(|error| FlashError::File { path: raw.file.clone(), error })?;
            Ok((raw.at, bytes))
        });
        let raw: Vec<(u64, Vec<u8>)> = raw.collect::<Result<_, FlashError>>()?;
        let end = raw.iter().map(|(at, bytes)| at + bytes.len() as u64).max().unwrap_or(0);
        let base = end.next_multiple_of(ALIGNED).max(ALIGNED);
        let needed: u64 = self.files.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        let bytes = match self.partition {
            Some(bytes) => bytes.next_multiple_of(SECTOR),
            None => (needed + needed / 8 + SPARE).next_multiple_of(ALIGNED).max(USUAL),
        };
        if bytes < needed {
            return Err(FlashError::Other(format!(
                "the files need {needed} bytes, the partition has {bytes}: make `partition` larger"
            )));
        }
        // A new file, sparse where there is nothing.
        let mut open = std::fs::OpenOptions::new();
        let open = open.read(true).write(true).create(true).truncate(true);
        let file = open.open(path).map_err(failed)?;
        file.set_len(base + bytes).map_err(failed)?;
        for (at, bytes) in &raw {
            file.write_all_at(bytes, *at).map_err(failed)?;
        }
        let kind = self.fill(Window::new(&file, base, bytes)).map_err(|error| {
            FlashError::Other(format!("the partition cannot hold its files: {error}"))
        })?;
        file.write_all_at(&table(base / SECTOR, bytes / SECTOR, kind)[440..], 440)
            .map_err(failed)?;
        file.sync_all().map_err(failed)?;
        Ok(base + bytes)
    }

    fn fill(&self, mut window: Window<'_>) -> io::Result<FatType> {
        format_volume(&mut window, FormatVolumeOptions::new().volume_label(*b"BULKHEAD   "))?;
        let fat = opened(window)?;
        for (name, bytes) in &self.files {
            let mut there = fat.root_dir().create_file(name)?;
            there.write_all(bytes)?;
            there.flush()?;
        }
        let kind = fat.fat_type();
        fat.unmount()?;
        Ok(kind)
    }
}

/// The file system in a window.
pub fn opened(mut window: Window<'_>) -> io::Result<Fat<'_>> {
    window.seek(SeekFrom::Start(0))?;
    FileSystem::new(window, FsOptions::new())
}

/// An MBR with one entry, which is the bootable one. Code and firmware before byte 440 are not
/// ours.
fn table(first: u64, sectors: u64, kind: FatType) -> [u8; 512] {
    let mut out = [0; 512];
    out[440..444].copy_from_slice(b"BULK");
    let system = match kind {
        FatType::Fat32 => 0x0c,
        FatType::Fat12 | FatType::Fat16 => 0x0e,
    };
    // Active; no cylinders: everybody reads the sectors behind.
    out[446..454].copy_from_slice(&[0x80, 0xfe, 0xff, 0xff, system, 0xfe, 0xff, 0xff]);
    let small = |sectors: u64| u32::try_from(sectors).unwrap_or(u32::MAX).to_le_bytes();
    out[454..458].copy_from_slice(&small(first));
    out[458..462].copy_from_slice(&small(sectors));
    out[510..].copy_from_slice(&[0x55, 0xaa]);
    out
}

/// The first partition of a disk. None: its first sector has no table with one.
pub fn partition(file: &File) -> io::Result<Option<Window<'_>>> {
    let mut sector = [0; 512];
    let mut start = Window::new(file, 0, SECTOR);
    match start.read_exact(&mut sector) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let word = |at: usize| {
        u64::from(u32::from_le_bytes([sector[at], sector[at + 1], sector[at + 2], sector[at + 3]]))
    };
    let known = sector[510..] == [0x55, 0xaa] && [0x0c, 0x0e].contains(&sector[450]);
    Ok(known.then(|| Window::new(file, word(454) * SECTOR, word(458) * SECTOR)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str) -> PathBuf {
        let room =
            std::env::temp_dir().join(format!("bulkhead-disk-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&room).unwrap();
        room
    }

    #[test]
    fn firmware_and_files_are_where_they_belong_and_twice_the_same() {
        let room = room("whole");
        let firmware = room.join("firmware");
        std::fs::write(&firmware, vec![0x5a; 3 << 20]).unwrap();
        let disk = Disk {
            raw: vec![FileAt { file: firmware, at: 32 << 10 }],
            files: vec![
                ("boot.scr".into(), b"x".to_vec()),
                ("a-long-name.bin".into(), vec![7; 70_000]),
            ],
            partition: None,
        };
        let (one, two) = (room.join("one"), room.join("two"));
        let bytes = disk.write(&one).unwrap();
        assert_eq!(bytes, 68 * MIB, "the partition begins behind 32 KiB + 3 MiB");
        disk.write(&two).unwrap();
        let (one, two) = (std::fs::read(one).unwrap(), std::fs::read(two).unwrap());
        assert!(one == two && one.len() as u64 == bytes);
        assert_eq!(one[32 << 10], 0x5a);
        assert_eq!((one[446], one[450]), (0x80, 0x0e));
        let file = File::open(room.join("two")).unwrap();
        let fat = opened(partition(&file).unwrap().unwrap()).unwrap();
        let mut found = Vec::new();
        fat.root_dir().open_file("a-long-name.bin").unwrap().read_to_end(&mut found).unwrap();
        assert_eq!(found, vec![7; 70_000]);
        std::fs::remove_dir_all(room).unwrap();
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let room = room("full");
        let files = vec![("a".into(), vec![0; 3 << 20])];
        let disk = Disk { files, partition: Some(2 << 20), ..Disk::default() };
        let said = disk.write(&room.join("disk")).unwrap_err().to_string();
        assert!(said.contains("make `partition` larger"), "{said}");
        std::fs::remove_dir_all(room).unwrap();
    }
}
