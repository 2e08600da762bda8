//! Hosts and devices, and what a tree leaves out.

use super::{Judge, extent, extents, is_inside, reg};
use crate::diag::rules;
use crate::model::DeviceKind;
use crate::plan::MmioKind;
use crate::tree::facts::{Device, Host, Range};

/// phys.hi of a PCI address: its space (IEEE 1275 PCI binding, 2.2.1).
const SPACE: u32 = 0x0300_0000;
const SPACE_IO: u32 = 0x0100_0000;
const SPACE_NARROW: u32 = 0x0200_0000;
const SPACE_WIDE: u32 = 0x0300_0000;

impl Judge<'_> {
    pub fn hosts(&mut self) {
        for host in &self.facts.hosts {
            self.host(host);
        }
    }

    fn host(&mut self, host: &Host) {
        let base = host.ecam.map(|ecam| ecam.0);
        let mut known = self.system.board.pcie.iter().enumerate();
        let mut regions = self.vm.mmio.iter().filter(|r| r.kind == MmioKind::PciConfig);
        let owner = self.owner;
        let Some((region, (n, own))) = regions
            .find(|region| Some(region.base.0) == base)
            .zip(known.find(|(_, own)| Some(own.ecam.start()) == base))
        else {
            let there = format!("{}: {}", host.path, host.ecam.map_or("nowhere".into(), extent));
            let here = "none of its devices is there".to_owned();
            let help =
                "leave out the node, or write the address of the board's host, as `ecam` has it";
            let title = "has a PCIe host that the VM does not have";
            self.push(&rules::TREE_PCIE, title, there, (&owner.name, here), help);
            return;
        };
        let ecam = (region.base.0, region.bytes);
        let first = u32::from(own.first_bus.value);
        let buses = (first, first + (region.bytes >> 20) as u32 - 1);
        if host.ecam != Some(ecam) || host.buses.is_some_and(|given| given != buses) {
            let there = format!("{}: another ECAM or bus-range", host.path);
            let here = format!("the VM sees {}", extent(ecam));
            let help = format!("write {} and bus-range = <{} {}>", reg(&[ecam]), buses.0, buses.1);
            let title = "has PCI buses that the VM does not have";
            self.push(&rules::TREE_PCIE, title, there, (&own.ecam.base, here), help);
        }
        self.windows(host, n);
        self.messages(host, n);
    }

    fn windows(&mut self, host: &Host, number: usize) {
        let windows = || self.vm.windows.iter().filter(|window| window.host == number);
        let own: Vec<Range> = windows().map(|window| (window.base.0, window.bytes)).collect();
        let cells = windows().flat_map(|window| {
            let space = if window.wide { SPACE_WIDE } else { SPACE_NARROW };
            let words = [window.base.0, window.base.0, window.bytes];
            let words = words.map(|word| format!("{:#x} {:#x}", word >> 32, word & 0xffff_ffff));
            std::iter::once(format!("{space:#x}")).chain(words)
        });
        let ranges = cells.collect::<Vec<_>>().join(" ");
        let pcie = &self.system.board.pcie[number];
        for (space, range) in &host.windows {
            let io = space & SPACE == SPACE_IO;
            if io || !is_inside(*range, &own) {
                let kind = if io { "I/O, which there is not" } else { "memory" };
                let there = format!("{}: ranges has {}, {kind}", host.path, extent(*range));
                let here = format!("the VM's BARs are in {}", extents(&own));
                let help = format!("write ranges = <{ranges}>");
                let title = "has a PCI window that the VM does not have";
                self.push(&rules::TREE_PCIE, title, there, (&pcie.name, here), help);
            }
        }
    }

    /// DeviceIDs of the VM's functions, when their messages go to an ITS.
    fn messages(&mut self, host: &Host, number: usize) {
        let (plan, vm, pcie) = (self.plan, self.vm, &self.system.board.pcie[number]);
        if host.msi_map.is_empty() || self.mmio(MmioKind::Its).is_none() {
            return;
        }
        for function in plan.vm_functions(vm).iter().filter(|function| function.host == number) {
            let requester = u32::from(function.bdf);
            let own = pcie.device_id_base + requester;
            let given = host.device_id(requester);
            if given != Some(own) {
                let given = given.map_or("none".into(), |id| id.to_string());
                let there = format!("{}: msi-map makes {requester} DeviceID {given}", host.path);
                let here = format!("`{}` has DeviceID {own}", function.name);
                let help = format!(
                    "write msi-map = <0 &its {} 0x10000>, without msi-map-mask",
                    pcie.device_id_base
                );
                let title = "gives a device another DeviceID";
                self.push(&rules::TREE_PCIE, title, there, (&pcie.name, here), help);
            }
        }
    }

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
        own.extend(vm.memory.iter().map(|piece| (piece.ipa.0, piece.bytes)));
        own.extend(vm.mmio.iter().map(|region| (region.base.0, region.bytes)));
        own.extend(vm.registers.iter().map(|region| (region.base.0, region.bytes)));
        own.extend(vm.windows.iter().map(|window| (window.base.0, window.bytes)));
        own.extend(self.plan.vm_channel_ends(vm).iter().map(|end| (end.ipa.0, end.bytes)));
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
        let own = spi.and_then(|spi| spi.as_ref()).is_some_and(|spi| spi.vm == self.number);
        if own || self.vm.uart_intid == Some(intid) {
            return;
        }
        let owner = self.owner;
        let mut spis: Vec<u32> = (32..)
            .zip(&self.plan.spis)
            .filter_map(|(intid, spi)| {
                spi.as_ref().filter(|spi| spi.vm == self.number).map(|_| intid)
            })
            .collect();
        spis.extend(self.vm.uart_intid);
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
        let registers = self.vm.registers.iter().filter(|region| !has(region.base.0));
        lacking.extend(registers.map(|region| format!("device `{}`", region.name)));
        for region in self.vm.mmio.iter().filter(|region| region.kind == MmioKind::PciConfig) {
            let mut hosts = facts.hosts.iter();
            let host = hosts.find(|host| host.ecam.is_some_and(|ecam| ecam.0 == region.base.0));
            match host {
                None => lacking.push("its PCIe host".into()),
                Some(host) if host.msi_map.is_empty() && self.mmio(MmioKind::Its).is_some() => {
                    lacking.push("msi-map of its PCIe host".into());
                }
                Some(_) => {}
            }
        }
        if self.mmio(MmioKind::Its).is_some() && facts.its.is_empty() {
            lacking.push("its ITS".into());
        }
        let cpus = facts.cpus.len();
        if (1..self.vm.vpe_count).contains(&cpus) {
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
