//! Names: unique among their kind, and fit for file names and device trees.

use crate::diag::{Report, rules};
use crate::model::{At, System};

pub fn check(system: &System, report: &mut Report) {
    let board = &system.board;
    unique(report, "CPU", board.cpus.iter().map(|cpu| &cpu.name));
    unique(report, "RAM", board.ram.iter().map(|ram| &ram.name));
    unique(report, "reserved range", board.reserved.iter().map(|reserved| &reserved.name));
    unique(report, "UART", board.uarts.iter().map(|uart| &uart.name));
    unique(report, "PCIe host", board.pcie.iter().map(|host| &host.name));
    unique(report, "bridge", board.bridges.iter().map(|bridge| &bridge.name));
    unique(report, "device", board.devices.iter().map(|device| &device.name));
    unique(report, "VM", system.vms.iter().map(|vm| &vm.name));
    unique(report, "channel", system.channels.iter().map(|channel| &channel.name));
    unique(report, "mode", system.mode_names());
    plain(report, "system", &system.name);
    for bridge in &board.bridges {
        plain(report, "bridge", &bridge.name);
    }
    for device in &board.devices {
        plain(report, "device", &device.name);
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
    let names: Vec<_> = names.collect();
    for (n, name) in names.iter().enumerate() {
        if let Some(first) = names[..n].iter().find(|other| other.value == name.value) {
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

/// Letters, digits, `-`, `_` and `.`, beginning with a letter or digit: 31 at most, as in a device tree (DTSpec 2.2.1).
fn plain(report: &mut Report, kind: &str, name: &At<String>) {
    let text = name.value.as_str();
    let first = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if !first || !rest || text.len() > 31 {
        report.push(
            rules::BAD_NAME
                .says(format!("a {kind} cannot be called \"{}\"", text.escape_default()))
                .label(name, "not a name")
                .help("write up to 31 letters, digits, `-`, `_` and `.`, beginning with a letter or digit"),
        );
    }
}
