// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A VM's device tree: the generated one, one with the user's overlay on it, or the user's own.
//!
//! [`blob`] is the whole interface, and part of making a plan: it reads no file. What a user has
//! written is compared with what the VM has by the rules in `agree`; the generated tree follows the
//! plan and needs none. A user's own tree stays as it is, but for what a boot loader would fill in:
//! /chosen's `bootargs`, its initial RAM disk, and that BARs are placed.

mod agree;
pub(crate) mod bus;
pub(crate) mod copy;
mod facts;
mod overlay;
pub(crate) mod parse;
pub(crate) mod part;
pub(crate) mod reference;

use dtoolkit::fdt::Fdt;
use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};

use crate::diag::{Diagnostic, Report, rules};
use crate::emit::fdt;
use crate::model::{At, System};
use crate::payload::Blob;
use crate::plan::{Plan, Vm};

/// The device tree of VM number `vm`. None: there is something wrong with it, and that has been
/// reported.
pub fn blob(
    system: &System,
    plan: &Plan,
    vm: usize,
    blob: &Blob,
    report: &mut Report,
) -> Option<Vec<u8>> {
    let payload = &system.vms[vm].payload;
    let base = match (&blob.dtb, &payload.dtb) {
        (Some(own), Some(path)) => {
            let parsed =
                parse::parse(own).map_err(|error| report.push(damaged(system, path, &error)));
            completed(own, &parsed.ok()?, &plan.vms[vm])
        }
        _ => fdt::tree(system, plan, vm)
            .map_err(|error| {
                let impossible = rules::PLAN_IMPOSSIBLE.says(format!("device tree: {error}"));
                report.push(impossible.label(&system.vms[vm].name, "of this VM"));
            })
            .ok()?,
    };
    let tree = match (&blob.overlay, &payload.overlay) {
        (Some(overlay), Some(path)) => {
            let generated = blob.dtb.is_none();
            overlay::apply(system, &base, overlay, generated)
                .map_err(|why| report.push(overlay::refused(&system.vms[vm], path, &why)))
                .ok()?
        }
        _ => base,
    };
    if let Some(path) = payload.overlay.as_ref().or(payload.dtb.as_ref()) {
        let parsed =
            parse::parse(&tree).map_err(|error| report.push(damaged(system, path, &error)));
        let before = report.diagnostics.len();
        agree::check(system, plan, vm, path, &facts::Facts::of(&parsed.ok()?), report);
        let found = &report.diagnostics[before..];
        if found.iter().any(|found| found.severity == crate::diag::Severity::Error) {
            return None;
        }
    }
    Some(tree)
}

fn damaged(system: &System, path: &At<std::path::PathBuf>, error: &str) -> Diagnostic {
    rules::PAYLOAD_FORMAT
        .says(format!("{} is damaged: {error}", path.value.display()))
        .label(path, "a device tree blob, by its first bytes")
        .label(&system.name, "for this system")
        .help("write a file that dtc made (-O dtb)")
}

/// The user's own tree with what the TOML says for /chosen.
fn completed(own: &[u8], parsed: &Fdt, vm: &Vm) -> Vec<u8> {
    let mut chosen: Vec<(&str, Vec<u8>)> = Vec::new();
    if let Some(arguments) = &vm.arguments {
        chosen.push(("bootargs", [arguments.as_bytes(), &[0]].concat()));
    }
    if let Some(initrd) = vm.initrd {
        let end = initrd.base.value() + initrd.bytes;
        chosen.push(("linux,initrd-start", initrd.base.value().to_be_bytes().to_vec()));
        chosen.push(("linux,initrd-end", end.to_be_bytes().to_vec()));
    }
    if !vm.hosts.is_empty() {
        chosen.push(("linux,pci-probe-only", 1u32.to_be_bytes().to_vec()));
    }
    if chosen.is_empty() {
        return own.to_vec();
    }
    let mut tree = DeviceTree::from_fdt(parsed);
    if tree.root.child_mut("chosen").is_none() {
        tree.root.add_child(DeviceTreeNode::new_unchecked("chosen"));
    }
    if let Some(node) = tree.root.child_mut("chosen") {
        for (name, value) in chosen {
            node.add_property(DeviceTreeProperty::new_unchecked(name, value));
        }
    }
    tree.to_dtb()
}
