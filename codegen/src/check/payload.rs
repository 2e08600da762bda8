// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Payloads: there, of the right format, and not bigger than their memory.
//!
//! Files are looked into only as far as their headers: an Image's first 64 bytes (Linux,
//! Documentation/arch/arm64/booting), an ELF's program headers, a device tree's magic number; what
//! gzip has packed is unpacked for that. A Rust package is built later, and judged then.

mod beside;
mod header;

use std::path::{Path, PathBuf};

use header::Header;

use super::memory::holding;
use super::range::{BLOCK, PAGE, hex};
use crate::bounds;
use crate::diag::{Report, rules};
use crate::model::{At, Format, PayloadKind, System, Vm};
use crate::units::Size;

pub fn check(system: &System, report: &mut Report) {
    for vm in &system.vms {
        let size = match &vm.payload.kind {
            PayloadKind::Rust { package, directory } => {
                rust_package(vm, package, directory, report);
                Some(0)
            }
            PayloadKind::File { path, format, load_offset, .. } => {
                file(vm, path, *format, load_offset.as_ref(), report)
            }
        };
        if let Some(size) = size {
            beside::check(vm, size, report);
        }
        entry(vm, report);
    }
}

fn rust_package(vm: &Vm, package: &At<String>, directory: &Path, report: &mut Report) {
    if package.value.is_empty() {
        return;
    }
    let manifest = directory.join("Cargo.toml");
    let name = bounds::read(&manifest, bounds::TOML).ok().and_then(|text| {
        let text = String::from_utf8(text).ok()?;
        let table: toml::Table = text.parse().ok()?;
        Some(table.get("package")?.get("name")?.as_str()?.to_owned())
    });
    if name.as_ref() != Some(&package.value) {
        let (label, help) = match &name {
            Some(name) => (
                format!("{} is package `{name}`", manifest.display()),
                format!("write package = \"{name}\""),
            ),
            None => (
                format!("{} is not there", manifest.display()),
                "write a package beside its partition.toml".into(),
            ),
        };
        report.push(
            rules::PAYLOAD_MISSING
                .says(format!("there is no package `{}` for VM `{}`", package.value, vm.name.value))
                .label(package, label)
                .label(&vm.payload.at, "wanted here")
                .help(help),
        );
    }
}

/// Judge the file; its size in memory from the start of the VM's first piece, if it can be told.
fn file(
    vm: &Vm,
    path: &At<PathBuf>,
    format: Format,
    load_offset: Option<&At<u64>>,
    report: &mut Report,
) -> Option<u64> {
    let header = match header::read(&path.value, format) {
        Ok(header) => header,
        Err(header::Error::Missing(why)) => {
            missing(vm, path, &why, report);
            return None;
        }
        Err(header::Error::Format(why)) => {
            report.push(
                rules::PAYLOAD_FORMAT
                    .says(format!("{} is {}", path.value.display(), wrong(format)))
                    .label(path, why)
                    .label(&vm.payload.at, format!("payload of VM `{}`", vm.name.value))
                    .help("write the format that the file has, or name another file"),
            );
            return None;
        }
    };
    let memory = vm.memory.first()?;
    let offset = load_offset.map(|offset| offset.value);
    let end = match &header {
        Header::Raw { bytes } => {
            raw_start(vm, path, load_offset, report);
            offset.unwrap_or(0).checked_add(*bytes)
        }
        Header::Image { text_offset, bytes } => {
            image_alignment(vm, path, load_offset, *text_offset, report);
            offset.unwrap_or(*text_offset).checked_add(*bytes)
        }
        Header::Elf { segments, relocatable: true, entry } => {
            let start = offset.unwrap_or(0).wrapping_add(*entry);
            instruction(vm, path, start, "it begins", report);
            let end = segments.iter().map(|s| s.0.saturating_add(s.1)).max().unwrap_or(0);
            offset.unwrap_or(0).checked_add(end)
        }
        Header::Elf { segments, relocatable: false, entry } => {
            instruction(vm, path, *entry, "it begins", report);
            if let Some(offset) = load_offset {
                fixed(vm, path, offset, report);
            }
            segments.iter().for_each(|segment| place(vm, path, *segment, report));
            Some(0)
        }
    };
    match end {
        Some(end) if end <= memory.size.value => Some(end),
        end => {
            report.push(
                rules::PAYLOAD_BIG
                    .says(format!(
                        "the payload of VM `{}` is bigger than its memory",
                        vm.name.value
                    ))
                    .label(
                        path,
                        format!(
                            "ends {} after the start of the memory",
                            Size(end.unwrap_or(u64::MAX))
                        ),
                    )
                    .label(&memory.size, format!("{} in all", Size(memory.size.value)))
                    .help(format!("write size = \"{}\" or more", enough(end.unwrap_or(0)))),
            );
            None
        }
    }
}

/// Where nobody says otherwise, the first instruction of raw bytes is the first byte.
fn raw_start(vm: &Vm, path: &At<PathBuf>, load_offset: Option<&At<u64>>, report: &mut Report) {
    let own = matches!(&vm.payload.kind, PayloadKind::File { entry: Some(_), .. });
    if let (Some(offset), None, false) = (load_offset, &vm.entry, own) {
        let at = offset.with(path.value.clone());
        instruction(vm, &at, offset.value, "its first instruction would be", report);
    }
}

/// What the payload itself says of its entry. An `entry` of the TOML is judged by itself.
fn instruction(vm: &Vm, at: &At<PathBuf>, entry: u64, what: &str, report: &mut Report) {
    if entry.is_multiple_of(4) || vm.entry.is_some() {
        return;
    }
    report.push(
        rules::PAYLOAD_ALIGN
            .says(format!("the entry of VM `{}` is not a multiple of 4", vm.name.value))
            .label(at, format!("{what} at {}, which is no multiple of 4", hex(entry)))
            .label(&vm.payload.at, "this payload")
            .help(format!("move it to {}, or say where it begins by `entry`", hex(entry & !3))),
    );
}

fn fixed(vm: &Vm, path: &At<PathBuf>, offset: &At<u64>, report: &mut Report) {
    report.push(
        rules::PAYLOAD_FORMAT
            .says(format!("the payload of VM `{}` cannot be moved", vm.name.value))
            .label(offset, "this would move it")
            .label(path, "an ELF file linked for fixed addresses")
            .help("leave out `load_offset`, or link it position-independent"),
    );
}

fn wrong(format: Format) -> &'static str {
    match format {
        Format::Image => "no arm64 Image",
        Format::Elf => "no ELF file for AArch64",
        Format::Raw => "no raw file",
    }
}

fn missing(vm: &Vm, path: &At<PathBuf>, why: &str, report: &mut Report) {
    let source = vm.payload.source.as_deref();
    report.push(
        rules::PAYLOAD_MISSING
            .says(format!("cannot read {}: {why}", path.value.display()))
            .label(path, "this file")
            .label(&vm.name, format!("for VM `{}`", vm.name.value))
            .help(source.unwrap_or("paths are relative to the TOML that names them")),
    );
}

/// A size to write that is not smaller than `bytes`.
fn enough(bytes: u64) -> Size {
    let unit = if bytes > BLOCK { BLOCK } else { PAGE };
    Size(bytes.checked_next_multiple_of(unit).unwrap_or(bytes))
}

fn image_alignment(
    vm: &Vm,
    path: &At<PathBuf>,
    load_offset: Option<&At<u64>>,
    text_offset: u64,
    report: &mut Report,
) {
    let Some(base) = vm.memory.first().and_then(|memory| memory.ipa.as_ref()) else { return };
    let offset = load_offset.map_or(text_offset, |offset| offset.value);
    let load = base.value.wrapping_add(offset);
    if !load.wrapping_sub(text_offset).is_multiple_of(BLOCK) {
        let place = load_offset.map_or_else(|| path.with(()), |offset| offset.with(()));
        report.push(
            rules::PAYLOAD_ALIGN
                .says(format!("the Image of VM `{}` is loaded at {}", vm.name.value, hex(load)))
                .label(&place, format!("not a multiple of 2 MiB and {} more", Size(text_offset)))
                .label(base, format!("the memory starts at {}", hex(base.value)))
                .help(format!(
                    "start the memory at a multiple of 2 MiB and write load_offset = \
                               \"{}\", or leave it out",
                    Size(text_offset)
                )),
        );
    }
}

/// A segment of an ELF file at its own address.
fn place(vm: &Vm, path: &At<PathBuf>, (start, bytes): (u64, u64), report: &mut Report) {
    let known: Option<Vec<(u64, u64)>> = vm
        .memory
        .iter()
        .map(|memory| Some((memory.ipa.as_ref()?.value, memory.size.value)))
        .collect();
    let Some(known) = known else { return };
    let end = start.saturating_add(bytes);
    let holds = |(base, size): &&(u64, u64)| start >= *base && start - *base < *size;
    let Some(first) = vm.memory.first() else { return };
    match known.iter().find(holds) {
        Some((base, size)) if end <= base.saturating_add(*size) => {}
        Some((base, size)) => report.push(
            rules::PAYLOAD_BIG
                .says(format!("the payload of VM `{}` is bigger than its memory", vm.name.value))
                .label(path, format!("a segment ends at {}", hex(end)))
                .label(&first.size, format!("the memory at {}", hex(base.saturating_add(*size))))
                .help(format!("write size = \"{}\" or more", enough(end - base))),
        ),
        None => report.push(
            rules::IPA_HOLE
                .says(format!(
                    "a segment of VM `{}`'s payload lies outside its memory",
                    vm.name.value
                ))
                .label(
                    path,
                    format!("a segment from {} to {}", hex(start), hex(end.saturating_sub(1))),
                )
                .label(&first.at, format!("the memory starts at {}", hex(known[0].0)))
                .help(format!(
                    "write ipa = {}, or link the payload for {}",
                    hex(start - start % BLOCK),
                    hex(known[0].0)
                )),
        ),
    }
}

fn entry(vm: &Vm, report: &mut Report) {
    let own = match &vm.payload.kind {
        PayloadKind::File { entry, .. } => entry.as_ref(),
        PayloadKind::Rust { .. } => None,
    };
    for entry in vm.entry.iter().chain(own) {
        if entry.value % 4 != 0 {
            report.push(
                rules::PAYLOAD_ALIGN
                    .says(format!("the entry of VM `{}` is not a multiple of 4", vm.name.value))
                    .label(entry, "not a multiple of 4")
                    .help(format!("write {}", hex(entry.value & !3))),
            );
        }
        if holding(vm, entry) == Some(false) {
            let Some(first) = vm.memory.first() else { continue };
            let base = first.ipa.as_ref().map_or(0, |ipa| ipa.value);
            report.push(
                rules::IPA_HOLE
                    .says(format!("the entry of VM `{}` lies outside its memory", vm.name.value))
                    .label(entry, format!("the guest would start at {}", hex(entry.value)))
                    .label(&first.at, format!("the memory starts at {}", hex(base)))
                    .help("write an address within the VM's memory, as the guest sees it"),
            );
        }
    }
}
