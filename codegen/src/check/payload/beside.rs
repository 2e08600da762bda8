// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What lies in memory beside the payload: the initial RAM disk and the device tree.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::{enough, header, missing};
use crate::bounds;
use crate::check::memory::holding;
use crate::check::range::{PAGE, hex};
use crate::diag::{Report, rules};
use crate::model::{At, MemoryRole, Vm};
use crate::plan::TREE_ROOM;
use crate::units::Size;

/// `used` is the end of the payload, from the start of the VM's first memory.
pub fn check(vm: &Vm, used: u64, report: &mut Report) {
    let payload = &vm.payload;
    let mut bytes = |path: &Option<At<PathBuf>>| match path {
        Some(path) => length(vm, path, report),
        None => Some(0),
    };
    let initrd = bytes(&payload.initrd);
    let trees = [&payload.dtb, &payload.overlay].map(|path| (path, bytes(path)));
    if let (Some(initrd), (_, Some(own)), (_, Some(overlay))) = (initrd, trees[0], trees[1]) {
        fits(vm, used, initrd, own.saturating_add(overlay), report);
    }
    let there =
        trees.into_iter().filter_map(|(path, bytes)| path.as_ref().filter(|_| bytes.is_some()));
    for path in there.filter(|path| !header::is_device_tree(&path.value)) {
        report.push(
            rules::PAYLOAD_FORMAT
                .says(format!("{} is no device tree blob", path.value.display()))
                .label(path, "does not begin with 0xd00d_feed")
                .label(&payload.at, format!("payload of VM `{}`", vm.name.value))
                .help("write a file that dtc made (-O dtb)"),
        );
    }
    tree_address(vm, report);
    memory_files(vm, report);
}

/// Files of pieces of memory.
fn memory_files(vm: &Vm, report: &mut Report) {
    for piece in &vm.memory {
        let Some(path) = &piece.file else { continue };
        let Some(bytes) = length(vm, path, report) else { continue };
        if bytes > piece.size.value {
            report.push(
                rules::PAYLOAD_BIG
                    .says(format!(
                        "`{}` is bigger than the memory of VM `{}` that it is for",
                        path.value.display(),
                        vm.name.value
                    ))
                    .label(path, format!("{} in the file", Size(bytes)))
                    .label(&piece.size, format!("{} in all", Size(piece.size.value)))
                    .help(format!("write size = \"{}\" or more", enough(bytes))),
            );
        }
    }
}

/// Bytes of a file; None, and a report, when there is none.
fn length(vm: &Vm, path: &At<PathBuf>, report: &mut Report) -> Option<u64> {
    match bounds::length(&path.value) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            let why = match error.kind() {
                ErrorKind::NotFound => "there is no such file".into(),
                _ => error.to_string(),
            };
            missing(vm, path, &why, report);
            None
        }
    }
}

fn fits(vm: &Vm, used: u64, initrd: u64, tree: u64, report: &mut Report) {
    let payload = &vm.payload;
    let Some((path, memory)) = payload
        .initrd
        .as_ref()
        .or(payload.dtb.as_ref())
        .or(payload.overlay.as_ref())
        .zip(vm.first_ram())
    else {
        return;
    };
    // The payload lies in the first piece, whatever that is.
    let together = vm.memory.first().is_some_and(|first| first.role == MemoryRole::Ram);
    let used = if together { used } else { 0 };
    let pages = |bytes: u64| bytes.checked_next_multiple_of(PAGE).unwrap_or(bytes);
    let tree = match (&payload.dtb_at, &payload.initrd) {
        (Some(_), _) => 0,
        (None, Some(_)) => pages(tree).max(TREE_ROOM),
        (None, None) => pages(tree),
    };
    let needed = pages(used).saturating_add(pages(initrd)).saturating_add(tree);
    if needed > memory.size.value {
        report.push(
            rules::PAYLOAD_BIG
                .says(format!(
                    "payload and `{}` are bigger than the memory of VM `{}`",
                    path.value.display(),
                    vm.name.value
                ))
                .label(path, format!("{} with this and the device tree", Size(needed)))
                .label(&memory.size, format!("{} in all", Size(memory.size.value)))
                .help(format!("write size = \"{}\" or more", enough(needed))),
        );
    }
}

/// Where the TOML puts the device tree (Linux, Documentation/arch/arm64/booting: 8-byte boundary).
fn tree_address(vm: &Vm, report: &mut Report) {
    let Some(at) = &vm.payload.dtb_at else { return };
    let name = &vm.name.value;
    if at.value % 8 != 0 {
        report.push(
            rules::PAYLOAD_ALIGN
                .says(format!("the device tree of VM `{name}` is not where one may be"))
                .label(at, "not a multiple of 8")
                .help(format!("write {}", hex(at.value & !7))),
        );
    }
    if holding(vm, at) == Some(false)
        && let Some(first) = vm.memory.first()
    {
        let base = first.ipa.as_ref().map_or(0, |ipa| ipa.value);
        report.push(
            rules::IPA_HOLE
                .says(format!("the device tree of VM `{name}` lies outside its memory"))
                .label(at, "the guest looks for it here")
                .label(&first.at, format!("the memory starts at {}", hex(base)))
                .help(format!("give the VM memory there, as ipa = {}", hex(at.value & !0x1f_ffff))),
        );
    }
}
