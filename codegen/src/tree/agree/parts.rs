// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices, and what a tree leaves out.

use super::{Judge, extent, is_inside};
use crate::diag::rules;
use crate::model::{DeviceKind, MemoryRole};
use crate::plan::{MmioKind, NamedSpan, VmIndex};
use crate::tree::bus::Range;
use crate::tree::facts::Device;

impl Judge<'_> {
    pub fn devices(&mut self) {
        let own = self.reachable();
        for device in &self.facts.devices {
            for region in device.regions.iter().filter(|region| region.1 > 0) {
                if !is_inside(*region, &own) {
                    self.stranger(device, *region);
                }
            }
            for intid in device.interrupts.iter().filter(|intid| **intid >= 32) {
                self.interrupt(device, *intid);
            }
        }
    }

    /// All that a guest reaches or that is emulated for it.
    fn reachable(&self) -> Vec<Range> {
        let vm = self.vm;
        let mut own: Vec<Range> = Vec::new();
        own.extend(vm.memory.iter().map(|piece| (piece.ipa.value(), piece.bytes)));
        own.extend(vm.mmio.iter().map(|region| (region.base.value(), region.bytes)));
        own.extend(vm.registers.iter().map(|region| (region.base.value(), region.bytes)));
        own.extend(vm.windows().map(|window| (window.base.value(), window.bytes)));
        own.extend(vm.log.map(|log| (log.base.value(), log.bytes)));
        own.extend(self.plan.vm_channel_ends(vm).iter().map(|end| (end.ipa.value(), end.bytes)));
        own
    }

    fn stranger(&mut self, device: &Device, region: Range) {
        let (owner, board) = (self.owner, &self.system.board);
        let there = format!("{}: {}", device.path, extent(region));
        let title = "has registers that the VM does not have";
        let rule = &rules::TREE_DEVICE;
        let given = board.devices.iter().find(|known| match &known.kind {
            DeviceKind::Platform { regions, .. } => {
                regions.iter().any(|own| own.start() == region.0)
            }
            DeviceKind::Pci { .. } => false,
        });
        let uart = board.uarts.iter().find(|uart| uart.region.start() == region.0);
        if let Some(known) = given {
            let name = &known.name;
            let here = "not one of its devices".to_owned();
            let help = format!("add \"{}\" to its `devices`, or leave out the node", name.value);
            self.push(rule, title, there, (name, here), help);
        } else if let Some(uart) = uart {
            let here = "not its console".to_owned();
            let help = "write console = true, if it is the board's `uart`, or leave out the node";
            self.push(rule, title, there, (&uart.name, here), help);
        } else {
            let here = "has nothing there".to_owned();
            let help =
                "leave out the node, or write the board's address of one of the VM's devices";
            self.push(rule, title, there, (&owner.name, here), help);
        }
    }

    fn interrupt(&mut self, device: &Device, intid: u32) {
        let spi = self.plan.spis.get(intid as usize - 32);
        let own =
            spi.and_then(|spi| spi.as_ref()).is_some_and(|spi| spi.vm == VmIndex::at(self.number));
        let watchdog = self.vm.watchdog.as_ref().map(|watchdog| watchdog.intid);
        if own || [self.vm.uart_intid, watchdog].contains(&Some(intid)) {
            return;
        }
        let owner = self.owner;
        let mut spis: Vec<u32> = (32..)
            .zip(&self.plan.spis)
            .filter_map(|(intid, spi)| {
                spi.as_ref().filter(|spi| spi.vm == VmIndex::at(self.number)).map(|_| intid)
            })
            .collect();
        spis.extend(self.vm.uart_intid.into_iter().chain(watchdog));
        spis.sort_unstable();
        let spis = match spis.is_empty() {
            true => "has no SPI".into(),
            false => format!(
                "has SPI {}",
                spis.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
            ),
        };
        let there = format!("{}: INTID {intid}, as <0 {} ...>", device.path, intid - 32);
        let help =
            "write <0 N 4> where N + 32 is the INTID in the board's TOML, or leave out the node";
        let title = "has an interrupt that the VM does not have";
        self.push(&rules::TREE_DEVICE, title, there, (&owner.name, spis), help);
    }

    /// What the guest has and will not find.
    pub fn lacks(&mut self) {
        let (facts, owner) = (self.facts, self.owner);
        let has = |base: u64| {
            let mut regions = facts.devices.iter().flat_map(|device| &device.regions);
            regions.any(|region| region.0 == base)
        };
        let mut lacking: Vec<String> = Vec::new();
        if let Some((base, _)) = self.mmio(MmioKind::Uart)
            && !has(base)
        {
            lacking.push("its console".into());
        }
        if let Some((base, _)) = self.mmio(MmioKind::Watchdog)
            && !has(base)
        {
            lacking.push("its watchdog".into());
        }
        let flashes = self.vm.memory.iter().filter(|piece| piece.role == MemoryRole::Flash);
        let flashes = flashes.filter(|piece| !has(piece.ipa.value()));
        lacking.extend(flashes.map(|piece| format!("its flash at {}", piece.ipa)));
        // Whole pages, of which a node has its part.
        let within = |pages: &NamedSpan| {
            let mut regions = facts.devices.iter().flat_map(|device| &device.regions);
            let pages = pages.base.value()..pages.base.value() + pages.bytes;
            regions.any(|region| pages.contains(&region.0))
        };
        let registers = self.vm.registers.iter().filter(|pages| !within(pages));
        lacking.extend(registers.map(|region| format!("device `{}`", region.name)));
        for own in &self.vm.hosts {
            let mut hosts = facts.hosts.iter();
            let host =
                hosts.find(|host| host.ecam.is_some_and(|ecam| ecam.0 == own.ecam.base.value()));
            match host {
                None => lacking.push(format!("its PCIe host `{}`", own.name)),
                Some(host) if host.msi_map.is_empty() && self.mmio(MmioKind::Its).is_some() => {
                    lacking.push(format!("msi-map of its PCIe host `{}`", own.name));
                }
                Some(_) => {}
            }
        }
        if self.mmio(MmioKind::Its).is_some() && facts.its.is_empty() {
            lacking.push("its ITS".into());
        }
        let cpus = facts.cpus.len();
        if (1..usize::from(self.vm.vpe_count)).contains(&cpus) {
            lacking.push(format!("vPE {cpus}"));
        }
        for lack in lacking {
            let there = format!("no node for {lack}");
            let here = "the guest will not use it".to_owned();
            let help = format!(
                "copy the node from target/bulkhead/{}/{}.dtb, made without this file",
                self.plan.system, owner.name.value
            );
            self.push(
                &rules::TREE_LACKS,
                &format!("leaves out {lack}"),
                there,
                (&owner.name, here),
                help,
            );
        }
    }
}
