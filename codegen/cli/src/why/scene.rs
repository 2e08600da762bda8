// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is known of a run's end: what EL2 told, beside the plan.

use std::collections::BTreeMap;

use serde_json::Value;

use super::symbols::{Symbols, Wait};
use crate::run::{Report, Verdict};

/// INTIDs of a CPU's own.
const PRIVATE: u64 = 32;

/// All of it.
#[derive(Debug)]
pub struct Scene {
    pub name: String,
    pub verdict: Verdict,
    pub reason: String,
    /// EL2 said which system it is, or answered.
    pub began: bool,
    pub vms: Vec<Vm>,
    pub vpes: Vec<Vpe>,
    /// INTID of the virtual timer.
    pub timer: u64,
}

#[derive(Debug, Default)]
pub struct Vm {
    pub name: String,
    /// `running`, `off` or `failed`, as far as EL2 said; and the rest of its line.
    pub state: String,
    pub detail: String,
    /// The last fault: "NAME/N: REASON at ...".
    pub fault: Option<String>,
    pub spis: Vec<Spis>,
    /// The last lines that it printed.
    pub said: Vec<String>,
    /// Indices of VMs at the other ends of its channels.
    pub peers: Vec<usize>,
    /// It has events of devices or channels.
    pub has_events: bool,
    /// What it accesses through EL2: first and last address, kind.
    pub emulated: Vec<(u64, u64, String)>,
    pub symbols: Symbols,
}

/// Its SPIs of one word, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spis {
    pub from: u64,
    pub owned: u64,
    pub enabled: u64,
    pub pending: u64,
    /// Pending ones that go to no vPE that is on.
    pub nowhere: u64,
}

#[derive(Debug, Default)]
pub struct Vpe {
    /// "NAME/N".
    pub name: String,
    pub vm: usize,
    pub cpu: usize,
    /// Other vPEs have its CPU, too.
    pub shares: bool,
    /// As EL2 said: "on", "off" or another word; empty: it was not asked.
    pub power: String,
    pub exits: u64,
    /// None: it is off, or EL2 did not answer.
    pub registers: Option<Registers>,
    /// INTIDs of events to it that its VM has disabled.
    pub disabled: Vec<u64>,
    /// Its last exits, the oldest first.
    pub past: Vec<Past>,
}

/// Registers by EL2's names for them, and list registers that are not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    named: BTreeMap<String, u64>,
    pub list: Vec<u64>,
}

/// One exit as EL2 tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    pub what: String,
    pub at: u64,
    pub esr: u64,
    pub ipa: Option<u64>,
}

impl Registers {
    /// "pc 0x1 pstate 0x2 list 0x3 ...".
    fn of(text: &str) -> Self {
        let mut out = Self::default();
        let mut words = text.split_whitespace();
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            let Some(value) = number(value) else { continue };
            match name {
                "list" => out.list.push(value),
                _ => drop(out.named.insert(name.to_owned(), value)),
            }
        }
        out
    }

    /// One that EL2 did not name is 0.
    pub fn get(&self, name: &str) -> u64 {
        self.named.get(name).copied().unwrap_or(0)
    }

    pub fn pc(&self) -> u64 {
        self.get("pc")
    }

    /// PSTATE.I.
    pub fn masked(&self) -> bool {
        self.get("pstate") >> 7 & 1 != 0
    }

    /// INTID and priority of what is pending in list registers.
    pub fn listed(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let pending = |value: &&u64| **value >> 62 & 1 != 0;
        self.list.iter().filter(pending).map(|value| (value & 0xffff_ffff, value >> 48 & 0xff))
    }

    /// The guest's ICC_PMR_EL1.
    pub fn priority_mask(&self) -> u64 {
        self.get("vmcr") >> 24 & 0xff
    }

    /// The guest's ICC_IGRPEN1_EL1.
    pub fn interface_on(&self) -> bool {
        self.get("vmcr") >> 1 & 1 != 0
    }

    /// The guest's GICD_CTLR.EnableGrp1.
    pub fn group_on(&self) -> bool {
        self.get("group") != 0
    }

    pub fn enabled(&self, intid: u64) -> bool {
        intid < PRIVATE && self.get("enabled") >> intid & 1 != 0
    }

    /// The virtual timer is on, and its interrupt is not masked in CNTV_CTL_EL0.
    pub fn timer_on(&self) -> bool {
        self.get("timer") & 3 == 1
    }

    /// Its time has passed.
    pub fn timer_passed(&self) -> bool {
        self.get("timer") & 1 != 0 && self.get("compare") <= self.get("now")
    }
}

impl Scene {
    /// `plan` is plan.json; of each VM, in its order: its payload, and whether devices send it
    /// events.
    pub fn new(report: &Report, plan: &Value, payloads: Vec<(Symbols, bool)>) -> Self {
        let index = |value: &Value| value.as_u64().unwrap_or(0) as usize;
        let all = |name: &str| plan[name].as_array().cloned().unwrap_or_default();
        let mut vms: Vec<Vm> = all("vms").iter().map(|vm| Self::vm(vm, report)).collect();
        for (vm, (symbols, has_events)) in vms.iter_mut().zip(payloads) {
            (vm.symbols, vm.has_events) = (symbols, has_events);
        }
        let ends = all("channel_ends");
        for (at, end) in ends.iter().enumerate() {
            let others = ends.iter().enumerate().filter(|(other, _)| *other != at);
            let peers = others.filter(|(_, other)| other["channel"] == end["channel"]);
            let peers: Vec<usize> = peers.map(|(_, other)| index(&other["vm"])).collect();
            if let Some(vm) = vms.get_mut(index(&end["vm"])) {
                vm.peers.extend(peers);
                vm.has_events = true;
            }
        }
        let (cpus, planned) = (all("cpus"), all("vpes"));
        let vpes = planned.iter().map(|vpe| {
            let (vm, cpu) = (index(&vpe["vm"]), index(&vpe["cpu"]));
            let schedule = cpus.get(cpu).map_or(&Value::Null, |cpu| &cpu["schedule"]["kind"]);
            Vpe {
                name: format!("{}/{}", vms.get(vm).map_or("?", |vm| &vm.name), vpe["number"]),
                vm,
                cpu,
                shares: schedule != "exclusive",
                ..Vpe::default()
            }
        });
        let vpes = vpes.collect();
        let mut scene = Self {
            name: report.name.clone(),
            verdict: report.verdict,
            reason: report.reason.clone(),
            began: report.plan.is_some(),
            vms,
            vpes,
            timer: plan["board"]["virtual_ppi"].as_u64().unwrap_or(27),
        };
        report.told.iter().for_each(|line| scene.told(line));
        // Who listens to a board that runs already has not heard its first line.
        scene.began |= scene.vpes.iter().any(|vpe| !vpe.power.is_empty());
        for vpe in &mut scene.vpes {
            let counted = report.counters.get(&vpe.name).and_then(|column| column.get("exits"));
            vpe.exits = counted.copied().unwrap_or(vpe.exits);
        }
        for (index, vm) in scene.vms.iter_mut().enumerate() {
            let mut own = scene.vpes.iter().filter(|vpe| vpe.vm == index);
            if vm.state == "running" && own.all(|vpe| vpe.power == "off") {
                vm.state = "off".into();
            }
        }
        scene
    }

    fn vm(vm: &Value, report: &Report) -> Vm {
        let name = vm["name"].as_str().unwrap_or("?").to_owned();
        let line = report.vms.iter().find(|line| line.name == name);
        let emulated = vm["mmio"].as_array().into_iter().flatten().filter_map(|region| {
            let base = number(region["base"].as_str()?)?;
            let last = base + region["bytes"].as_u64()?.checked_sub(1)?;
            Some((base, last, region["kind"].as_str()?.to_owned()))
        });
        Vm {
            state: line.map_or("running".into(), |line| line.state.clone()),
            detail: line.map_or(String::new(), |line| line.detail.clone()),
            said: report.said.get(&name).cloned().unwrap_or_default(),
            emulated: emulated.collect(),
            name,
            ..Vm::default()
        }
    }

    /// One line of EL2's; one that is not understood says nothing.
    fn told(&mut self, line: &str) {
        let Some((head, rest)) = line.split_once(": ") else { return };
        if let Some(name) = head.strip_prefix("vpe ") {
            let Some(vpe) = self.vpe_mut(name) else { return };
            let (power, rest) = rest.split_once(", exits ").unwrap_or((rest, ""));
            vpe.power = power.to_owned();
            vpe.exits = rest.split(',').next().and_then(|exits| exits.parse().ok()).unwrap_or(0);
            vpe.past.clear();
        } else if let Some(name) = head.strip_prefix("exit of ") {
            let past = past(rest);
            if let (Some(vpe), Some(past)) = (self.vpe_mut(name), past) {
                vpe.past.push(past);
            }
        } else if let Some(name) = head.strip_prefix("registers of ") {
            if let Some(vpe) = self.vpe_mut(name) {
                vpe.registers = Some(Registers::of(rest));
                // Behind this come those of now.
                vpe.disabled.clear();
            }
        } else if let Some(head) = head.strip_prefix("spis of ") {
            let Some((name, from)) = head.rsplit_once(" from ") else { return };
            let bits = Registers::of(rest);
            let Some(vm) = self.vms.iter_mut().find(|vm| vm.name == name) else { return };
            let from = from.parse().unwrap_or(0);
            vm.spis.retain(|spis| spis.from != from);
            vm.spis.push(Spis {
                from,
                owned: bits.get("owned"),
                enabled: bits.get("enabled"),
                pending: bits.get("pending"),
                nowhere: bits.get("nowhere"),
            });
        } else if let Some(name) = head.strip_prefix("event of ") {
            let intid = rest.strip_prefix("disabled ").and_then(number);
            if let (Some(vpe), Some(intid)) = (self.vpe_mut(name), intid) {
                vpe.disabled.push(intid);
            }
        } else if let Some(name) = head.strip_prefix("fault of ") {
            let vm = self.vpe_mut(name).map(|vpe| (vpe.vm, vpe.past.clear()));
            if let Some(vm) = vm.and_then(|(vm, ())| self.vms.get_mut(vm)) {
                vm.fault = Some(format!("{name}: {rest}"));
            }
        }
    }

    fn vpe_mut(&mut self, name: &str) -> Option<&mut Vpe> {
        self.vpes.iter_mut().find(|vpe| vpe.name == name)
    }

    /// The VM of a vPE.
    pub fn vm_of(&self, vpe: &Vpe) -> Option<&Vm> {
        self.vms.get(vpe.vm)
    }

    /// Where the vPE is: at the instruction that it waits by, if it does.
    pub fn at(&self, vpe: &Vpe, seen: &Registers) -> u64 {
        let back = if self.wait(vpe) == Some(Wait::Interrupt) { 4 } else { 0 };
        seen.pc().wrapping_sub(back)
    }

    /// Function and line of an address of the vPE's.
    pub fn place(&self, vpe: &Vpe, address: u64) -> Option<String> {
        self.vm_of(vpe)?.symbols.place(address)
    }

    /// What the vPE waits by, if its payload says.
    pub fn wait(&self, vpe: &Vpe) -> Option<Wait> {
        self.vm_of(vpe)?.symbols.wait(vpe.registers.as_ref()?.pc())
    }

    /// The other vPEs of its VM.
    pub fn siblings<'a>(&'a self, vpe: &'a Vpe) -> impl Iterator<Item = &'a Vpe> {
        self.vpes.iter().filter(|other| other.vm == vpe.vm && other.name != vpe.name)
    }
}

impl Vm {
    /// INTIDs of its SPIs that `which` picks of each word.
    pub fn spis(&self, which: impl Fn(&Spis) -> u64) -> Vec<u64> {
        let word = |spis: &Spis| {
            let (bits, from) = (which(spis), spis.from);
            (0..32).filter(move |bit| bits >> bit & 1 != 0).map(move |bit| from + bit)
        };
        self.spis.iter().flat_map(word).collect()
    }

    /// What EL2 emulates at an address.
    pub fn emulates(&self, ipa: u64) -> Option<&str> {
        let inside = |region: &&(u64, u64, String)| (region.0..=region.1).contains(&ipa);
        self.emulated.iter().find(inside).map(|region| region.2.as_str())
    }
}

/// "HVC at 0x40000010, esr 0x5a000000, far 0x0, ipa 0x0".
fn past(text: &str) -> Option<Past> {
    let (what, rest) = text.split_once(" at ")?;
    let mut parts = rest.split(", ");
    let at = number(parts.next()?)?;
    let mut past = Past { what: what.to_owned(), at, esr: 0, ipa: None };
    for part in parts {
        match part.split_once(' ') {
            Some(("esr", value)) => past.esr = number(value)?,
            Some(("ipa", value)) => past.ipa = number(value),
            _ => {}
        }
    }
    Some(past)
}

fn number(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}
