// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Places: in each mode every vPE has one CPU, and a CPU that is shared says how.
//!
//! In the first mode a vPE's `cpu` is its place, and the CPU's `[[cpu]]` must agree. In another
//! mode the described CPUs have whom they name, the others whom they have in the first; who has no
//! place then must be named as suspended.

use std::collections::BTreeMap;

use super::cpu::pair;
use crate::diag::{Report, rules};
use crate::model::{At, CpuUse, Mode, Sharing, System, UNRESOLVED, VpeName};

pub fn check(system: &System, report: &mut Report) {
    described_once(system, report, &system.cpus);
    claimed_once(system, report);
    left_out(system, report);
    elsewhere(system, report);
    for mode in &system.modes {
        described_once(system, report, &mode.cpus);
        placed_once(system, report, mode);
    }
}

/// The CPU's name, as the board or, when that does not know it, the user has it.
pub fn cpu_name(system: &System, cpu: &CpuUse, report: &Report) -> String {
    match system.board.cpus.get(cpu.cpu.value) {
        Some(cpu) => cpu.name.value.clone(),
        None => {
            let written = report.sources.place(cpu.cpu.file, &cpu.cpu.span).text();
            written.trim_matches(['"', '\'']).into()
        }
    }
}

/// It exists; what does not is told elsewhere.
pub fn known(system: &System, vpe: &VpeName) -> bool {
    system.vms.get(vpe.vm.value).is_some_and(|vm| vpe.number.value < vm.vpes.len())
}

/// "vPE 0 of `a`", of a vPE that exists.
pub fn vpe_name(system: &System, vpe: &VpeName) -> String {
    name(system, vpe.key())
}

fn name(system: &System, (vm, number): (usize, usize)) -> String {
    format!("vPE {number} of `{}`", system.vms[vm].name.value)
}

fn described_once(system: &System, report: &mut Report, cpus: &[CpuUse]) {
    for (n, cpu) in cpus.iter().enumerate() {
        let Some(of_board) = system.board.cpus.get(cpu.cpu.value) else { continue };
        if let Some(first) = cpus[..n].iter().find(|first| first.cpu.value == cpu.cpu.value) {
            report.push(
                rules::DUPLICATE_NAME
                    .says(format!("CPU `{}` is described twice", of_board.name.value))
                    .label(&cpu.cpu, "again here")
                    .label(&first.cpu, "first here")
                    .help("describe a CPU once: put the two together"),
            );
        }
    }
}

/// A CPU that is not shared has one vPE.
fn claimed_once(system: &System, report: &mut Report) {
    let claims: Vec<_> = system.vpes().map(|(vm, n, vpe)| (&system.vms[vm], n, &vpe.cpu)).collect();
    let taken: Vec<usize> = claims.iter().map(|(_, _, cpu)| cpu.value).collect();
    let free = system.board.cpus.iter().enumerate().find(|(n, _)| !taken.contains(n));
    for (position, (vm, n, cpu)) in claims.iter().enumerate() {
        let Some(name) = system.board.cpus.get(cpu.value).map(|cpu| &cpu.name.value) else {
            continue;
        };
        let described = description(system, cpu.value);
        let exclusive = |cpu: &&CpuUse| matches!(cpu.sharing, Sharing::Exclusive(_));
        if described.is_some_and(|cpu| !exclusive(&cpu)) {
            continue;
        }
        let Some((first, m, place)) =
            claims[..position].iter().find(|(_, _, other)| other.value == cpu.value)
        else {
            continue;
        };
        let help = match free {
            Some((_, free)) => format!("`{}` is free", free.name.value),
            None => format!("take a vPE away, or say by [[cpu]] how `{name}` is shared"),
        };
        let mut twice = rules::CPU_TWICE
            .says(format!("CPU `{name}` is claimed {}", pair("by", first, vm)))
            .label(*cpu, format!("by vPE {n} of `{}`", vm.name.value))
            .label(*place, format!("already by vPE {m} of `{}`", first.name.value));
        if let Some(described) = described {
            twice = twice.label(&described.cpu, "which is exclusive");
        }
        report.push(twice.help(help));
    }
}

fn description(system: &System, cpu: usize) -> Option<&CpuUse> {
    system.cpus.iter().find(|described| described.cpu.value == cpu)
}

/// A vPE on a shared CPU is in that CPU's table.
fn left_out(system: &System, report: &mut Report) {
    for (vm, number, vpe) in system.vpes() {
        let Some(cpu) = description(system, vpe.cpu.value) else { continue };
        let owner = &system.vms[vm].name.value;
        let (without, whose, entry) = match &cpu.sharing {
            Sharing::Idle | Sharing::Exclusive(_) => continue,
            Sharing::Priority(_) => ("priority", "its priorities", "priority = ... } to `vpes`"),
            Sharing::Cyclic(_) => {
                ("window", "its windows", "start = \"...\", length = \"...\" } to `windows`")
            }
        };
        // A misspelt one is probably this one.
        let all_known = cpu.sharing.vpes().iter().all(|vpe| known(system, vpe));
        if all_known && !cpu.sharing.vpes().iter().any(|named| named.key() == (vm, number)) {
            let name = cpu_name(system, cpu, report);
            report.push(
                rules::VPE_LEFT_OUT
                    .says(format!(
                        "{} has no {without} on `{name}`",
                        self::name(system, (vm, number))
                    ))
                    .label(&vpe.cpu, "it is on this CPU")
                    .label(&cpu.cpu, format!("{whose} are for others"))
                    .help(format!("add {{ vm = \"{owner}\", vpe = {number}, {entry}")),
            );
        }
    }
}

/// A shared CPU's table names those that are on it, each once.
fn elsewhere(system: &System, report: &mut Report) {
    let described = system.cpus.iter().filter(|cpu| cpu.cpu.value != UNRESOLVED);
    for cpu in described {
        let name = cpu_name(system, cpu, report);
        let mut told = Vec::new();
        for vpe in cpu.sharing.vpes().into_iter().filter(|vpe| known(system, vpe)) {
            let own = &system.vms[vpe.vm.value].vpes[vpe.number.value].cpu;
            let Some(its) = system.board.cpus.get(own.value) else { continue };
            if own.value == cpu.cpu.value || told.contains(&vpe.key()) {
                continue;
            }
            told.push(vpe.key());
            let who = vpe_name(system, vpe);
            report.push(
                rules::VPE_TWICE
                    .says(format!("{who} is on `{}` and on `{name}`", its.name.value))
                    .label(&vpe.vm, format!("{who} here"))
                    .label(own, "this is its CPU")
                    .help(format!(
                        "remove it here, or write cpu = \"{name}\" there: only a [[mode]] can \
                         place it elsewhere"
                    )),
            );
        }
        two_priorities(system, report, cpu, &name);
    }
}

fn two_priorities(system: &System, report: &mut Report, cpu: &CpuUse, name: &str) {
    let Sharing::Priority(claims) = &cpu.sharing else { return };
    for (n, claim) in claims.iter().enumerate().filter(|(_, claim)| known(system, &claim.vpe)) {
        if let Some(first) = claims[..n].iter().find(|c| c.vpe.key() == claim.vpe.key()) {
            let who = vpe_name(system, &claim.vpe);
            report.push(
                rules::VPE_TWICE
                    .says(format!("{who} is twice on `{name}`"))
                    .label(&claim.at, "again here")
                    .label(&first.at, "first here")
                    .help("leave out one of the two"),
            );
        }
    }
}

/// In a mode every vPE has one place, or is suspended.
fn placed_once(system: &System, report: &mut Report, mode: &Mode) {
    let named = mode.cpus.iter().flat_map(|cpu| cpu.sharing.vpes()).chain(&mode.suspended);
    let all_known = { named }.all(|vpe| known(system, vpe));
    if !all_known || mode.cpus.iter().any(|cpu| cpu.cpu.value == UNRESOLVED) {
        return;
    }
    let mut places: BTreeMap<(usize, usize), (usize, At<()>, String)> = BTreeMap::new();
    let title = |key, first: &str, second: &str| {
        let who = name(system, key);
        rules::VPE_TWICE.says(format!("mode `{}` has {who} {first} and {second}", *mode.name))
    };
    for cpu in &mode.cpus {
        let name = format!("on `{}`", cpu_name(system, cpu, report));
        for vpe in cpu.sharing.vpes().into_iter().filter(|vpe| known(system, vpe)) {
            let here = vpe.vm.with(());
            match places.get(&vpe.key()) {
                None => {
                    places.insert(vpe.key(), (cpu.cpu.value, here, name.clone()));
                }
                Some((first, ..)) if *first == cpu.cpu.value => {}
                Some((_, place, first)) => report.push(
                    title(vpe.key(), first, &name)
                        .label(&here, format!("{name} here"))
                        .label(place, format!("{first} here"))
                        .help("leave out one of the two: a vPE has one CPU in each mode"),
                ),
            }
        }
        two_priorities(system, report, cpu, name.trim_start_matches("on ").trim_matches('`'));
    }
    for vpe in mode.suspended.iter().filter(|vpe| known(system, vpe)) {
        match places.get(&vpe.key()) {
            None => {
                let place = (usize::MAX, vpe.vm.with(()), "suspended".into());
                places.insert(vpe.key(), place);
            }
            Some((_, place, first)) => report.push(
                title(
                    vpe.key(),
                    first,
                    if first == "suspended" { "suspended again" } else { "suspended" },
                )
                .label(&vpe.vm, "suspended here")
                .label(place, format!("{first} here"))
                .help("leave out one of the two"),
            ),
        }
    }
    for (vm, number, vpe) in system.vpes() {
        let Some(own) = system.board.cpus.get(vpe.cpu.value) else { continue };
        let described = mode.cpus.iter().find(|cpu| cpu.cpu.value == vpe.cpu.value);
        let own = format!("on `{}`", own.name.value);
        let who = name(system, (vm, number));
        match (places.get(&(vm, number)), described) {
            (None, Some(described)) => {
                let owner = &system.vms[vm].name.value;
                report.push(
                    rules::NO_PLACE
                        .says(format!("mode `{}` has no place for {who}", *mode.name))
                        .label(&described.cpu, "this mode uses the CPU in another way")
                        .label(&vpe.cpu, "by whom it was used")
                        .help(format!(
                            "name it on one of the mode's CPUs, or write suspended = [{{ vm = \
                             \"{owner}\", vpe = {number} }}]"
                        )),
                );
            }
            (Some((_, place, first)), None) if first != "suspended" => report.push(
                title((vm, number), first, &own)
                    .label(place, format!("{first} here"))
                    .label(&vpe.cpu, "its CPU, of which the mode says nothing")
                    .help(
                        "describe that CPU in the mode, too, as kind = \"idle\" if nobody is \
                           left there",
                    ),
            ),
            _ => {}
        }
    }
}
