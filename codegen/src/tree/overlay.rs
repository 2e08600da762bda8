// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The user's overlay on a tree.
//!
//! An overlay names nodes of the generated tree by path or by label: the board's names of UARTs,
//! hosts and platform devices, `gic`, `its`, `timer`, `psci` and `cpu0`, `cpu1`, ... (`dtc -@`).
//! The labels are gone from the result.

use std::path::PathBuf;

use dtoolkit::Node;
use dtoolkit::model::overlay::OverlayApplier;
use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};

use super::parse::parse;
use crate::diag::{Diagnostic, rules};
use crate::model::{At, System, Vm};

const SYMBOLS: &str = "__symbols__";

/// `overlay` on `base`, whose labels are ours when it is `generated`. The error says why it does
/// not go.
pub fn apply(
    system: &System,
    base: &[u8],
    overlay: &[u8],
    generated: bool,
) -> Result<Vec<u8>, String> {
    let parsed = parse(base)?;
    let overlay = parse(overlay).map_err(|error| format!("it is damaged: {error}"))?;
    let fragments = overlay.root().children().filter(|node| node.child("__overlay__").is_some());
    if fragments.count() == 0 {
        return Err("it has no fragment: it is a tree and no overlay".into());
    }
    let mut tree = DeviceTree::from_fdt(&parsed);
    if generated {
        let labels = symbols(system, &tree);
        tree.root.add_child(labels);
    }
    OverlayApplier::new(&mut tree).apply_overlay(&overlay).map_err(|error| error.to_string())?;
    tree.root.remove_child(SYMBOLS);
    Ok(tree.to_dtb())
}

pub fn refused(vm: &Vm, path: &At<PathBuf>, why: &str) -> Diagnostic {
    rules::OVERLAY
        .says(format!(
            "{} does not go on the device tree of VM `{}`",
            path.value.display(),
            vm.name.value
        ))
        .label(path, why)
        .label(&vm.name, "this VM")
        .help(
            "write an overlay that dtc made (-@ -O dtb) for target/bulkhead/SYSTEM/VM.dtb; \
               docs/guest-abi.md has its labels",
        )
}

/// Labels of the generated tree's nodes.
fn symbols(system: &System, tree: &DeviceTree) -> DeviceTreeNode {
    let mut symbols = DeviceTreeNode::new_unchecked(SYMBOLS);
    let mut add = |label: &str, path: String| {
        let label = label.replace('-', "_");
        symbols.add_property(DeviceTreeProperty::new_unchecked(
            label,
            [path.as_bytes(), &[0]].concat(),
        ));
    };
    let board = &system.board;
    for node in tree.root.children() {
        let path = format!("/{}", node.name());
        let unit =
            node.name().split_once('@').and_then(|(_, unit)| u64::from_str_radix(unit, 16).ok());
        match node.name_without_address() {
            "timer" | "psci" => add(node.name(), path),
            "interrupt-controller" => {
                for child in node.children() {
                    add("its", format!("{path}/{}", child.name()));
                }
                add("gic", path);
            }
            "cpus" => {
                for (number, cpu) in node.children().enumerate() {
                    add(&format!("cpu{number}"), format!("{path}/{}", cpu.name()));
                }
            }
            "pl011" => {
                let own = board.console.as_ref().map(|uart| &board.uarts[uart.value]);
                own.into_iter().for_each(|uart| add(&uart.name.value, path.clone()));
            }
            "pcie" => {
                let mut hosts = board.pcie.iter();
                let own = hosts.find(|host| Some(host.ecam.start()) == unit);
                own.into_iter().for_each(|host| add(&host.name.value, path.clone()));
            }
            name => {
                if board.devices.iter().any(|device| device.name.value == name) {
                    add(name, path);
                }
            }
        }
    }
    symbols
}
