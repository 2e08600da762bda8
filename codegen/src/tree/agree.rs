// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A tree that a user has written, or written on, against the VM that is given it.
//!
//! What is in the tree and not in the VM is an error: the guest would meet an abort, or wait for an
//! interrupt that never comes. What is in the VM and not in the tree is a warning: the guest will
//! not use it. Each finding points at the file's name in the TOML, says which node it is, and
//! points at the VM's or the board's side of it.

mod hosts;
mod parts;

use std::path::PathBuf;

use super::bus::Range;
use super::facts::Facts;
use crate::check::range::hex;
use crate::diag::{Report, Rule, rules};
use crate::emit::fdt::affinity;
use crate::model::{self, At, MemoryRole, System};
use crate::plan::{MmioKind, Plan, Vm};
use crate::units::Size;

/// Compares `facts`, which the file at `path` led to, with VM number `vm`.
pub fn check(
    system: &System,
    plan: &Plan,
    vm: usize,
    path: &At<PathBuf>,
    facts: &Facts,
    report: &mut Report,
) {
    let (owner, own) = (&system.vms[vm], &plan.vms[vm]);
    let mut judge = Judge { system, plan, owner, vm: own, number: vm, path, facts, report };
    judge.memory();
    judge.cpus();
    judge.psci();
    judge.timer();
    judge.gic();
    judge.its();
    judge.hosts();
    judge.devices();
    judge.lacks();
}

struct Judge<'a> {
    system: &'a System,
    plan: &'a Plan,
    /// As the TOML has it.
    owner: &'a model::Vm,
    /// As the plan has it.
    vm: &'a Vm,
    number: usize,
    path: &'a At<PathBuf>,
    facts: &'a Facts,
    report: &'a mut Report,
}

impl Judge<'_> {
    /// "the device tree of VM `x` `title`": `there` is the tree's side, `here` the side at `at`.
    fn push<T>(
        &mut self,
        rule: &'static Rule,
        title: &str,
        there: impl Into<String>,
        (at, here): (&At<T>, String),
        help: impl Into<String>,
    ) {
        let name = &self.owner.name.value;
        self.report.push(
            rule.says(format!("the device tree of VM `{name}` {title}"))
                .label(self.path, there)
                .label(at, here)
                .help(help),
        );
    }

    fn mmio(&self, kind: MmioKind) -> Option<Range> {
        let region = self.vm.mmio.iter().find(|region| region.kind == kind)?;
        Some((region.base.value(), region.bytes))
    }

    fn memory(&mut self) {
        let ram = self.vm.memory.iter().filter(|piece| piece.role == MemoryRole::Ram);
        let own: Vec<Range> = ram.map(|piece| (piece.ipa.value(), piece.bytes)).collect();
        let (owner, facts) = (self.owner, self.facts);
        let at = owner.first_ram().map_or(&owner.memory[0].at, |ram| &ram.at);
        let here = || format!("VM `{}`: {}", owner.name.value, extents(&own));
        let help = format!("write {}", reg(&own));
        for (path, range) in facts.memory.iter().filter(|(_, range)| range.1 > 0) {
            if !is_inside(*range, &own) {
                let there = format!("{path}: {}", extent(*range));
                let title = "has memory that the VM does not have";
                self.push(&rules::TREE_MEMORY, title, there, (at, here()), help.clone());
            }
        }
        if facts.memory.iter().all(|(_, range)| range.1 == 0) {
            let there = "no node with device_type = \"memory\"";
            self.push(&rules::TREE_MEMORY, "has no memory", there, (at, here()), help);
            return;
        }
        let told: Vec<Range> = facts.memory.iter().map(|(_, range)| *range).collect();
        let lost = outside(&own, &told);
        if !lost.is_empty() {
            let bytes = Size(lost.iter().map(|range| range.1).sum());
            let title = format!("leaves out {bytes} of its memory");
            let there = format!("nothing about {}", extents(&lost));
            self.push(&rules::TREE_LACKS, &title, there, (at, here()), help);
        }
    }

    fn cpus(&mut self) {
        let (owner, facts, count) = (self.owner, self.facts, self.vm.vpe_count as u64);
        let at = &owner.vpes[0].cpu;
        let affinities: Vec<u64> = (0..count as u32).map(|n| affinity(n).into()).collect();
        let numbers: Vec<String> = affinities.iter().map(|n| format!("<{n}>")).collect();
        let numbers = numbers.join(", ");
        let here = format!("its vPEs are {numbers}");
        let rule = &rules::TREE_CPUS;
        if facts.cpus.is_empty() {
            let help = "write cpus { cpu@0 { device_type = \"cpu\"; reg = <0>; }; }";
            self.push(rule, "has no CPU", "no node in /cpus", (at, here), help);
            return;
        }
        for (n, cpu) in facts.cpus.iter().enumerate() {
            let same = facts.cpus[..n].iter().any(|other| other.reg == cpu.reg);
            if same || cpu.reg.is_none_or(|reg| !affinities.contains(&reg)) {
                let there = format!("{}: reg {}", cpu.path, cpu.reg.map_or("none".into(), hex));
                let title = "has a CPU that the VM does not have";
                let help = format!("write reg = {numbers}, each once, and no other CPU");
                self.push(rule, title, there, (at, here.clone()), help);
            } else if count > 1 && cpu.method != "psci" {
                let there = format!("{}: enable-method is \"{}\"", cpu.path, cpu.method);
                let title = "has a CPU that PSCI does not start";
                let help = "write enable-method = \"psci\"";
                self.push(rule, title, there, (at, here.clone()), help);
            }
        }
    }

    fn psci(&mut self) {
        let (owner, facts) = (self.owner, self.facts);
        let here = format!("VM `{}` has PSCI 1.1 by hvc and by smc", owner.name.value);
        let help =
            "write psci { compatible = \"arm,psci-1.0\", \"arm,psci-0.2\"; method = \"hvc\"; }";
        let wanted = facts.cpus.iter().any(|cpu| cpu.method == "psci");
        let (title, there) = match &facts.psci {
            Some(psci) => {
                let known = |name: &String| name == "arm,psci-0.2" || name == "arm,psci-1.0";
                if !psci.compatible.iter().any(known) {
                    ("has a PSCI older than 0.2", format!("{}: not \"arm,psci-0.2\"", psci.path))
                } else if !matches!(psci.method.as_str(), "hvc" | "smc") {
                    let there = format!("{}: method is \"{}\"", psci.path, psci.method);
                    ("calls PSCI in a way that the VM does not know", there)
                } else {
                    return;
                }
            }
            None if wanted => ("has no PSCI", "its CPUs are started by it".into()),
            None => return,
        };
        self.push(&rules::TREE_PSCI, title, there, (&owner.name, here), help);
    }

    fn timer(&mut self) {
        let board = &self.system.board.timer;
        let (own, facts) = (&board.virtual_ppi, self.facts);
        let (title, there) = match &facts.timer {
            None => ("has no timer", "no node compatible with \"arm,armv8-timer\"".into()),
            Some(timer) if timer.virtual_timer != Some(own.value) => {
                let intid = timer.virtual_timer;
                let intid = intid.map_or("none".into(), |intid| format!("INTID {intid}"));
                ("has another virtual timer", format!("{}: {intid}", timer.path))
            }
            Some(timer) => {
                let own = &board.physical_ppi;
                if let Some(intid) = timer.physical_timer.filter(|intid| *intid != own.value) {
                    let there = format!("{}: INTID {intid}", timer.path);
                    let (what, place) = ("physical", "second");
                    self.other_timer("has another physical timer", there, own, what, place);
                }
                return;
            }
        };
        self.other_timer(title, there, own, "virtual", "third");
    }

    fn other_timer(&mut self, title: &str, there: String, own: &At<u32>, what: &str, place: &str) {
        let here = format!("the {what} timer is INTID {}", own.value);
        let ppi = own.value.saturating_sub(16);
        let help = format!("write <1 {ppi} 4> as the {place} interrupt of an \"arm,armv8-timer\"");
        self.push(&rules::TREE_TIMER, title, there, (own, here), help);
    }

    fn gic(&mut self) {
        let board = &self.system.board.gic;
        let frames = [MmioKind::Distributor, MmioKind::Redistributors];
        let own: Vec<Range> = frames.into_iter().filter_map(|kind| self.mmio(kind)).collect();
        let here = format!("VM `{}` sees {}", self.owner.name.value, extents(&own));
        let help = format!("write compatible = \"arm,gic-v3\" and {}", reg(&own));
        let (title, there) = match &self.facts.gic {
            None => ("has no GIC", "no interrupt controller compatible with \"arm,gic-v3\"".into()),
            Some(gic) if !gic.compatible.iter().any(|name| name == "arm,gic-v3") => {
                ("has another GIC", format!("{}: \"{}\"", gic.path, gic.compatible.join("\", \"")))
            }
            Some(gic) if gic.frames.get(..2) != Some(&own[..]) => {
                let frames = gic.frames.get(..2).unwrap_or(&gic.frames);
                ("has the GIC elsewhere", format!("{}: {}", gic.path, extents(frames)))
            }
            Some(gic) if gic.stride.is_some_and(|stride| stride != 0 && stride != 0x2_0000) => {
                let there = format!("{}: redistributor-stride", gic.path);
                ("has the redistributors elsewhere", there)
            }
            Some(_) => return,
        };
        self.push(&rules::TREE_GIC, title, there, (&board.distributor.base, here), help);
    }

    fn its(&mut self) {
        // The second frame, where devices write, is nobody's to read, but belongs to the node.
        let own = self.mmio(MmioKind::Its).map(|(base, bytes)| (base, 2 * bytes));
        let (owner, facts) = (self.owner, self.facts);
        for its in &facts.its {
            let there = format!("{}: {}", its.path, its.frame.map_or("nowhere".into(), extent));
            match own {
                None => {
                    let here = "has no virtual ITS".to_owned();
                    let help = "write its = \"remap\" or \"fixed\", or leave out the node";
                    let title = "has an ITS that the VM does not have";
                    self.push(&rules::TREE_GIC, title, there, (&owner.its, here), help);
                }
                Some(own) if its.frame != Some(own) => {
                    let here = format!("its ITS is at {}", extent(own));
                    let help = format!("write {}", reg(&[own]));
                    let title = "has the ITS elsewhere";
                    self.push(&rules::TREE_GIC, title, there, (&owner.its, here), help);
                }
                Some(_) => {}
            }
        }
    }
}

/// What is in `own` and not in `told`, by address.
fn outside(own: &[Range], told: &[Range]) -> Vec<Range> {
    let mut told = told.to_vec();
    told.sort_unstable();
    let mut out = Vec::new();
    for &(base, bytes) in own {
        let (mut from, end) = (base, base.saturating_add(bytes));
        for &(start, bytes) in &told {
            let stop = start.saturating_add(bytes);
            if stop <= from || start >= end {
                continue;
            }
            if start > from {
                out.push((from, start - from));
            }
            from = stop;
        }
        if from < end {
            out.push((from, end - from));
        }
    }
    out
}

/// All of `range` is in `own`, whose neighbours may touch.
fn is_inside((base, bytes): Range, own: &[Range]) -> bool {
    let Some(end) = base.checked_add(bytes) else { return false };
    let mut own = own.to_vec();
    own.sort_unstable();
    let mut reached = base;
    for (start, bytes) in own {
        if start <= reached && reached < start.saturating_add(bytes) {
            reached = start.saturating_add(bytes);
        }
    }
    reached >= end
}

/// "0x4000_0000 to 0x401f_ffff".
fn extent((base, bytes): Range) -> String {
    format!("{} to {}", hex(base), hex(base.saturating_add(bytes).saturating_sub(1)))
}

fn extents(ranges: &[Range]) -> String {
    ranges.iter().map(|range| extent(*range)).collect::<Vec<_>>().join(", ")
}

/// "reg = <0x0 0x4000_0000 0x0 0x20_0000>", for two cells each.
fn reg(ranges: &[Range]) -> String {
    let words = ranges.iter().flat_map(|(base, bytes)| [*base, *bytes]);
    let cells = words.map(|word| format!("{:#x} {:#x}", word >> 32, word & 0xffff_ffff));
    format!("reg = <{}>", cells.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_may_touch() {
        let own = [(0x2000, 0x1000), (0x1000, 0x1000), (0x4000, 0x1000)];
        for inside in [(0x1000, 0x2000), (0x1800, 0x1000), (0x4000, 0x1000), (0x2fff, 1)] {
            assert!(is_inside(inside, &own), "{inside:x?}");
        }
        for outside in [(0x1000, 0x2001), (0xfff, 1), (0x2000, 0x3000), (0x5000, 1), (u64::MAX, 2)]
        {
            assert!(!is_inside(outside, &own), "{outside:x?}");
        }
    }

    #[test]
    fn what_nobody_tells_is_found() {
        let own = [(0x1000, 0x3000), (0x8000, 0x1000)];
        assert_eq!(outside(&own, &[(0x8000, 0x1000), (0x1000, 0x1000), (0x2000, 0x2000)]), []);
        assert_eq!(
            outside(&own, &[(0x2000, 0x1000)]),
            [(0x1000, 0x1000), (0x3000, 0x1000), (0x8000, 0x1000)]
        );
        assert_eq!(outside(&own, &[(0, 0x8800), (0x9000, u64::MAX)]), [(0x8800, 0x800)]);
        assert_eq!(
            outside(&own, &[(0x1000, 0x2000), (0x1800, 0x800)]),
            [(0x3000, 0x1000), (0x8000, 0x1000)]
        );
    }

    #[test]
    fn a_range_is_written_as_dtc_reads_it() {
        assert_eq!(reg(&[(0x40_1000_0000, 0x1000)]), "reg = <0x40 0x10000000 0x0 0x1000>");
        assert_eq!(extent((0x4000_0000, 0x20_0000)), "0x4000_0000 to 0x401f_ffff");
    }
}
