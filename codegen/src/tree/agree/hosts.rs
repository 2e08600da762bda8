// SPDX-License-Identifier: Apache-2.0 OR MIT
//! PCIe hosts: which of the VM's each is, its buses, windows, DeviceIDs and domain.

use super::{Judge, extent, extents, is_inside, reg};
use crate::check::range::hex;
use crate::diag::rules;
use crate::plan::{self, MmioKind};
use crate::tree::bus::Range;
use crate::tree::facts::{Host, Window};

/// phys.hi of a PCI address: its space (IEEE 1275 PCI binding, 2.2.1).
const SPACE: u32 = 0x0300_0000;
const SPACE_IO: u32 = 0x0100_0000;
const SPACE_NARROW: u32 = 0x0200_0000;
const SPACE_WIDE: u32 = 0x0300_0000;

impl Judge<'_> {
    pub fn hosts(&mut self) {
        let facts = self.facts;
        for (n, host) in facts.hosts.iter().enumerate() {
            self.host(host);
            self.domain(&facts.hosts[..n], host);
        }
    }

    fn host(&mut self, host: &Host) {
        let (owner, vm) = (self.owner, self.vm);
        let base = host.ecam.map(|ecam| ecam.0);
        let Some(own) = vm.hosts.iter().find(|own| Some(own.ecam.base.value()) == base) else {
            let there = format!("{}: {}", host.path, host.ecam.map_or("nowhere".into(), extent));
            let here = "none of its devices is there".to_owned();
            let help =
                "leave out the node, or write the address of the board's host, as `ecam` has it";
            let title = "has a PCIe host that the VM does not have";
            self.push(&rules::TREE_PCIE, title, there, (&owner.name, here), help);
            return;
        };
        let ecam = (own.ecam.base.value(), own.ecam.bytes);
        let buses = (u32::from(own.first_bus), u32::from(own.last_bus));
        if host.ecam != Some(ecam) || host.buses() != buses {
            let there = format!("{}: another ECAM or bus-range", host.path);
            let here = format!("the VM sees {}", extent(ecam));
            let help = format!("write {} and bus-range = <{} {}>", reg(&[ecam]), buses.0, buses.1);
            let title = "has PCI buses that the VM does not have";
            let at = &self.system.board.pcie[own.host].ecam.base;
            self.push(&rules::TREE_PCIE, title, there, (at, here), help);
        }
        let pcie = &self.system.board.pcie[own.host];
        if host.coherent && !pcie.coherent {
            let there = format!("{}: dma-coherent", host.path);
            let here = "this host has coherent = false".to_owned();
            let title = "says that DMA behind a PCIe host is coherent, which it is not";
            let help = "leave out `dma-coherent`: drivers then maintain the caches";
            self.push(&rules::TREE_PCIE, title, there, (&pcie.name, here), help);
        }
        self.windows(host, own);
        self.messages(host, own);
    }

    fn windows(&mut self, host: &Host, own: &plan::PciHost) {
        let windows: Vec<Range> =
            own.windows.iter().map(|window| (window.base.value(), window.bytes)).collect();
        let cells = own.windows.iter().flat_map(|window| {
            let space = if window.wide { SPACE_WIDE } else { SPACE_NARROW };
            let words = [window.bus.0, window.base.value(), window.bytes];
            let words = words.map(|word| format!("{:#x} {:#x}", word >> 32, word & 0xffff_ffff));
            std::iter::once(format!("{space:#x}")).chain(words)
        });
        let ranges = cells.collect::<Vec<_>>().join(" ");
        let pcie = &self.system.board.pcie[own.host];
        // How far the bus has an address from where CPUs have it.
        let moved_by = |base: u64| {
            let mut windows = own.windows.iter();
            let window = windows.find(|own| is_inside((base, 1), &[(own.base.value(), own.bytes)]));
            window.map_or(0, |window| window.bus.0.wrapping_sub(window.base.value()))
        };
        for Window { space, bus, range } in &host.windows {
            let io = space & SPACE == SPACE_IO;
            let moved = *bus != range.0.wrapping_add(moved_by(range.0));
            if io || moved || !is_inside(*range, &windows) {
                let kind = match (io, moved) {
                    (true, _) => "I/O, which there is not".into(),
                    (_, true) => format!("on the bus from {}", hex(*bus)),
                    _ => "memory".into(),
                };
                let there = format!("{}: ranges has {}, {kind}", host.path, extent(*range));
                let here = format!("the VM's BARs are in {}", extents(&windows));
                let help = format!("write ranges = <{ranges}>");
                let title = "has a PCI window that the VM does not have";
                self.push(&rules::TREE_PCIE, title, there, (&pcie.name, here), help);
            }
        }
    }

    /// DeviceIDs of the VM's functions, when their messages go to an ITS.
    fn messages(&mut self, host: &Host, own: &plan::PciHost) {
        let (plan, vm, pcie) = (self.plan, self.vm, &self.system.board.pcie[own.host]);
        if host.msi_map.is_empty() || self.mmio(MmioKind::Its).is_none() {
            return;
        }
        let map = own.msi_map.iter().map(|range| {
            format!("{:#x} &its {:#x} {:#x}", range.requester, range.device_id, range.count)
        });
        let help = format!(
            "write msi-map = <{}>, without msi-map-mask",
            map.collect::<Vec<_>>().join(">, <")
        );
        for function in
            plan.vm_functions(vm).iter().filter(|function| function.space.host == own.host)
        {
            let requester = u32::from(function.space.bdf);
            let given = host.device_id(requester);
            if given != Some(function.device_id) {
                let given = given.map_or("none".into(), |id| id.to_string());
                let there = format!("{}: msi-map makes {requester} DeviceID {given}", host.path);
                let here = format!("`{}` has DeviceID {}", function.name, function.device_id);
                let title = "gives a device another DeviceID";
                self.push(&rules::TREE_PCIE, title, there, (&pcie.name, here), help.clone());
            }
        }
    }

    /// Hosts are told apart by their domains: all of them have one, or none and the guest counts
    /// them.
    fn domain(&mut self, others: &[Host], host: &Host) {
        let clash = |other: &&Host| match (other.domain, host.domain) {
            (Some(one), Some(two)) => {
                let ((first, last), (from, to)) = (other.buses(), host.buses());
                one == two && first <= to && from <= last
            }
            (one, two) => one.is_some() != two.is_some(),
        };
        let Some(other) = others.iter().find(clash) else { return };
        let (owner, title) = (self.owner, "has two PCIe hosts that a guest cannot tell apart");
        let domain = |host: &Host| match host.domain {
            Some(domain) => format!("{} has domain {domain}", host.path),
            None => format!("{} has none", host.path),
        };
        let there = format!("{}, {}", domain(other), domain(host));
        let here = "sees both".to_owned();
        let help = "write linux,pci-domain in each of them, as <0> and <1>";
        self.push(&rules::TREE_PCIE, title, there, (&owner.name, here), help);
    }
}
