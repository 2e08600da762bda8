//! CPUs: each is one vPE's own.

use crate::diag::{Report, rules};
use crate::model::{At, System, Vm};

pub fn check(system: &System, report: &mut Report) {
    twice(system, report);
    for vm in &system.vms {
        for event in &vm.events {
            vpe(report, vm, &event.vpe, "this event goes to");
        }
    }
    for end in system.channels.iter().flat_map(|channel| &channel.ends) {
        if let Some(vm) = system.vms.get(end.vm.value) {
            vpe(report, vm, &end.vpe, "this end is rung on");
        }
    }
}

fn twice(system: &System, report: &mut Report) {
    let claims = system
        .vms
        .iter()
        .flat_map(|vm| vm.vpes.iter().enumerate().map(move |(n, vpe)| (vm, n, &vpe.cpu)));
    let claims: Vec<_> = claims.collect();
    let taken: Vec<usize> = claims.iter().map(|(_, _, cpu)| cpu.value).collect();
    let free = system.board.cpus.iter().enumerate().find(|(n, _)| !taken.contains(n));
    for (position, (vm, n, cpu)) in claims.iter().enumerate() {
        let Some(name) = system.board.cpus.get(cpu.value).map(|cpu| &cpu.name.value) else {
            continue;
        };
        let Some((first, m, place)) =
            claims[..position].iter().find(|(_, _, other)| other.value == cpu.value)
        else {
            continue;
        };
        let help = match free {
            Some((_, free)) => format!("`{}` is free", free.name.value),
            None => "the board has no CPU left: take a vPE away".into(),
        };
        report.push(
            rules::CPU_TWICE
                .says(format!("CPU `{name}` is claimed {}", pair("by", first, vm)))
                .label(cpu, format!("by vPE {n} of `{}`", vm.name.value))
                .label(place, format!("already by vPE {m} of `{}`", first.name.value))
                .help(help),
        );
    }
}

/// "by VM `a` and VM `b`", "twice by VM `a`".
pub fn pair(preposition: &str, first: &Vm, second: &Vm) -> String {
    let (first, second) = (&first.name.value, &second.name.value);
    match first == second {
        true => format!("twice {preposition} VM `{first}`"),
        false => format!("{preposition} VM `{first}` and VM `{second}`"),
    }
}

fn vpe(report: &mut Report, vm: &Vm, vpe: &At<usize>, what: &str) {
    if vpe.value >= vm.vpes.len() {
        let last = vm.vpes.len().saturating_sub(1);
        report.push(
            rules::VPE_RANGE
                .says(format!("VM `{}` has no vPE {}", vm.name.value, vpe.value))
                .label(vpe, format!("{what} vPE {}", vpe.value))
                .label(&vm.name, format!("its last vPE is {last}"))
                .help(match last {
                    0 => "write vpe = 0, or add to the VM's `vpes`".into(),
                    _ => format!("write a vPE from 0 to {last}, or add to the VM's `vpes`"),
                }),
        );
    }
}
