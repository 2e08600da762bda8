// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A VM's device tree, as docs/guest-abi.md describes it.
//!
//! Bindings are those of the devicetree specification 0.4 and of Linux for `arm,gic-v3`,
//! `arm,pl011`, `arm,armv8-timer`, `arm,psci` and `pci-host-ecam-generic`. Addresses and sizes have
//! two cells everywhere but in /cpus and on PCI.

use abi::tree;
use vm_fdt::{Error, FdtWriter};

use crate::model::{DeviceKind, MemoryRole, System};
use crate::plan::{Features, GuestSpan, MmioKind, Plan, Span, Vm, VmIndex, watchdog};

const PHANDLE_GIC: u32 = 1;
const PHANDLE_CLOCK: u32 = 2;
const PHANDLE_ITS: u32 = 3;
/// The first channel's; the others follow.
const PHANDLE_CHANNEL: u32 = 4;
/// Interrupt specifier: type, number, flags.
const SPI: u32 = 0;
const PPI: u32 = 1;
const EDGE_RISING: u32 = 1;
const LEVEL_HIGH: u32 = 4;
/// INTIDs of PPIs.
const PPIS: std::ops::Range<u32> = 16..32;
const FRAME: u64 = 64 << 10;

/// Affinity fields of a vPE by its number: sixteen for each Aff1, as `vm::guest` has them.
pub const fn affinity(number: u32) -> u32 {
    number / 16 * 0x100 + number % 16
}

type Result<T = ()> = std::result::Result<T, Error>;

/// The blob of VM number `vm`.
pub fn tree(system: &System, plan: &Plan, vm: usize) -> Result<Vec<u8>> {
    let mut tree = Tree { fdt: FdtWriter::new()?, system, plan, vm: &plan.vms[vm], number: vm };
    tree.all()?;
    tree.fdt.finish()
}

struct Tree<'a> {
    fdt: FdtWriter,
    system: &'a System,
    plan: &'a Plan,
    vm: &'a Vm,
    number: usize,
}

impl Tree<'_> {
    fn all(&mut self) -> Result {
        let root = self.fdt.begin_node("")?;
        self.cells(2, 2)?;
        self.fdt.property_string("compatible", tree::VM_COMPATIBLE)?;
        self.fdt.property_string("model", &format!("{}/{}", self.plan.system, self.vm.name))?;
        self.fdt.property_u32("interrupt-parent", PHANDLE_GIC)?;
        self.chosen()?;
        self.memory()?;
        self.reserved()?;
        self.cpus()?;
        self.psci()?;
        self.timer()?;
        self.gic()?;
        self.pmu()?;
        self.clock()?;
        self.uart()?;
        self.flashes()?;
        self.watchdog()?;
        self.pcie()?;
        self.platform()?;
        self.bulkhead()?;
        self.fdt.end_node(root)
    }

    fn cells(&mut self, address: u32, size: u32) -> Result {
        self.fdt.property_u32("#address-cells", address)?;
        self.fdt.property_u32("#size-cells", size)
    }

    fn mmio(&self, kind: MmioKind) -> Option<(u64, u64)> {
        let region = self.vm.mmio.iter().find(|region| region.kind == kind)?;
        Some((region.base.value(), region.bytes))
    }

    fn chosen(&mut self) -> Result {
        let node = self.fdt.begin_node("chosen")?;
        if let Some(arguments) = &self.vm.arguments {
            self.fdt.property_string("bootargs", arguments)?;
        }
        if !self.vm.hosts.is_empty() {
            // BARs stay where the plan put them; Linux would place them anew.
            self.fdt.property_u32("linux,pci-probe-only", 1)?;
        }
        if let Some((base, _)) = self.mmio(MmioKind::Uart) {
            self.fdt.property_string("stdout-path", &format!("/pl011@{base:x}"))?;
        }
        if let Some(initrd) = self.vm.initrd {
            self.fdt.property_u64("linux,initrd-start", initrd.base.value())?;
            self.fdt.property_u64("linux,initrd-end", initrd.base.value() + initrd.bytes)?;
        }
        self.fdt.end_node(node)
    }

    /// RAM alone. The TOML's first piece first: some guests (U-Boot) live in that one and add the
    /// others later.
    fn memory(&mut self) -> Result {
        let mut pieces = self.vm.memory.clone();
        pieces[..=self.vm.main_memory].rotate_right(1);
        for piece in pieces.iter().filter(|piece| piece.role == MemoryRole::Ram) {
            let node = self.fdt.begin_node(&format!("memory@{:x}", piece.ipa.value()))?;
            self.fdt.property_string("device_type", "memory")?;
            self.fdt.property_array_u64("reg", &[piece.ipa.value(), piece.bytes])?;
            self.fdt.end_node(node)?;
        }
        Ok(())
    }

    /// Channels, for a guest whose drivers ask for such memory: no RAM of the guest's, and not to
    /// be mapped as RAM.
    fn reserved(&mut self) -> Result {
        let ends = self.plan.vm_channel_ends(self.vm);
        if ends.is_empty() {
            return Ok(());
        }
        let reserved = self.fdt.begin_node("reserved-memory")?;
        self.cells(2, 2)?;
        self.fdt.property_null("ranges")?;
        for (index, end) in ends.iter().enumerate() {
            let node = self.fdt.begin_node(&format!("channel@{:x}", end.ipa.value()))?;
            self.fdt.property_array_u64("reg", &[end.ipa.value(), end.bytes])?;
            self.fdt.property_null("no-map")?;
            self.fdt.property_phandle(PHANDLE_CHANNEL + index as u32)?;
            self.fdt.end_node(node)?;
        }
        self.fdt.end_node(reserved)
    }

    fn cpus(&mut self) -> Result {
        let cpus = self.fdt.begin_node("cpus")?;
        self.cells(1, 0)?;
        for affinity in (0..self.vm.vpe_count as u32).map(affinity) {
            let node = self.fdt.begin_node(&format!("cpu@{affinity:x}"))?;
            self.fdt.property_string("device_type", "cpu")?;
            self.fdt.property_string("compatible", "arm,armv8")?;
            self.fdt.property_string("enable-method", "psci")?;
            self.fdt.property_u32("reg", affinity)?;
            self.fdt.end_node(node)?;
        }
        self.fdt.end_node(cpus)
    }

    fn psci(&mut self) -> Result {
        let node = self.fdt.begin_node("psci")?;
        self.compatible(&["arm,psci-1.0", "arm,psci-0.2"])?;
        self.fdt.property_string("method", "hvc")?;
        self.fdt.end_node(node)
    }

    fn compatible(&mut self, names: &[&str]) -> Result {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        self.fdt.property_string_list("compatible", names)
    }

    /// Guests count the places of the binding: secure, physical, virtual. `interrupt-names` would
    /// do without the first, but not every guest reads them, and UEFI firmware insists on three or
    /// four places with different interrupts. So the secure timer's holds a PPI that nothing has.
    fn timer(&mut self) -> Result {
        let node = self.fdt.begin_node("timer")?;
        self.fdt.property_string("compatible", "arm,armv8-timer")?;
        let interrupts: Vec<u32> = self
            .timer_ppis()
            .into_iter()
            .flat_map(|intid| [PPI, intid - PPIS.start, LEVEL_HIGH])
            .collect();
        self.fdt.property_array_u32("interrupts", &interrupts)?;
        self.fdt.property_null("always-on")?;
        self.fdt.end_node(node)
    }

    fn timer_ppis(&self) -> [u32; 3] {
        let board = &self.plan.board;
        let known = [
            u32::from(board.timer.virtual_ppi),
            u32::from(board.timer.physical_ppi),
            u32::from(board.timer.hypervisor_ppi),
            u32::from(board.timer.maintenance_ppi),
            self.system.board.pmu_ppi.as_ref().map_or(0, |ppi| ppi.value),
        ];
        let nobodys = PPIS.into_iter().find(|intid| !known.contains(intid));
        [
            nobodys.unwrap_or(PPIS.start),
            u32::from(board.timer.physical_ppi),
            u32::from(board.timer.virtual_ppi),
        ]
    }

    fn gic(&mut self) -> Result {
        let frames = [self.mmio(MmioKind::Distributor), self.mmio(MmioKind::Redistributors)];
        let reg: Vec<u64> =
            frames.into_iter().flatten().flat_map(|(base, bytes)| [base, bytes]).collect();
        let name = format!("interrupt-controller@{:x}", self.plan.board.distributor.value());
        let node = self.fdt.begin_node(&name)?;
        self.fdt.property_string("compatible", "arm,gic-v3")?;
        self.fdt.property_array_u64("reg", &reg)?;
        self.fdt.property_null("interrupt-controller")?;
        self.fdt.property_u32("#interrupt-cells", 3)?;
        self.cells(2, 2)?;
        self.fdt.property_null("ranges")?;
        self.fdt.property_phandle(PHANDLE_GIC)?;
        if let Some((base, _)) = self.mmio(MmioKind::Its) {
            let its = self.fdt.begin_node(&format!("msi-controller@{base:x}"))?;
            self.fdt.property_string("compatible", "arm,gic-v3-its")?;
            self.fdt.property_array_u64("reg", &[base, 2 * FRAME])?;
            self.fdt.property_null("msi-controller")?;
            self.fdt.property_u32("#msi-cells", 1)?;
            self.fdt.property_phandle(PHANDLE_ITS)?;
            self.fdt.end_node(its)?;
        }
        self.fdt.end_node(node)
    }

    /// Counters, if the VM has them, with their interrupt if the board has it.
    fn pmu(&mut self) -> Result {
        if !self.vm.features.has(Features::PMU) {
            return Ok(());
        }
        let node = self.fdt.begin_node("pmu")?;
        self.fdt.property_string("compatible", "arm,armv8-pmuv3")?;
        if let Some(intid) = self.vm.pmu_ppi {
            self.fdt.property_array_u32("interrupts", &[PPI, u32::from(intid) - 16, LEVEL_HIGH])?;
        }
        self.fdt.end_node(node)
    }

    /// The clock that PrimeCell bindings insist on.
    fn clock(&mut self) -> Result {
        let node = self.fdt.begin_node("apb-pclk")?;
        self.fdt.property_string("compatible", "fixed-clock")?;
        self.fdt.property_u32("#clock-cells", 0)?;
        self.fdt.property_u32("clock-frequency", 24_000_000)?;
        self.fdt.property_string("clock-output-names", "clk24mhz")?;
        self.fdt.property_phandle(PHANDLE_CLOCK)?;
        self.fdt.end_node(node)
    }

    fn uart(&mut self) -> Result {
        let Some((base, bytes)) = self.mmio(MmioKind::Uart) else {
            return Ok(());
        };
        let node = self.fdt.begin_node(&format!("pl011@{base:x}"))?;
        self.compatible(&["arm,pl011", "arm,primecell"])?;
        self.fdt.property_array_u64("reg", &[base, bytes])?;
        if let Some(intid) = self.vm.uart_intid {
            self.fdt.property_array_u32("interrupts", &[SPI, intid - 32, LEVEL_HIGH])?;
        }
        self.fdt.property_array_u32("clocks", &[PHANDLE_CLOCK, PHANDLE_CLOCK])?;
        self.fdt.property_string_list("clock-names", vec!["uartclk".into(), "apb_pclk".into()])?;
        self.fdt.end_node(node)
    }

    /// A node for each host; which of them a function is behind, its domain tells.
    fn pcie(&mut self) -> Result {
        for host in &self.vm.hosts {
            let Span { base, bytes } = host.ecam;
            let node = self.fdt.begin_node(&format!("pcie@{:x}", base.value()))?;
            self.fdt.property_string("compatible", "pci-host-ecam-generic")?;
            self.fdt.property_string("device_type", "pci")?;
            self.fdt.property_array_u64("reg", &[base.value(), bytes])?;
            self.fdt.property_u32("linux,pci-domain", host.host as u32)?;
            let buses = [host.first_bus, host.last_bus].map(u32::from);
            self.fdt.property_array_u32("bus-range", &buses)?;
            self.cells(3, 2)?;
            let mut ranges = Vec::new();
            for window in &host.windows {
                // phys.hi: 32-bit or 64-bit memory space, not prefetchable.
                let space: u32 = if window.wide { 0x0300_0000 } else { 0x0200_0000 };
                let words = [window.bus.0, window.base.value(), window.bytes];
                ranges.push(space);
                ranges.extend(words.iter().flat_map(|word| [(word >> 32) as u32, *word as u32]));
            }
            self.fdt.property_array_u32("ranges", &ranges)?;
            if self.system.board.pcie[host.host].coherent {
                self.fdt.property_null("dma-coherent")?;
            }
            if self.mmio(MmioKind::Its).is_some() {
                let map = host.msi_map.iter();
                let map: Vec<u32> = map
                    .flat_map(|range| [range.requester, PHANDLE_ITS, range.device_id, range.count])
                    .collect();
                self.fdt.property_array_u32("msi-map", &map)?;
            }
            self.fdt.end_node(node)?;
        }
        Ok(())
    }

    fn platform(&mut self) -> Result {
        for used in &self.system.vms[self.number].devices {
            let device = &self.system.board.devices[used.device.value];
            let DeviceKind::Platform { compatible, regions, intids, .. } = &device.kind else {
                continue;
            };
            let unit = regions.first().map_or(0, |region| region.start());
            let node = self.fdt.begin_node(&format!("{}@{unit:x}", device.name.value))?;
            let primecell = compatible.value.starts_with("arm,pl");
            if primecell {
                self.compatible(&[&compatible.value, "arm,primecell"])?;
                self.fdt.property_u32("clocks", PHANDLE_CLOCK)?;
                self.fdt.property_string("clock-names", "apb_pclk")?;
            } else {
                self.compatible(&[&compatible.value])?;
            }
            if device.dma && device.coherent {
                self.fdt.property_null("dma-coherent")?;
            }
            let reg: Vec<u64> =
                regions.iter().flat_map(|region| [region.start(), region.size.value]).collect();
            self.fdt.property_array_u64("reg", &reg)?;
            let interrupts: Vec<u32> = intids
                .iter()
                .flat_map(|irq| {
                    let level = irq.trigger == crate::model::Trigger::Level;
                    [SPI, irq.intid.value - 32, if level { LEVEL_HIGH } else { EDGE_RISING }]
                })
                .collect();
            if !interrupts.is_empty() {
                self.fdt.property_array_u32("interrupts", &interrupts)?;
            }
            self.fdt.end_node(node)?;
        }
        Ok(())
    }

    fn flashes(&mut self) -> Result {
        let pieces = self.vm.memory.clone();
        for piece in pieces.iter().filter(|piece| piece.role == MemoryRole::Flash) {
            let node = self.fdt.begin_node(&format!("flash@{:x}", piece.ipa.value()))?;
            self.fdt.property_string("compatible", "cfi-flash")?;
            self.fdt.property_array_u64("reg", &[piece.ipa.value(), piece.bytes])?;
            self.fdt.property_u32("bank-width", 4)?;
            self.fdt.end_node(node)?;
        }
        Ok(())
    }

    /// Linux takes the time from `timeout-sec`, and feeds twice in it.
    fn watchdog(&mut self) -> Result {
        let Some(watchdog) = self.vm.watchdog.clone() else { return Ok(()) };
        let base = watchdog.base.value();
        let node = self.fdt.begin_node(&format!("watchdog@{base:x}"))?;
        self.fdt.property_string("compatible", "arm,sbsa-gwdt")?;
        let frames = [base, base + watchdog::REFRESH];
        let reg: Vec<u64> = frames.into_iter().flat_map(|base| [base, watchdog::FRAME]).collect();
        self.fdt.property_array_u64("reg", &reg)?;
        self.fdt.property_array_u32("interrupts", &[SPI, watchdog.intid - 32, LEVEL_HIGH])?;
        let seconds = watchdog.microseconds / 1_000_000;
        if let Ok(seconds @ 1..) = u32::try_from(seconds) {
            self.fdt.property_u32("timeout-sec", seconds)?;
        }
        self.fdt.end_node(node)
    }

    /// What has no binding of its own: docs/guest-abi.md.
    fn bulkhead(&mut self) -> Result {
        let node = self.fdt.begin_node(tree::NODE)?;
        self.fdt.property_string("compatible", tree::SYSTEM_COMPATIBLE)?;
        self.fdt.property_string(tree::SYSTEM, &self.plan.system)?;
        self.fdt.property_string(tree::VM, &self.vm.name)?;
        if let Some(watchdog) = &self.vm.watchdog {
            self.fdt.property_u64(tree::WATCHDOG_US, watchdog.microseconds)?;
        }
        self.log()?;
        self.modes()?;
        self.events()?;
        self.channels()?;
        self.fdt.end_node(node)
    }

    fn log(&mut self) -> Result {
        let Some(GuestSpan { base, bytes }) = self.vm.log else { return Ok(()) };
        self.fdt.property_array_u64(tree::LOG, &[base.value(), bytes])
    }

    /// For the VM that may ask for them: names of the modes, by number.
    fn modes(&mut self) -> Result {
        match &self.plan.modes {
            Some(modes) if modes.asker == Some(VmIndex::at(self.number)) => {
                let names = modes.modes.iter().map(|mode| mode.name.clone()).collect();
                self.fdt.property_string_list(tree::MODES, names)
            }
            _ => Ok(()),
        }
    }

    fn events(&mut self) -> Result {
        let vpes = self.vm.first_vpe..self.vm.first_vpe + self.vm.vpe_count;
        let Some(its) = &self.plan.its else { return Ok(()) };
        let own =
            its.events.iter().filter(|event| !event.ring && vpes.contains(&event.vpe.value()));
        let own: Vec<_> = own.cloned().collect();
        if own.is_empty() {
            return Ok(());
        }
        // GITS_TRANSLATER, in the frame after the control frame (IHI 0069, 12.19).
        self.fdt.property_u64(tree::ITS_TRANSLATER, its.base.value() + FRAME + 0x40)?;
        let events = self.fdt.begin_node(tree::EVENTS)?;
        self.cells(1, 0)?;
        for (n, event) in own.iter().enumerate() {
            let node = self.fdt.begin_node(&format!("{}@{n:x}", tree::EVENT))?;
            self.fdt.property_u32("reg", n as u32)?;
            self.fdt.property_u32(tree::DEVICE_ID, event.device)?;
            self.fdt.property_u32(tree::EVENT_ID, event.event)?;
            self.fdt.property_u32(tree::VINTID, event.vintid)?;
            self.fdt.property_u32(tree::VPE, u32::from(event.vpe.value() - self.vm.first_vpe))?;
            self.fdt.property_string(tree::DEVICE, &event.source)?;
            let mut functions = self.plan.vm_functions(self.vm).iter();
            if let Some(function) = functions.find(|function| function.name == event.source) {
                self.fdt.property_u32(tree::PCI_DOMAIN, function.host as u32)?;
                self.fdt.property_u32(tree::REQUESTER_ID, function.bdf.into())?;
            }
            self.fdt.end_node(node)?;
        }
        self.fdt.end_node(events)
    }

    fn channels(&mut self) -> Result {
        let ends = self.plan.vm_channel_ends(self.vm).to_vec();
        if ends.is_empty() {
            return Ok(());
        }
        let channels = self.fdt.begin_node(tree::CHANNELS)?;
        self.cells(2, 2)?;
        for (index, end) in ends.iter().enumerate() {
            let node = self.fdt.begin_node(&format!("{}@{index:x}", tree::CHANNEL))?;
            self.fdt.property_string("compatible", tree::CHANNEL_COMPATIBLE)?;
            self.fdt.property_string(tree::CHANNEL_NAME, &end.name)?;
            self.fdt.property_array_u64("reg", &[end.ipa.value(), end.bytes])?;
            self.fdt.property_u32(tree::INDEX, index as u32)?;
            self.fdt.property_u32(tree::VINTID, end.vintid)?;
            self.fdt.property_string(tree::ROLE, end.role)?;
            self.fdt.property_u32("memory-region", PHANDLE_CHANNEL + index as u32)?;
            if !end.writable {
                self.fdt.property_null("read-only")?;
            }
            self.fdt.end_node(node)?;
        }
        self.fdt.end_node(channels)
    }
}
