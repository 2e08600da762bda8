// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a VM runs: its partition's file, or the payload given in place.

use std::path::{Path, PathBuf};

use super::files::{Files, shown};
use crate::diag::{FileId, rules};
use crate::model::{At, Format, Payload, PayloadKind};
use crate::schema::json::Kind;
use crate::schema::partition::{FilePayload, InlinePayload, PartitionFile};
use crate::schema::{S, system};

/// The payload of `vm`. None when it cannot be known; that has been reported.
pub fn load(files: &mut Files, vm: &system::Vm, file: FileId) -> Option<Payload> {
    let mut payload = chosen(files, vm, file)?;
    // The VM's own device tree goes before its partition's.
    let own = |path: &Option<S<String>>| path.as_ref().map(|path| relative(files, path, file));
    payload.dtb = own(&vm.dtb).or(payload.dtb);
    payload.overlay = own(&vm.overlay).or(payload.overlay);
    Some(payload)
}

/// The partition's payload or the one in place.
fn chosen(files: &mut Files, vm: &system::Vm, file: FileId) -> Option<Payload> {
    match (&vm.partition, &vm.payload) {
        (Some(name), None) => partition(files, &name.at(file)),
        (None, Some(payload)) => Some(in_place(files, payload, file)),
        (Some(name), Some(payload)) => {
            let both = rules::PAYLOAD_CHOICE
                .says(format!("VM `{}` has a partition and a payload", *vm.name))
                .label(&payload.place(file), "this file")
                .label(&name.at(file), "and this partition")
                .help("a VM runs one thing: leave out `partition` or `payload`");
            files.push(both);
            None
        }
        (None, None) => {
            let neither = rules::PAYLOAD_CHOICE
                .says(format!("VM `{}` has nothing to run", *vm.name))
                .label(&vm.name.at(file), "neither `partition` nor `payload`")
                .help(
                    "add partition = \"hello\", or payload = { path = \"...\", format = \"raw\" }",
                );
            files.push(neither);
            None
        }
    }
}

fn partition(files: &mut Files, name: &At<String>) -> Option<Payload> {
    let path = match files.find("partitions", name, "/partition.toml") {
        Ok(path) => path,
        Err(not) => {
            files.push(not.said(&rules::UNKNOWN_PARTITION, Kind::Partition, name));
            return None;
        }
    };
    let directory = path.parent().unwrap_or(Path::new("")).to_owned();
    let (partition, file) =
        files.read::<PartitionFile>(&path, Kind::Partition, Some(&name.with(())))?;
    let at = name.with(());
    Some(match &partition {
        PartitionFile::Rust(rust) => Payload {
            kind: PayloadKind::Rust {
                package: rust.package.at(file),
                directory: shown(&directory),
            },
            arguments: rust.arguments.as_ref().map(|arguments| arguments.at(file)),
            ..Payload::nothing(at)
        },
        PartitionFile::Image(payload) => from_file(files, payload, Format::Image, file, at),
        PartitionFile::Elf(payload) => from_file(files, payload, Format::Elf, file, at),
        PartitionFile::Raw(payload) => from_file(files, payload, Format::Raw, file, at),
    })
}

fn from_file(
    files: &Files,
    payload: &FilePayload,
    format: Format,
    file: FileId,
    at: At<()>,
) -> Payload {
    Payload {
        kind: PayloadKind::File {
            path: relative(files, &payload.path, file),
            format,
            load_offset: payload.load_offset.as_ref().map(|offset| offset.map(file, |s| s.0)),
            entry: payload.entry.as_ref().map(|entry| entry.map(file, |a| a.0)),
        },
        at,
        initrd: payload.initrd.as_ref().map(|path| relative(files, path, file)),
        dtb: payload.dtb.as_ref().map(|path| relative(files, path, file)),
        overlay: payload.overlay.as_ref().map(|path| relative(files, path, file)),
        dtb_at: payload.dtb_at.as_ref().map(|at| at.map(file, |a| a.0)),
        arguments: payload.arguments.as_ref().map(|arguments| arguments.at(file)),
        source: payload.source.as_deref().cloned(),
    }
}

fn in_place(files: &Files, payload: &S<InlinePayload>, file: FileId) -> Payload {
    Payload {
        kind: PayloadKind::File {
            path: relative(files, &payload.path, file),
            format: payload.format,
            load_offset: payload.load_offset.as_ref().map(|offset| offset.map(file, |s| s.0)),
            entry: payload.entry.as_ref().map(|entry| entry.map(file, |a| a.0)),
        },
        initrd: payload.initrd.as_ref().map(|path| relative(files, path, file)),
        dtb: payload.dtb.as_ref().map(|path| relative(files, path, file)),
        overlay: payload.overlay.as_ref().map(|path| relative(files, path, file)),
        dtb_at: payload.dtb_at.as_ref().map(|at| at.map(file, |a| a.0)),
        ..Payload::nothing(payload.place(file))
    }
}

/// A path, relative to the TOML that has it.
pub fn relative(files: &Files, path: &S<String>, file: FileId) -> At<PathBuf> {
    let directory = files.directory(&path.place(file));
    path.map(file, |path| shown(&directory.join(path)))
}
