// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A scene and what was found in it, for people and for programs.

use serde_json::{Value, json};

use super::causes::{Finding, findings};
use super::scene::{Past, Registers, Scene, Vpe};
use super::symbols::Wait;

/// For people.
pub fn text(scene: &Scene) -> String {
    let found = findings(scene);
    let mut out = format!("{}: {}\n", scene.name, scene.reason);
    out += &cause(&found, &scene.name);
    for vm in &scene.vms {
        let detail = if vm.detail.is_empty() { String::new() } else { format!(", {}", vm.detail) };
        out += &format!("\n{}: {}{detail}\n", vm.name, vm.state);
        if let Some(line) = vm.said.last() {
            out += &format!("  its last line: {line}\n");
        }
        out += &cause(&found, &vm.name);
        for vpe in scene
            .vpes
            .iter()
            .filter(|vpe| vpe.name.rsplit_once('/').map(|(name, _)| name) == Some(&vm.name))
        {
            out += &one(scene, vpe);
            out += &cause(&found, &vpe.name);
        }
    }
    if found.is_empty() {
        out += "\nno known cause fits\n";
    }
    out
}

/// For programs.
pub fn json(scene: &Scene) -> Value {
    let found: Vec<Value> = findings(scene)
        .iter()
        .map(|finding| {
            json!({
                "who": finding.who, "cause": finding.cause.name, "seen": finding.seen,
                "do": finding.cause.hint,
            })
        })
        .collect();
    let vpes: Vec<Value> = scene
        .vpes
        .iter()
        .map(|vpe| {
            let seen = vpe.registers.as_ref();
            json!({
                "vpe": vpe.name, "state": vpe.power, "pc": seen.map(Registers::pc),
                "place": seen.and_then(|seen| scene.place(vpe, scene.at(vpe, seen))),
                "exits": vpe.exits,
                "last": vpe.past.iter().map(|past| exit(scene, vpe, past)).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({ "system": scene.name, "reason": scene.reason, "causes": found, "vpes": vpes })
}

fn cause(found: &[Finding], who: &str) -> String {
    let of = |finding: &&Finding| finding.who == who;
    let lines = found.iter().filter(of).map(|finding| {
        let Finding { cause, seen, .. } = finding;
        format!("  cause: {}: {seen}\n  do: {}\n", cause.name, cause.hint)
    });
    lines.collect()
}

/// What a vPE does.
fn one(scene: &Scene, vpe: &Vpe) -> String {
    let state = if vpe.power.is_empty() { "" } else { &format!("{}, ", vpe.power) };
    let mut out = format!("\n{}: {state}{} exits\n", vpe.name, vpe.exits);
    if let Some(seen) = &vpe.registers {
        let waits = match scene.wait(vpe) {
            Some(Wait::Interrupt) => "waits by WFI",
            Some(Wait::Event) => "waits by WFE",
            Some(Wait::No) if seen.get("runs") == 1 => "runs",
            _ if seen.get("runs") == 1 => "runs or waits",
            _ => "does not have its CPU",
        };
        let at = address(scene, vpe, scene.at(vpe, seen));
        let level = if seen.get("pstate") & 0xc == 0 { "EL0" } else { "EL1" };
        out += &format!("  {waits} at {at}, {level}\n");
        out += &format!("  interrupts: {}\n", interrupts(scene, vpe, seen));
    }
    let mut last: Vec<(String, usize)> = Vec::new();
    for past in &vpe.past {
        let what = exit(scene, vpe, past);
        match last.last_mut() {
            Some((before, times)) if *before == what => *times += 1,
            _ => last.push((what, 1)),
        }
    }
    for (what, times) in last {
        let times = if times > 1 { format!("{times} times ") } else { String::new() };
        out += &format!("  exit: {times}{what}\n");
    }
    out
}

/// "0x40001234 (function, file:line)".
fn address(scene: &Scene, vpe: &Vpe, address: u64) -> String {
    match scene.place(vpe, address) {
        Some(place) => format!("{address:#x} ({place})"),
        None => format!("{address:#x}"),
    }
}

/// One exit, in words.
pub(super) fn exit(scene: &Scene, vpe: &Vpe, past: &Past) -> String {
    let emulates = |ipa| scene.vm_of(vpe).and_then(|vm| vm.emulates(ipa));
    let what = match (past.what.as_str(), past.ipa) {
        ("data abort", Some(ipa)) => {
            // ESR_EL2.WnR; SAS, if ISV.
            let way = if past.esr >> 6 & 1 != 0 { "write" } else { "read" };
            let valid = past.esr >> 24 & 1 != 0;
            let size = if valid {
                format!(" of {} bytes", 1 << (past.esr >> 22 & 3))
            } else {
                String::new()
            };
            let of =
                emulates(ipa).map_or(" (nothing is there)".into(), |kind| format!(" ({kind})"));
            format!("{way}{size} at IPA {ipa:#x}{of}")
        }
        ("instruction abort", Some(ipa)) => {
            format!("fetch from IPA {ipa:#x}, which it does not have")
        }
        (what, _) => what.to_owned(),
    };
    format!("{what} by {}", address(scene, vpe, past.at))
}

fn interrupts(scene: &Scene, vpe: &Vpe, seen: &Registers) -> String {
    let numbers = |numbers: Vec<u64>| match numbers.is_empty() {
        true => "none".to_owned(),
        false => numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
    };
    let vm = scene.vm_of(vpe);
    let spis = |which: fn(&super::scene::Spis) -> u64| vm.map_or(Vec::new(), |vm| vm.spis(which));
    let bits = |bits: u64| (0..32).filter(move |bit| bits >> bit & 1 != 0);
    let enabled = bits(seen.get("enabled")).chain(spis(|spis| spis.enabled)).collect();
    let pending = bits(seen.get("waiting")).chain(seen.listed().map(|(intid, _)| intid));
    let pending = pending.chain(spis(|spis| spis.pending)).collect();
    let on = |on| if on { "on" } else { "off" };
    let timer = match (seen.get("timer") & 3, seen.timer_passed()) {
        (1, true) => "fired",
        (1, false) => "armed",
        (3, _) => "armed, its interrupt masked",
        _ => "off",
    };
    format!(
        "{}; group {}, interface {}, mask {:#x}; enabled {}; pending {}; timer {timer}",
        if seen.masked() { "masked" } else { "let in" },
        on(seen.group_on()),
        on(seen.interface_on()),
        seen.priority_mask(),
        numbers(enabled),
        numbers(pending),
    )
}
