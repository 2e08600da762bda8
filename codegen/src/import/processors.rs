// SPDX-License-Identifier: Apache-2.0 OR MIT
//! CPUs, how they are started, and their own interrupts.

use std::collections::HashSet;

use super::dmesg::Messages;
use super::part::{Interrupt, Part, Parts};
use super::text::{Text, hex};
use super::{Refused, refused};
use crate::tree::bus::{cell, cells, number, text};

/// What is written where the tree has no frequency: many boards' own.
const FREQUENCY: u32 = 24_000_000;

pub struct Cpus {
    /// Affinity fields, in the tree's order.
    pub affinities: Vec<u64>,
    /// CPUs that the tree has disabled.
    pub disabled: usize,
}

pub struct Timer {
    virtual_timer: u32,
    physical: Option<u32>,
    hypervisor: u32,
    maintenance: Option<u32>,
    pmu: Option<u32>,
    frequency: Option<u32>,
}

impl Timer {
    /// INTIDs that are taken.
    pub fn intids(&self) -> HashSet<u32> {
        let certain = [self.virtual_timer, self.hypervisor];
        let others = [self.physical, self.maintenance, self.pmu];
        certain.into_iter().chain(others.into_iter().flatten()).collect()
    }
}

/// The CPUs; firmware's PSCI starts them by SMC.
pub fn cpus(parts: &Parts) -> Result<Cpus, Refused> {
    let nodes: Vec<&Part> =
        parts.all.iter().filter(|part| text(&part.node, "device_type") == "cpu").collect();
    let enabled: Vec<&&Part> = nodes.iter().filter(|part| part.enabled).collect();
    if let Some(cpu) = enabled.iter().find(|cpu| text(&cpu.node, "enable-method") == "spin-table") {
        return Err(refused(format!(
            "{} is started by a spin table: the hypervisor needs firmware with PSCI",
            cpu.path()
        )));
    }
    let psci =
        parts.enabled().find(|part| part.compatible.iter().any(|one| one.starts_with("arm,psci")));
    let Some(psci) = psci else {
        return Err(refused("the tree has no PSCI: the hypervisor starts CPUs by it"));
    };
    match text(&psci.node, "method").as_str() {
        "smc" => {}
        "hvc" => {
            return Err(refused(
                "PSCI is called by HVC: a hypervisor runs already, and EL2 is not to be had",
            ));
        }
        other => return Err(refused(format!("PSCI is called by \"{other}\", not by \"smc\""))),
    }
    let mut affinities = Vec::new();
    for cpu in &enabled {
        let reg = cells(&cpu.node, "reg");
        if !(1..=2).contains(&reg.len()) || affinities.contains(&number(&reg)) {
            return Err(refused(format!("{} has no affinity of its own in `reg`", cpu.path())));
        }
        affinities.push(number(&reg));
    }
    if affinities.is_empty() {
        return Err(refused("the tree has no CPU"));
    }
    Ok(Cpus { affinities, disabled: nodes.len() - enabled.len() })
}

pub fn timer(parts: &Parts, gic: &Part) -> Result<Timer, Refused> {
    let Some(timer) = parts.enabled().find(|part| part.is("arm,armv8-timer")) else {
        return Err(refused("the tree has no arm,armv8-timer"));
    };
    let ppi = |interrupt: Interrupt| (16..32).contains(&interrupt.intid).then_some(interrupt.intid);
    let find = |name, place| parts.interrupt(timer, name, Some(place)).and_then(ppi);
    let (Some(virtual_timer), Some(hypervisor)) = (find("virt", 2), find("hyp-phys", 3)) else {
        return Err(refused(format!(
            "{} has no interrupt for EL2 or none for guests",
            timer.path()
        )));
    };
    let pmu = parts.enabled().find(|part| {
        let own = |one: &String| {
            one.starts_with("arm,") && (one.ends_with("-pmu") || one.ends_with("-pmuv3"))
        };
        let alone = part
            .compatible
            .iter()
            .any(|one| one.contains("cortex") || one.contains("pmuv3") || one.contains("neoverse"));
        alone && part.compatible.iter().any(own)
    });
    Ok(Timer {
        virtual_timer,
        physical: find("phys", 1),
        hypervisor,
        maintenance: parts.interrupts(gic).and_then(|all| all.first().copied()).and_then(ppi),
        pmu: pmu.and_then(|pmu| parts.interrupts(pmu)?.first().copied().and_then(ppi)),
        frequency: cell(&timer.node, "clock-frequency").filter(|hertz| *hertz >= 1_000_000),
    })
}

/// `elsewhere`: redistributors that are not at their place.
pub fn write(out: &mut Text, cpus: &Cpus, elsewhere: &[Option<u64>]) {
    out.line("");
    if cpus.disabled > 0 {
        out.note(&format!("{} more are disabled in the tree.", cpus.disabled));
    }
    out.note("UNKNOWN which CPU boots: it has to be the first one here.");
    for (n, affinity) in cpus.affinities.iter().enumerate() {
        out.line("[[cpu]]");
        out.line(&format!("name = \"cpu{n}\""));
        out.line(&format!("mpidr = {}", hex(*affinity)));
        if let Some(address) = elsewhere.get(n).copied().flatten() {
            out.line(&format!("redistributor = {}", hex(address)));
        }
        if n + 1 < cpus.affinities.len() {
            out.line("");
        }
    }
}

pub fn write_timer(out: &mut Text, parts: &Parts, gic: &Part, timer: &Timer, messages: &Messages) {
    out.line("");
    out.line("[timer]");
    match (timer.frequency, messages.frequency) {
        (Some(hertz), _) => {
            out.note("By the tree, for firmware that leaves CNTFRQ_EL0 unset.");
            out.line(&format!("frequency = {hertz}"));
        }
        (None, Some(hertz)) => {
            out.note("By Linux's messages, which have it to 10 kHz.");
            out.line(&format!("frequency = {hertz}"));
        }
        (None, None) => {
            out.unknown("[timer] frequency: CNTFRQ_EL0", &format!("frequency = {FREQUENCY}"));
        }
    }
    out.line(&format!("virtual = {}", timer.virtual_timer));
    match timer.physical {
        Some(intid) => out.line(&format!("physical = {intid}")),
        None => out.unknown("[timer] physical: the SoC's manual", "physical = 30"),
    }
    out.line(&format!("hypervisor = {}", timer.hypervisor));
    match timer.maintenance {
        Some(intid) => out.line(&format!("maintenance = {intid}")),
        None => out.unknown(
            &format!("[timer] maintenance: {} has no interrupt of its own", gic.path()),
            "maintenance = 25",
        ),
    }
    out.line("");
    match timer.pmu {
        Some(intid) => {
            out.line("[pmu]");
            out.line(&format!("intid = {intid}"));
        }
        None => {
            let there =
                parts.enabled().any(|part| part.compatible.iter().any(|one| one.ends_with("-pmu")));
            out.note(match there {
                true => "No [pmu]: its interrupt is no PPI at the GIC.",
                false => "No [pmu]: the tree has none.",
            });
        }
    }
}
