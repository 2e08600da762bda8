// SPDX-License-Identifier: Apache-2.0 OR MIT
//! plan.txt and plan.json: the plan for people and for programs.

use super::section::{Section, Table};
use super::{dma, time};
use crate::model::MemoryRole;
use crate::plan::{
    EventRoute, ItsPolicy, MmioKind, Msix, PciFunction, PciHost, Plan, Vm, Watchdog,
};

/// The plan as JSON, every field by its name.
pub fn json(plan: &Plan) -> String {
    match serde_json::to_string_pretty(plan) {
        Ok(text) => text + "\n",
        // Only maps with keys other than strings fail; there are none.
        Err(error) => format!("{{\"error\": \"{error}\"}}\n"),
    }
}

/// The plan as text.
pub fn text(plan: &Plan) -> String {
    let (system, board) = (&plan.system, &plan.board.name);
    let mut out = format!("System {system} on {board}");
    if !plan.description.is_empty() {
        out += &format!(": {}", plan.description);
    }
    out.push('\n');
    out += &format!("plan {:016x}\n", plan.digest.0);
    for section in sections(plan) {
        // Writing to a String cannot fail.
        let _ = section.write(&mut out);
    }
    out
}

/// All that is said of a plan in words, in the order of plan.txt.
pub(super) fn sections(plan: &Plan) -> Vec<Section> {
    let report = Report { plan };
    let mut all = vec![report.memory(), report.cpus()];
    all.extend(time::sections(plan));
    all.extend(plan.vms.iter().map(|vm| report.vm(vm)));
    let parts = [report.functions(), report.bridges(), dma::reach(plan)];
    all.extend(parts.into_iter().flatten());
    all.push(report.routes());
    all.extend(report.lines());
    all.extend(report.script());
    all.extend(plan.smmus.iter().map(dma::script));
    all.extend([report.kept(), report.assumed()]);
    all
}

/// "2 MiB", "64 KiB" or "512 B".
pub fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    for (shift, unit) in units {
        if bytes > 0 && bytes.is_multiple_of(1 << shift) {
            return format!("{} {unit}", bytes >> shift);
        }
    }
    format!("{bytes} B")
}

pub(super) fn range(base: u64, bytes: u64) -> String {
    format!("{base:#012x}..{:#012x}", base + bytes)
}

/// Name of a host that the VM sees.
fn host(vm: &Vm, number: usize) -> &str {
    let host = vm.hosts.iter().find(|host| host.host == number);
    host.map_or("", |host| host.name.as_str())
}

/// "00:02.0".
pub(super) fn address(bdf: u16) -> String {
    format!("{:02x}:{:02x}.{}", bdf >> 8, bdf >> 3 & 31, bdf & 7)
}

/// "pcie0, bus 00" or "pcie1, buses 80..82".
fn buses(host: &PciHost) -> String {
    match (host.first_bus, host.last_bus) {
        (first, last) if first == last => format!("{}, bus {first:02x}", host.name),
        (first, last) => format!("{}, buses {first:02x}..{last:02x}", host.name),
    }
}

/// "MSI, EventIDs below 1: checked".
fn messages(function: &PciFunction) -> String {
    let Some(messages) = function.messages else { return "none".into() };
    let (kind, how) = match function.msix {
        None => ("MSI", "checked"),
        Some(Msix { pages: Some(_), .. }) => ("MSI-X", "checked"),
        Some(Msix { pages: None, .. }) => ("MSI-X", "trusted"),
    };
    format!("{kind} to {}, EventIDs below {}: {how}", messages.address, messages.events)
}

pub(super) struct Report<'a> {
    pub(super) plan: &'a Plan,
}

/// A range of a guest's addresses.
pub(super) struct Region {
    pub(super) base: u64,
    pub(super) bytes: u64,
    pub(super) what: String,
    pub(super) how: &'static str,
}

impl Report<'_> {
    fn assumed(&self) -> Section {
        let heading = "Taken from the board's description, because boot cannot see it";
        let mut section = Section::new("assumed", heading);
        self.plan.assumptions.iter().for_each(|one| section.line(one));
        section
    }

    fn memory(&self) -> Section {
        let mut table = Table::new(&["range", "size", "owner", "what"]);
        for area in &self.plan.memory_map {
            table.row(&[
                &range(area.base.value(), area.bytes),
                &size(area.bytes),
                &area.owner,
                &area.what,
            ]);
        }
        Section::new("memory", "Physical memory").with(table)
    }

    fn cpus(&self) -> Section {
        let mut table =
            Table::new(&["CPU", "MPIDR", "redistributor", "runs", "doorbell", "residency"]);
        for cpu in &self.plan.cpus {
            let vpes = cpu.schedule.vpes();
            if vpes.is_empty() {
                let nothing = "nothing";
                table.row(&[&cpu.name, &cpu.mpidr, &cpu.redistributor, &nothing, &"-", &"-"]);
            }
            for (n, vpe) in vpes.into_iter().enumerate() {
                let name = self.plan.vpe_name(vpe);
                let (doorbell, residency) = match self.plan.vpes[vpe].tables {
                    Some(tables) => (
                        format!("LPI {}", tables.doorbell.intid),
                        format!("vPE {}, pending table {}", vpe.value(), tables.pending),
                    ),
                    None => ("-".into(), "never: no vLPI can reach it".into()),
                };
                match n {
                    0 => table.row(&[
                        &cpu.name,
                        &cpu.mpidr,
                        &cpu.redistributor,
                        &name,
                        &doorbell,
                        &residency,
                    ]),
                    _ => table.row(&[&"", &"", &"", &name, &doorbell, &residency]),
                }
            }
        }
        Section::new("cpus", "CPUs").with(table)
    }

    fn vm(&self, vm: &Vm) -> Section {
        let often = vm.restarts.as_ref().map_or(String::new(), |limit| {
            format!(", halt after {} within {}", limit.most, limit.within)
        });
        let watchdog = vm.watchdog.as_ref().map_or(String::new(), |watchdog| {
            format!(", watchdog {} {}", watchdog.time, Watchdog::name(watchdog.action.as_ref()))
        });
        let resets = format!(", at most {} resets within {}", vm.resets.most, vm.resets.within);
        let its = match vm.its {
            ItsPolicy::None => String::new(),
            policy => format!(", virtual ITS {}", policy.name()),
        };
        let features: String = vm.features.names().map(|name| format!(", {name}")).collect();
        let heading = format!(
            "VM {}: VMID {}, entry {}, device tree {}, on fault {}{}{}{}{}{}",
            vm.name,
            vm.vmid.value(),
            vm.entry,
            vm.x0,
            vm.on_fault.name(),
            watchdog,
            often,
            resets,
            its,
            features
        );
        let mut section = Section::new(format!("vm-{}", vm.name), heading);
        let mut table = Table::new(&["guest address", "size", "is", "how"]);
        for region in self.space(vm) {
            let Region { base, bytes, what, how } = region;
            table.row(&[&range(base, bytes), &size(bytes), &what, &how]);
        }
        section.table(table);
        let mut table = Table::new(&["loaded", "at", "bytes", "cleared after"]);
        for load in &vm.loads {
            table.row(&[
                &load.what,
                &range(load.ipa.value(), load.bytes.len + load.clear),
                &load.bytes.len,
                &load.clear,
            ]);
        }
        section.table(table);
        section
    }

    /// What the VM finds at its addresses, in their order.
    pub(super) fn space(&self, vm: &Vm) -> Vec<Region> {
        let mut rows = Vec::new();
        let mut push = |(base, bytes, what, how): (u64, u64, String, &'static str)| {
            rows.push(Region { base, bytes, what, how });
        };
        for piece in &vm.memory {
            let (what, how) = match piece.role {
                MemoryRole::Ram => ("memory", "direct"),
                MemoryRole::Rom => ("ROM", "direct, read-only"),
                MemoryRole::Hidden => ("memory not in the device tree", "direct"),
                MemoryRole::Flash => ("flash", "direct, stores emulated"),
            };
            let kept = vm.kept.iter().any(|kept| kept.base == piece.pa);
            let kept = if kept { ", not cleared" } else { "" };
            push((piece.ipa.value(), piece.bytes, format!("{what} at {}{kept}", piece.pa), how));
        }
        for region in &vm.mmio {
            let what = match region.kind {
                MmioKind::Distributor => "distributor",
                MmioKind::Redistributors => "redistributors",
                MmioKind::Its => "ITS",
                MmioKind::Uart => "UART",
                MmioKind::Watchdog => "watchdog",
                MmioKind::PciConfig | MmioKind::MsixTable => continue,
            };
            push((region.base.value(), region.bytes, what.into(), "emulated"));
        }
        for host in &vm.hosts {
            let what = format!("configuration of {}", buses(host));
            push((host.ecam.base.value(), host.ecam.bytes, what, "filtered"));
        }
        for region in &vm.registers {
            push((
                region.base.value(),
                region.bytes,
                format!("registers of {}", region.name),
                "direct",
            ));
        }
        for function in self.plan.vm_functions(vm) {
            for bar in &function.bars {
                let mut what = format!("BAR {} of {}", bar.index, function.name);
                if bar.bus.0 != bar.base.value() {
                    what += &format!(", {} on the bus", bar.bus);
                }
                push((bar.base.value(), bar.bytes, what, "direct"));
            }
            if let Some(pages) = function.msix.and_then(|msix| msix.pages) {
                let what = format!("MSI-X table of {}", function.name);
                push((pages.base.value(), pages.bytes, what, "filtered"));
            }
        }
        for end in self.plan.vm_channel_ends(vm) {
            let how = if end.writable { "direct" } else { "direct, read only" };
            push((end.ipa.value(), end.bytes, format!("channel {} at {}", end.name, end.pa), how));
        }
        if let (Some(at), Some(log)) = (vm.log, self.plan.board.console.log()) {
            let what = format!("log at {}", log.base);
            push((at.base.value(), at.bytes, what, "direct, read only"));
        }
        rows.sort_by_key(|region| region.base);
        rows
    }

    fn functions(&self) -> Option<Section> {
        if self.plan.functions.is_empty() {
            return None;
        }
        let head = ["function", "host", "at", "DeviceID", "configuration", "VM", "messages"];
        let mut table = Table::new(&head);
        for function in &self.plan.functions {
            let vm = &self.plan.vms[function.vm];
            let host = host(vm, function.space.host);
            let at = address(function.space.bdf);
            let (id, config) =
                (function.device_id, format!("{:#012x}", function.space.config.value()));
            let messages = messages(function);
            table.row(&[&function.name, &host, &at, &id, &config, &vm.name, &messages]);
        }
        for (vm, stand_in) in
            self.plan.vms.iter().flat_map(|vm| vm.stand_ins.iter().map(move |own| (vm, own)))
        {
            let what = format!("before {}", stand_in.before);
            let (host, at) = (host(vm, stand_in.space.host), address(stand_in.space.bdf));
            let config = format!("{:#012x}", stand_in.space.config.value());
            table.row(&[&what, &host, &at, &"-", &config, &vm.name, &"none: a stand-in"]);
        }
        Some(Section::new("pci", "PCI functions: seen where they are").with(table))
    }

    fn bridges(&self) -> Option<Section> {
        if self.plan.bridges.is_empty() {
            return None;
        }
        let head = ["bridge", "host", "at", "buses", "passes on", "to", "as it sees it"];
        let mut table = Table::new(&head);
        let window = |base: u64, bytes: u64| match bytes {
            0 => "nothing".into(),
            _ => range(base, bytes),
        };
        for bridge in &self.plan.bridges {
            let (first, last) = (bridge.secondary, bridge.subordinate);
            let at = address(bridge.space.bdf);
            let buses = format!("{first:02x}..{last:02x}");
            let passes = window(bridge.base.0, bridge.bytes);
            for (n, view) in bridge.views.iter().enumerate() {
                let vm = &self.plan.vms[view.vm];
                let host = host(vm, bridge.space.host);
                let seen = window(view.base.0, view.bytes);
                match n {
                    0 => table.row(&[&bridge.name, &host, &at, &buses, &passes, &vm.name, &seen]),
                    _ => table.row(&[&"", &"", &"", &"", &"", &vm.name, &seen]),
                }
            }
        }
        let heading = "PCI bridges: opened at boot, read-only for guests";
        Some(Section::new("bridges", heading).with(table))
    }

    fn routes(&self) -> Section {
        if self.plan.events.is_empty() {
            return Section::new("events", "Events: none, the ITS is not used");
        }
        let listed = self.plan.is_listed();
        let mut table =
            Table::new(&["source", "DeviceID", "EventID", "vINTID", "vPE", "while not resident"]);
        let name = |event: &EventRoute| match event.ring {
            true => format!("channel {}", event.source),
            false => event.source.clone(),
        };
        for event in &self.plan.events {
            let cpu = &self.plan.cpus[self.plan.vpes[event.vpe].cpu].name;
            let doorbell = match self.plan.vpes[event.vpe].tables {
                Some(tables) => format!("doorbell LPI {} on {cpu}", tables.doorbell.intid),
                None if listed && event.ring => format!("waits: SGI to {cpu}"),
                None if listed => format!("waits: LPI on {cpu}"),
                None => "lost".into(),
            };
            let vpe = self.plan.vpe_name(event.vpe);
            let (device, id) = match listed && event.ring {
                true => ("-".into(), "-".into()),
                false => (event.device.to_string(), event.event.to_string()),
            };
            table.row(&[&name(event), &device, &id, &event.vintid, &vpe, &doorbell]);
        }
        let heading = match listed {
            true if self.plan.its.is_none() => {
                "Events: rings alone, delivered by list registers, one exit each"
            }
            true => "Events: physical LPIs and rings, delivered by list registers, one exit each",
            false => "Events: delivered by the GIC, no exit",
        };
        Section::new("events", heading).with(table)
    }

    /// SPIs.
    fn lines(&self) -> Option<Section> {
        let mut table = Table::new(&["INTID", "trigger", "source", "vPE"]);
        let mut any = false;
        if let Some(intid) = self.plan.board.console.intid() {
            let cpu = &self.plan.cpus[self.plan.console_cpu].name;
            table.row(&[&intid, &"level", &"console", &format!("hypervisor on {cpu}")]);
            any = true;
        }
        for (n, route) in self.plan.spis.iter().enumerate() {
            if let Some(route) = route {
                let vpe = self.plan.vpe_name(route.vpe);
                let trigger = if route.edge { "edge" } else { "level" };
                table.row(&[&(n + 32), &trigger, &route.source, &vpe]);
                any = true;
            }
        }
        if !any {
            return None;
        }
        let heading = "SPIs: delivered by list registers, one exit each";
        Some(Section::new("spis", heading).with(table))
    }

    fn script(&self) -> Vec<Section> {
        let Some(its) = &self.plan.its else { return Vec::new() };
        let heading = format!("ITS at {}: tables and registers", its.base);
        let mut registers = Section::new("its", heading);
        for table in &its.tables {
            let crate::plan::ItsTable { name, memory, entries, entry_bytes, .. } = table;
            let (base, size) = (memory.base, size(memory.bytes));
            registers.line(format!(
                "{name:<11} {base}, {size}: {entries} of at most {entry_bytes} bytes"
            ));
        }
        if let Some(v41) = &its.v41 {
            let table = match &v41.vpe_table {
                None => "the ITS's".into(),
                Some(table) => format!("{}, {}", table.memory.base, size(table.memory.bytes)),
            };
            registers.line(format!("GICv4.1; vPE table of redistributors: {table}"));
            let by = if v41.invalidates { "GICR_INVLPIR" } else { "INV" };
            registers.line(format!("configuration of a guest's event invalidated by {by}"));
            let sgis = match v41.virtual_sgis {
                true => "by the GIC if the guest asks for SGIs without an active state",
                false => "by list registers",
            };
            registers.line(format!("SGIs of VMs with several vPEs: {sgis}"));
        }
        registers.line(format!("GITS_CBASER = {:#018x}", its.cbaser.0));
        let shared = self.plan.cpus.iter().any(|cpu| cpu.schedule.is_shared());
        let later = match shared || self.plan.modes.is_some() {
            true if its.v41.is_some() && self.plan.modes.is_none() => ", none later",
            true if self.plan.is_listed() || its.v41.is_some() => "; later the modes'",
            true => "; later the doorbells' and the modes'",
            false => ", none later",
        };
        let heading = format!("ITS script: {} commands at boot{later}", its.script.len());
        let mut table = Table::default();
        for (n, line) in its.script.iter().enumerate() {
            let words = line.words.map(|word| format!("{:016x}", word.0)).join(" ");
            table.row(&[&format!("{n:3}"), &words, &line.text]);
        }
        vec![registers, Section::new("its-script", heading).with(table)]
    }

    fn kept(&self) -> Section {
        let own = &self.plan.hypervisor;
        let heading = format!(
            "The hypervisor's memory: {} kept, {} for payload copies",
            size(own.kept.next_multiple_of(1024)),
            size(own.copies.next_multiple_of(1024))
        );
        let mut table = Table::new(&["range", "size", "what"]);
        let code = format!("code, data, {} stacks of {}", own.stacks, size(own.stack_bytes));
        let mut rows: Vec<(u64, u64, &str)> = own
            .items
            .iter()
            .map(|item| (item.base.value(), item.bytes, item.name.as_str()))
            .collect();
        rows.push((own.image.value(), own.room, &code));
        rows.extend(self.plan.board.console.log().map(|log| (log.base.value(), log.bytes, "log")));
        rows.sort_unstable();
        for (base, bytes, what) in rows {
            table.row(&[&range(base, bytes), &size(bytes), &what]);
        }
        Section::new("kept", heading).with(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_people_write_them() {
        for (bytes, text) in [
            (0, "0 B"),
            (512, "512 B"),
            (6 << 10, "6 KiB"),
            (64 << 20, "64 MiB"),
            (3 << 30, "3 GiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
