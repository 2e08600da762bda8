// SPDX-License-Identifier: Apache-2.0 OR MIT
//! plan.txt and plan.json: the plan for people and for programs.

use std::fmt::{self, Display, Write};

use super::time;
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
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = Report { plan }.write(&mut out);
    out
}

/// A table with aligned columns.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|&cell| cell.to_owned()).collect()] }
    }

    pub(super) fn row(&mut self, cells: &[&dyn Display]) {
        self.rows.push(cells.iter().map(ToString::to_string).collect());
    }

    pub(super) fn write(&self, out: &mut String) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::from("  ");
            for (cell, width) in row.iter().zip(&widths) {
                // Not by a format's width, which ends at 65,535.
                let rest = width - cell.chars().count();
                line.extend([cell.as_str(), &" ".repeat(rest), "  "]);
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
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

fn range(base: u64, bytes: u64) -> String {
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

struct Report<'a> {
    plan: &'a Plan,
}

impl Report<'_> {
    fn write(&self, out: &mut String) -> fmt::Result {
        let plan = self.plan;
        writeln!(out, "System {} on {}: {}", plan.system, plan.board.name, plan.description)?;
        writeln!(out, "plan {:016x}", plan.digest.0)?;
        self.memory(out)?;
        self.cpus(out)?;
        time::write(plan, out)?;
        for vm in &plan.vms {
            self.vm(vm, out)?;
        }
        self.functions(out)?;
        self.bridges(out)?;
        self.streams(out)?;
        self.routes(out)?;
        self.lines(out)?;
        self.script(out)?;
        self.kept(out)?;
        self.assumed(out)
    }

    fn assumed(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "\nTaken from the board's description, because boot cannot see it")?;
        self.plan.assumptions.iter().try_for_each(|one| writeln!(out, "  {one}"))
    }

    fn memory(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "\nPhysical memory")?;
        let mut table = Table::new(&["range", "size", "owner", "what"]);
        for area in &self.plan.memory_map {
            table.row(&[
                &range(area.base.value(), area.bytes),
                &size(area.bytes),
                &area.owner,
                &area.what,
            ]);
        }
        table.write(out)
    }

    fn cpus(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "\nCPUs")?;
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
        table.write(out)
    }

    fn vm(&self, vm: &Vm, out: &mut String) -> fmt::Result {
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
        writeln!(
            out,
            "\nVM {}: VMID {}, entry {}, device tree {}, on fault {}{}{}{}{}{}",
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
        )?;
        let mut table = Table::new(&["guest address", "size", "is", "how"]);
        let mut rows: Vec<(u64, u64, String, &str)> = Vec::new();
        for piece in &vm.memory {
            let (what, how) = match piece.role {
                MemoryRole::Ram => ("memory", "direct"),
                MemoryRole::Rom => ("ROM", "direct, read-only"),
                MemoryRole::Hidden => ("memory not in the device tree", "direct"),
                MemoryRole::Flash => ("flash", "direct, stores emulated"),
            };
            let kept = vm.kept.iter().any(|kept| kept.base == piece.pa);
            let kept = if kept { ", not cleared" } else { "" };
            rows.push((
                piece.ipa.value(),
                piece.bytes,
                format!("{what} at {}{kept}", piece.pa),
                how,
            ));
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
            rows.push((region.base.value(), region.bytes, what.into(), "emulated"));
        }
        for host in &vm.hosts {
            let what = format!("configuration of {}", buses(host));
            rows.push((host.ecam.base.value(), host.ecam.bytes, what, "filtered"));
        }
        for region in &vm.registers {
            rows.push((
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
                rows.push((bar.base.value(), bar.bytes, what, "direct"));
            }
            if let Some(pages) = function.msix.and_then(|msix| msix.pages) {
                let what = format!("MSI-X table of {}", function.name);
                rows.push((pages.base.value(), pages.bytes, what, "filtered"));
            }
        }
        for end in self.plan.vm_channel_ends(vm) {
            let how = if end.writable { "direct" } else { "direct, read only" };
            rows.push((
                end.ipa.value(),
                end.bytes,
                format!("channel {} at {}", end.name, end.pa),
                how,
            ));
        }
        if let (Some(at), Some(log)) = (vm.log, self.plan.board.console.log()) {
            let what = format!("log at {}", log.base);
            rows.push((at.base.value(), at.bytes, what, "direct, read only"));
        }
        rows.sort_by_key(|row| row.0);
        for (base, bytes, what, how) in rows {
            table.row(&[&range(base, bytes), &size(bytes), &what, &how]);
        }
        table.write(out)?;
        let mut table = Table::new(&["loaded", "at", "bytes", "cleared after"]);
        for load in &vm.loads {
            table.row(&[
                &load.what,
                &range(load.ipa.value(), load.bytes.len + load.clear),
                &load.bytes.len,
                &load.clear,
            ]);
        }
        table.write(out)
    }

    fn functions(&self, out: &mut String) -> fmt::Result {
        if self.plan.functions.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nPCI functions: seen where they are")?;
        let head = ["function", "host", "at", "DeviceID", "configuration", "VM", "messages"];
        let mut table = Table::new(&head);
        for function in &self.plan.functions {
            let vm = &self.plan.vms[function.vm];
            let host = host(vm, function.host);
            let at = address(function.bdf);
            let (id, config) = (function.device_id, format!("{:#012x}", function.config.value()));
            let messages = messages(function);
            table.row(&[&function.name, &host, &at, &id, &config, &vm.name, &messages]);
        }
        for (vm, stand_in) in
            self.plan.vms.iter().flat_map(|vm| vm.stand_ins.iter().map(move |own| (vm, own)))
        {
            let what = format!("before {}", stand_in.before);
            let (host, at) = (host(vm, stand_in.host), address(stand_in.bdf));
            let config = format!("{:#012x}", stand_in.config.value());
            table.row(&[&what, &host, &at, &"-", &config, &vm.name, &"none: a stand-in"]);
        }
        table.write(out)
    }

    fn streams(&self, out: &mut String) -> fmt::Result {
        if self.plan.masters.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nDMA: what devices reach past the CPUs")?;
        for smmu in &self.plan.smmus {
            let (name, cpu) = (&smmu.name, &self.plan.cpus[smmu.cpu.index()].name);
            let (event, error) = (smmu.event_intid, smmu.error_intid);
            writeln!(out, "  {name}: faults come by INTID {event}, errors by {error}, to {cpu}")?;
        }
        let head = ["device", "VM", "reaches", "SMMU", "StreamID", "stage 2", "on a fault"];
        let mut table = Table::new(&head);
        for master in &self.plan.masters {
            let vm = &self.plan.vms[master.vm].name;
            if master.trusted {
                let trusted = "trusted: can reach all memory";
                table.row(&[&master.name, vm, &trusted, &"-", &"-", &"-", &"-"]);
                continue;
            }
            let smmu = &self.plan.smmus[usize::from(master.smmu)].name;
            let streams: Vec<_> = master.streams.iter().map(|id| format!("{id:#06x}")).collect();
            let root = format!("{:#012x}", master.vttbr.0 & 0xffff_ffff_ffff);
            let (reaches, policy) = ("its VM's memory, channels, the ITS", master.on_fault.name());
            let streams = streams.join(" ");
            table.row(&[&master.name, vm, &reaches, smmu, &streams, &root, &policy]);
        }
        table.write(out)
    }

    fn bridges(&self, out: &mut String) -> fmt::Result {
        if self.plan.bridges.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nPCI bridges: opened at boot, read-only for guests")?;
        let head = ["bridge", "host", "at", "buses", "passes on", "to", "as it sees it"];
        let mut table = Table::new(&head);
        let window = |base: u64, bytes: u64| match bytes {
            0 => "nothing".into(),
            _ => range(base, bytes),
        };
        for bridge in &self.plan.bridges {
            let (first, last) = (bridge.secondary, bridge.subordinate);
            let at = address(bridge.bdf);
            let buses = format!("{first:02x}..{last:02x}");
            let passes = window(bridge.base.0, bridge.bytes);
            for (n, view) in bridge.views.iter().enumerate() {
                let vm = &self.plan.vms[view.vm];
                let host = host(vm, bridge.host);
                let seen = window(view.base.0, view.bytes);
                match n {
                    0 => table.row(&[&bridge.name, &host, &at, &buses, &passes, &vm.name, &seen]),
                    _ => table.row(&[&"", &"", &"", &"", &"", &vm.name, &seen]),
                }
            }
        }
        table.write(out)
    }

    fn routes(&self, out: &mut String) -> fmt::Result {
        let Some(its) = &self.plan.its else {
            return writeln!(out, "\nEvents: none, the ITS is not used");
        };
        writeln!(out, "\nEvents: delivered by the GIC, no exit")?;
        let mut table =
            Table::new(&["source", "DeviceID", "EventID", "vINTID", "vPE", "while not resident"]);
        let name = |event: &EventRoute| match event.ring {
            true => format!("channel {}", event.source),
            false => event.source.clone(),
        };
        for event in &its.events {
            let doorbell = match self.plan.vpes[event.vpe].tables {
                Some(tables) => {
                    let cpu = &self.plan.cpus[self.plan.vpes[event.vpe].cpu].name;
                    format!("doorbell LPI {} on {cpu}", tables.doorbell.intid)
                }
                None => "lost".into(),
            };
            let vpe = self.plan.vpe_name(event.vpe);
            table.row(&[&name(event), &event.device, &event.event, &event.vintid, &vpe, &doorbell]);
        }
        table.write(out)
    }

    /// SPIs.
    fn lines(&self, out: &mut String) -> fmt::Result {
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
            return Ok(());
        }
        writeln!(out, "\nSPIs: delivered by list registers, one exit each")?;
        table.write(out)
    }

    fn script(&self, out: &mut String) -> fmt::Result {
        let Some(its) = &self.plan.its else { return Ok(()) };
        writeln!(out, "\nITS at {}: tables and registers", its.base)?;
        for table in &its.tables {
            let crate::plan::ItsTable { name, memory, entries, entry_bytes, .. } = table;
            let (base, size) = (memory.base, size(memory.bytes));
            writeln!(out, "  {name:<11} {base}, {size}: {entries} of at most {entry_bytes} bytes")?;
        }
        writeln!(out, "  GITS_CBASER = {:#018x}", its.cbaser.0)?;
        let shared = self.plan.cpus.iter().any(|cpu| cpu.schedule.is_shared());
        let later = match shared || self.plan.modes.is_some() {
            true => "; later the doorbells' and the modes'",
            false => ", none later",
        };
        writeln!(out, "\nITS script: {} commands at boot{later}", its.script.len())?;
        let mut table = Table::default();
        for (n, line) in its.script.iter().enumerate() {
            let words = line.words.map(|word| format!("{:016x}", word.0)).join(" ");
            table.row(&[&format!("{n:3}"), &words, &line.text]);
        }
        table.write(out)
    }

    fn kept(&self, out: &mut String) -> fmt::Result {
        let own = &self.plan.hypervisor;
        writeln!(
            out,
            "\nThe hypervisor's memory: {} kept, {} for payload copies",
            size(own.kept.next_multiple_of(1024)),
            size(own.copies.next_multiple_of(1024))
        )?;
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
        table.write(out)
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

    #[test]
    fn a_cell_may_be_longer_than_a_format_can_pad() {
        let mut table = Table::new(&["a", "b"]);
        table.row(&[&"x".repeat(70_000), &1]);
        let mut text = String::new();
        table.write(&mut text).unwrap();
        assert_eq!(text.lines().map(str::len).collect::<Vec<_>>(), [70_005, 70_005]);
    }
}
