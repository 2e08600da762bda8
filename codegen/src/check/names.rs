// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Names: unique among their kind, and fit for file names and device trees.

use std::collections::HashMap;

use crate::diag::{Report, rules};
use crate::limits::{LONG_NAME, NAME};
use crate::model::{At, Board, DeviceKind, System};

/// Labels of the generated tree that are no name of the board's (docs/guest-abi.md); `cpu0`,
/// `cpu1`, ... besides.
const LABELS: [&str; 5] = ["gic", "its", "timer", "psci", "bulkhead"];

pub fn check(system: &System, report: &mut Report) {
    let board = &system.board;
    unique(report, "CPU", board.cpus.iter().map(|cpu| &cpu.name));
    unique(report, "RAM", board.ram.iter().map(|ram| &ram.name));
    unique(report, "reserved range", board.reserved.iter().map(|reserved| &reserved.name));
    unique(report, "UART", board.uarts.iter().map(|uart| &uart.name));
    let controllers = board.controllers.iter().map(|one| &one.name);
    unique(report, "PCIe host", board.pcie.iter().map(|host| &host.name).chain(controllers));
    unique(report, "SMMU", board.smmus.iter().map(|smmu| &smmu.name));
    unique(report, "IOMMU", board.iommus.iter().map(|iommu| &iommu.name));
    unique(report, "bridge", board.bridges.iter().map(|bridge| &bridge.name));
    unique(report, "device", board.devices.iter().map(|device| &device.name));
    unique(report, "VM", system.vms.iter().map(|vm| &vm.name));
    unique(report, "channel", system.channels.iter().map(|channel| &channel.name));
    unique(report, "mode", system.mode_names());
    plain(report, "system", &system.name);
    plain(report, "board", &board.name);
    for cpu in &board.cpus {
        plain(report, "CPU", &cpu.name);
    }
    for uart in &board.uarts {
        plain(report, "UART", &uart.name);
    }
    for host in &board.pcie {
        plain(report, "PCIe host", &host.name);
    }
    for bridge in &board.bridges {
        plain(report, "bridge", &bridge.name);
    }
    let scratch = board.devices.iter().flat_map(|device| &device.scratch);
    unique(report, "scratch file", scratch.map(|scratch| &scratch.file));
    for device in &board.devices {
        plain(report, "device", &device.name);
        for scratch in &device.scratch {
            plain(report, "scratch file", &scratch.file);
        }
    }
    labels(board, report);
    for vm in &system.vms {
        if let Some(arguments) = &vm.arguments {
            one_string(report, &format!("`arguments` of VM `{}`", vm.name.value), arguments);
        }
    }
    for device in &board.devices {
        if let DeviceKind::Platform { compatible, .. } = &device.kind {
            one_string(
                report,
                &format!("`compatible` of device `{}`", device.name.value),
                compatible,
            );
        }
    }
    for (kind, name) in shown(board) {
        printable(report, kind, name);
    }
    for vm in &system.vms {
        plain(report, "VM", &vm.name);
    }
    for mode in system.mode_names() {
        plain(report, "mode", mode);
    }
    for channel in &system.channels {
        plain(report, "channel", &channel.name);
    }
}

fn unique<'a>(report: &mut Report, kind: &str, names: impl Iterator<Item = &'a At<String>>) {
    let mut known: HashMap<&str, &At<String>> = HashMap::new();
    for name in names {
        let first = *known.entry(&name.value).or_insert(name);
        if !std::ptr::eq(first, name) {
            report.push(
                rules::DUPLICATE_NAME
                    .says(format!("two {kind}s are called `{}`", name.value))
                    .label(name, "the name is taken")
                    .label(first, "by this one")
                    .help(format!("write another name here, as \"{}-2\"", name.value)),
            );
        }
    }
}

/// Names that only people read, in lines of reports.
fn shown(board: &Board) -> impl Iterator<Item = (&'static str, &At<String>)> {
    let ram = board.ram.iter().map(|ram| ("RAM", &ram.name));
    ram.chain(board.reserved.iter().map(|reserved| ("reserved range", &reserved.name)))
}

/// A text of a device tree, where NUL ends it.
fn one_string(report: &mut Report, what: &str, text: &At<String>) {
    let Some(at) = text.value.find('\0') else { return };
    report.push(
        rules::WRONG_VALUE
            .says(format!("{what} has a NUL character"))
            .label(text, format!("behind \"{}\"", text.value[..at].escape_default()))
            .help("leave it out: it would end the text in the guest's device tree"),
    );
}

/// One line, and not a long one.
fn printable(report: &mut Report, kind: &str, name: &At<String>) {
    let text = name.value.as_str();
    let fine = |c: char| !c.is_control() && !"\"\\".contains(c);
    if text.trim().is_empty() || !text.chars().all(fine) || text.chars().count() > LONG_NAME {
        report.push(
            rules::BAD_NAME
                .says(format!("a {kind} cannot be called \"{}\"", text.escape_default()))
                .label(name, "not a name")
                .help("write up to 63 characters in one line, without quotes and backslashes"),
        );
    }
}

/// An overlay names nodes by label, where `-` is `_`: the board's names must stay apart, and apart
/// from the fixed ones.
fn labels(board: &Board, report: &mut Report) {
    let label = |name: &str| name.replace('-', "_");
    let fixed = |name: &str| {
        let cpu = name.strip_prefix("cpu").is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())
        });
        cpu || LABELS.contains(&name)
    };
    let platform = board.devices.iter().filter(|device| device.is_platform());
    let nodes = board.uarts.iter().map(|uart| ("UART", &uart.name));
    let nodes = nodes.chain(board.pcie.iter().map(|host| ("PCIe host", &host.name)));
    let nodes = nodes.chain(platform.map(|device| ("device", &device.name)));
    let mut known: HashMap<String, (&str, &At<String>)> = HashMap::new();
    for (kind, name) in nodes {
        let own = label(&name.value);
        if fixed(&own) {
            report.push(
                rules::LABEL_TWICE
                    .says(format!("a {kind} cannot be called \"{}\"", name.value))
                    .label(name, "every device tree has a node with this label")
                    .help(format!("write another name, as \"{}-0\"", name.value)),
            );
            continue;
        }
        match known.get(&own) {
            // Two of one kind with one name are told apart from labels.
            Some((other, first)) if *other != kind || first.value != name.value => report.push(
                rules::LABEL_TWICE
                    .says(format!("two nodes of a device tree would have the label `{own}`"))
                    .label(name, format!("this {kind}'s"))
                    .label(first, format!("and this {other}'s"))
                    .help("write names that differ in more than `-` and `_`"),
            ),
            Some(_) => {}
            None => {
                known.insert(own, (kind, name));
            }
        }
    }
}

/// Letters, digits, `-`, `_` and `.`, beginning with a letter or digit: 31 at most, as in a device
/// tree (DTSpec 2.2.1).
fn plain(report: &mut Report, kind: &str, name: &At<String>) {
    let text = name.value.as_str();
    let first = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if !first || !rest || text.len() > NAME {
        report.push(
            rules::BAD_NAME
                .says(format!("a {kind} cannot be called \"{}\"", text.escape_default()))
                .label(name, "not a name")
                .help(
                    "write up to 31 letters, digits, `-`, `_` and `.`, beginning with a letter \
                       or digit",
                ),
        );
    }
}
