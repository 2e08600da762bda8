// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A file of targets, checked by itself: no system is needed for that.

use std::path::Path;

use super::files::Files;
use super::payload::relative;
use crate::diag::{FileId, Report, rules};
use crate::schema::json::Kind;
use crate::schema::targets::{Layout, RawFile, Target, TargetsFile};
use crate::schema::{S, targets};

/// Bytes of a disk's sector, and of the partition table in its first.
const SECTOR: u64 = 512;

/// Read the targets at `path`. The error holds everything that is wrong with them.
pub fn load(path: &Path) -> Result<TargetsFile, Report> {
    let mut files = Files::new(path);
    let read = files.read::<TargetsFile>(path, Kind::Targets, None);
    if let Some((read, file)) = &read {
        names(&mut files, &read.target, *file);
        for target in &read.target {
            paths(&mut files, target, *file);
            if let Some(layout) = target.layout() {
                places(&mut files, layout, *file);
            }
            if let Target::Raw(raw) = &**target {
                whole(&mut files, &raw.at, *file);
            }
        }
    }
    let mut report = files.report;
    report.sort();
    match read {
        Some((read, _)) if !report.has_errors() => Ok(read),
        _ => Err(report),
    }
}

fn names(files: &mut Files, targets: &[S<Target>], file: FileId) {
    for (index, target) in targets.iter().enumerate() {
        let name = target.name();
        let Some(first) = targets[..index].iter().find(|other| **other.name() == **name) else {
            continue;
        };
        files.push(
            rules::DUPLICATE_NAME
                .says(format!("there are two targets \"{}\"", **name))
                .label(&name.at(file), "this one")
                .label(&first.name().at(file), "and this one")
                .help("give one of them another name"),
        );
    }
}

/// Files that a target takes along.
fn paths(files: &mut Files, target: &Target, file: FileId) {
    let mut wanted: Vec<&S<String>> = Vec::new();
    if let Some(layout) = target.layout() {
        wanted.extend(layout.raw.iter().map(|raw| &raw.file));
        wanted.extend(&layout.files);
    }
    if let Target::Uuu(targets::Uuu { bootloader, .. }) = target {
        wanted.push(bootloader);
    }
    for path in wanted {
        let found = relative(files, path, file);
        if !found.value.is_file() {
            files.push(
                rules::TARGET_FILE
                    .says(format!(
                        "target `{}` takes {}, which is no file",
                        **target.name(),
                        found.value.display()
                    ))
                    .label(&found, "this file")
                    .label(&target.name().at(file), "for this target")
                    .help("paths are relative to this file; build or fetch the firmware first"),
            );
        }
    }
}

/// Where on the disk things are.
fn places(files: &mut Files, layout: &Layout, file: FileId) {
    let mut before: Vec<(u64, u64, &RawFile)> = Vec::new();
    for raw in &layout.raw {
        if !whole(files, &raw.at, file) {
            continue;
        }
        let path = relative(files, &raw.file, file);
        let bytes = std::fs::metadata(&path.value).map_or(1, |found| found.len().max(1));
        let (start, end) = (raw.at.0, raw.at.0 + bytes);
        if start < SECTOR {
            files.push(
                rules::TARGET_OVERLAP
                    .says(format!("{} lies over the partition table", path.value.display()))
                    .label(&raw.at.place(file), "the table is in the first 512 bytes")
                    .help("write where the board's ROM reads it, as in at = \"32 KiB\""),
            );
        }
        if let Some((_, _, other)) = before.iter().find(|other| start < other.1 && other.0 < end) {
            files.push(
                rules::TARGET_OVERLAP
                    .says(format!("{} and {} overlap on the disk", *raw.file, *other.file))
                    .label(&raw.at.place(file), format!("{bytes} bytes from here"))
                    .label(&other.at.place(file), "and this one")
                    .help("the places are those that the board's ROM and firmware read"),
            );
        }
        before.push((start, end, raw));
    }
}

/// A multiple of a sector.
fn whole(files: &mut Files, at: &S<crate::units::Size>, file: FileId) -> bool {
    let good = at.0.is_multiple_of(SECTOR);
    if !good {
        files.push(
            rules::MISALIGNED
                .says(format!("{} bytes are no whole number of sectors", at.0))
                .label(&at.place(file), "not a multiple of 512 bytes")
                .help(format!("write at = \"{} B\"", at.0.next_multiple_of(SECTOR))),
        );
    }
    good
}
