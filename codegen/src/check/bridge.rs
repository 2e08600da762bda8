// SPDX-License-Identifier: Apache-2.0 OR MIT
//! PCI bridges: each leads to buses of its own, after the one that it is on.
//!
//! Configuration requests find their way by these numbers (PCI-to-PCI Bridge 1.2, 3.1.2.2): a bus
//! that two bridges claim, or that a bridge claims and the one above it does not, would be reached
//! by neither.

use crate::diag::{Diagnostic, Report, rules};
use crate::model::{Board, Bridge, System};

pub fn check(system: &System, report: &mut Report) {
    let board = &system.board;
    for (n, bridge) in board.bridges.iter().enumerate() {
        // One finding for a bridge: the others follow from it.
        let said = order(bridge)
            .or_else(|| host(board, bridge))
            .or_else(|| above(board, bridge))
            .or_else(|| beside(&board.bridges[..n], bridge));
        if let Some(diagnostic) = said {
            report.push(diagnostic);
        }
    }
}

fn buses(bridge: &Bridge) -> String {
    match (bridge.secondary.value, bridge.subordinate.value) {
        (first, last) if first == last => format!("bus {first}"),
        (first, last) => format!("buses {first} to {last}"),
    }
}

/// Own bus, then the secondary, then the subordinate.
fn order(bridge: &Bridge) -> Option<Diagnostic> {
    let (name, own) = (&bridge.name.value, bridge.address.bus);
    let (secondary, subordinate) = (bridge.secondary.value, bridge.subordinate.value);
    if secondary <= own {
        return Some(
            rules::BRIDGE
                .says(format!("bridge `{name}` leads to no later bus than its own"))
                .label(&bridge.secondary, format!("bus {secondary} right behind it"))
                .label(&bridge.address, format!("on bus {own} itself"))
                .help(format!("write secondary = {} or more", u16::from(own) + 1)),
        );
    }
    (subordinate < secondary).then(|| {
        rules::BRIDGE
            .says(format!("the buses behind bridge `{name}` end before they begin"))
            .label(&bridge.subordinate, format!("the last is {subordinate}"))
            .label(&bridge.secondary, format!("the first is {secondary}"))
            .help(format!(
                "write subordinate = {secondary}, or leave it out if no bridge is behind"
            ))
    })
}

fn host(board: &Board, bridge: &Bridge) -> Option<Diagnostic> {
    let host = board.pcie.get(bridge.host.value)?;
    let (name, last) = (&host.name.value, host.last_bus.value);
    // One that is itself elsewhere is told by the rules for addresses.
    (bridge.subordinate.value > last && bridge.address.bus <= last).then(|| {
        rules::BRIDGE
            .says(format!(
                "bridge `{}` leads to buses that `{name}` does not have",
                bridge.name.value
            ))
            .label(&bridge.subordinate, format!("{} behind it", buses(bridge)))
            .label(&host.last_bus, format!("{last} is the last of `{name}`"))
            .help(format!("write buses up to {last}"))
    })
}

/// Within those of the bridge that it is behind.
fn above(board: &Board, bridge: &Bridge) -> Option<Diagnostic> {
    let leads = |above: &&Bridge| {
        above.host.value == bridge.host.value && above.secondary.value == bridge.address.bus
    };
    let above = board.bridges.iter().find(leads)?;
    let (name, over) = (&bridge.name.value, &above.name.value);
    (bridge.subordinate.value > above.subordinate.value).then(|| {
        rules::BRIDGE
            .says(format!(
                "bridge `{name}` leads to buses that are not behind `{over}`, which it \
                           is behind itself"
            ))
            .label(&bridge.subordinate, format!("{} behind `{name}`", buses(bridge)))
            .label(&above.subordinate, format!("{} behind `{over}`", buses(above)))
            .help(format!("write subordinate = {} for `{over}`", bridge.subordinate.value))
    })
}

/// Not those of another bridge, unless one is behind the other.
fn beside(earlier: &[Bridge], bridge: &Bridge) -> Option<Diagnostic> {
    let range = |bridge: &Bridge| bridge.secondary.value..=bridge.subordinate.value;
    let behind = |one: &Bridge, other: &Bridge| {
        range(other).contains(&one.address.bus) && one.secondary.value > other.secondary.value
    };
    let clash = |other: &&Bridge| {
        other.host.value == bridge.host.value
            && other.secondary.value <= bridge.subordinate.value
            && bridge.secondary.value <= other.subordinate.value
            && !behind(bridge, other)
            && !behind(other, bridge)
    };
    let other = earlier.iter().find(clash)?;
    Some(
        rules::BRIDGE
            .says(format!(
                "bridges `{}` and `{}` lead to the same bus",
                other.name.value, bridge.name.value
            ))
            .label(&bridge.secondary, format!("{} behind `{}`", buses(bridge), bridge.name.value))
            .label(&other.secondary, format!("{} behind `{}`", buses(other), other.name.value))
            .help("give each bridge buses of its own"),
    )
}
