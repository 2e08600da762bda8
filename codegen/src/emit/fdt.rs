// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A VM's device tree, as docs/guest-abi.md describes it.
//!
//! Bindings are those of the devicetree specification 0.4 and of Linux for `arm,gic-v3`,
//! `arm,pl011`, `arm,armv8-timer`, `arm,psci` and `pci-host-ecam-generic`. Addresses and sizes have
//! two cells everywhere but in /cpus and on PCI.

mod node;
pub(crate) mod platform;

use std::collections::BTreeSet;

use abi::tree;
use dtoolkit::model::{DeviceTree, DeviceTreeNode};

use crate::model::{MemoryRole, System};
use crate::plan::{
    ChannelEnd, EventRoute, Features, GuestSpan, Mapping, MmioKind, PciHost, Plan, Span, Vm,
    VmIndex, watchdog,
};
use node::{Node, Result, all};

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

/// The blob of VM number `vm`.
pub fn tree(system: &System, plan: &Plan, vm: usize) -> Result<Vec<u8>> {
    let tree = Tree { system, plan, vm: &plan.vms[vm], number: vm };
    let mut whole = DeviceTree::new();
    whole.root = tree.root()?.done();
    Ok(whole.to_dtb())
}

struct Tree<'a> {
    system: &'a System,
    plan: &'a Plan,
    vm: &'a Vm,
    number: usize,
}

impl Tree<'_> {
    fn root(&self) -> Result {
        let (platform, beside) = self.platform()?;
        let root = Node::new("")?
            .cells(2, 2)
            .with("compatible", tree::VM_COMPATIBLE)
            .with("model", format!("{}/{}", self.plan.system, self.vm.name))
            .with("interrupt-parent", PHANDLE_GIC)
            .child(self.chosen()?)
            .children(self.memory()?)
            .children(self.reserved()?)
            .child(self.cpus()?)
            .child(psci()?)
            .child(self.timer()?)
            .child(self.gic()?)
            .children(self.pmu()?)
            .child(clock()?)
            .children(self.uart()?)
            .children(self.flashes()?)
            .children(self.watchdog()?)
            .children(all(&self.vm.hosts, |host| self.pcie(host))?)
            .children(platform)
            .copied(Vec::new(), beside)
            .child(self.bulkhead()?);
        Ok(root)
    }

    fn mmio(&self, kind: MmioKind) -> Option<[u64; 2]> {
        let region = self.vm.mmio.iter().find(|region| region.kind == kind)?;
        Some([region.base.value(), region.bytes])
    }

    fn chosen(&self) -> Result {
        let mut node = Node::new("chosen")?;
        if let Some(arguments) = &self.vm.arguments {
            node = node.with("bootargs", arguments);
        }
        if !self.vm.hosts.is_empty() {
            // BARs stay where the plan put them; Linux would place them anew.
            node = node.with("linux,pci-probe-only", 1u32);
        }
        if let Some([base, _]) = self.mmio(MmioKind::Uart) {
            node = node.with("stdout-path", format!("/pl011@{base:x}"));
        }
        if let Some(GuestSpan { base, bytes }) = self.vm.initrd {
            node = node
                .with("linux,initrd-start", base.value())
                .with("linux,initrd-end", base.value() + bytes);
        }
        Ok(node)
    }

    /// RAM alone. The TOML's first piece first: some guests (U-Boot) live in that one and add the
    /// others later.
    fn memory(&self) -> Result<Vec<Node>> {
        let mut pieces = self.vm.memory.clone();
        pieces[..=self.vm.main_memory].rotate_right(1);
        all(pieces.iter().filter(|piece| piece.role == MemoryRole::Ram), |piece| {
            let node = Node::at("memory", piece.ipa.value())?.with("device_type", "memory");
            Ok(node.reg(&[piece.ipa.value(), piece.bytes]))
        })
    }

    /// Channels, for a guest whose drivers ask for such memory: no RAM of the guest's, and not to
    /// be mapped as RAM.
    fn reserved(&self) -> Result<Option<Node>> {
        self.of_channels(
            "reserved-memory",
            |node| node.flag("ranges"),
            |index, end| {
                let node = Node::at("channel", end.ipa.value())?
                    .reg(&[end.ipa.value(), end.bytes])
                    .flag("no-map");
                Ok(node.with("phandle", PHANDLE_CHANNEL + index))
            },
        )
    }

    /// A node with one for each end of a channel; none without channels.
    fn of_channels(
        &self,
        name: &str,
        complete: impl Fn(Node) -> Node,
        child: impl Fn(u32, &ChannelEnd) -> Result,
    ) -> Result<Option<Node>> {
        let ends = self.plan.vm_channel_ends(self.vm);
        if ends.is_empty() {
            return Ok(None);
        }
        let nodes = all((0..).zip(ends), |(index, end)| child(index, end))?;
        Ok(Some(complete(Node::new(name)?.cells(2, 2)).children(nodes)))
    }

    fn cpus(&self) -> Result {
        let cpus = all((0..u32::from(self.vm.vpe_count)).map(affinity), |affinity| {
            Ok(Node::at("cpu", affinity.into())?
                .with("device_type", "cpu")
                .with("compatible", "arm,armv8")
                .with("enable-method", "psci")
                .with("reg", affinity))
        })?;
        Ok(Node::new("cpus")?.cells(1, 0).children(cpus))
    }

    /// Guests count the places of the binding: secure, physical, virtual. `interrupt-names` would
    /// do without the first, but not every guest reads them, and UEFI firmware insists on three or
    /// four places with different interrupts. So the secure timer's holds a PPI that nothing has.
    fn timer(&self) -> Result {
        let interrupts = self.timer_ppis().map(|intid| [PPI, intid - PPIS.start, LEVEL_HIGH]);
        Ok(Node::new("timer")?
            .with("compatible", "arm,armv8-timer")
            .with("interrupts", interrupts.as_flattened())
            .flag("always-on"))
    }

    fn timer_ppis(&self) -> [u32; 3] {
        let timer = &self.plan.board.timer;
        let [virtual_ppi, physical_ppi] = [timer.virtual_ppi, timer.physical_ppi].map(u32::from);
        let known = [
            virtual_ppi,
            physical_ppi,
            u32::from(timer.hypervisor_ppi),
            u32::from(timer.maintenance_ppi),
            self.system.board.pmu_ppi.as_ref().map_or(0, |ppi| ppi.value),
        ];
        let nobodys = PPIS.into_iter().find(|intid| !known.contains(intid));
        [nobodys.unwrap_or(PPIS.start), physical_ppi, virtual_ppi]
    }

    fn gic(&self) -> Result {
        let frames = [self.mmio(MmioKind::Distributor), self.mmio(MmioKind::Redistributors)];
        let reg: Vec<u64> = frames.into_iter().flatten().flatten().collect();
        let its = self.mmio(MmioKind::Its).map(|[base, _]| {
            Ok(Node::at("msi-controller", base)?
                .with("compatible", "arm,gic-v3-its")
                .reg(&[base, 2 * FRAME])
                .flag("msi-controller")
                .with("#msi-cells", 1u32)
                .with("phandle", PHANDLE_ITS))
        });
        Ok(Node::at("interrupt-controller", self.plan.board.distributor.value())?
            .with("compatible", "arm,gic-v3")
            .reg(&reg)
            .flag("interrupt-controller")
            .with("#interrupt-cells", 3u32)
            .cells(2, 2)
            .flag("ranges")
            .with("phandle", PHANDLE_GIC)
            .children(its.transpose()?))
    }

    /// Counters, if the VM has them, with their interrupt if the board has it.
    fn pmu(&self) -> Result<Option<Node>> {
        if !self.vm.features.has(Features::PMU) {
            return Ok(None);
        }
        let node = Node::new("pmu")?.with("compatible", "arm,armv8-pmuv3");
        Ok(Some(match self.vm.pmu_ppi {
            Some(intid) => {
                node.with("interrupts", [PPI, u32::from(intid) - PPIS.start, LEVEL_HIGH])
            }
            None => node,
        }))
    }

    fn uart(&self) -> Result<Option<Node>> {
        let Some(frame) = self.mmio(MmioKind::Uart) else { return Ok(None) };
        let mut node = Node::at("pl011", frame[0])?
            .strings("compatible", ["arm,pl011", "arm,primecell"])
            .reg(&frame);
        if let Some(intid) = self.vm.uart_intid {
            node = node.with("interrupts", [SPI, intid - 32, LEVEL_HIGH]);
        }
        node = node.with("clocks", [PHANDLE_CLOCK, PHANDLE_CLOCK]);
        Ok(Some(node.strings("clock-names", ["uartclk", "apb_pclk"])))
    }

    /// A node for each host; which of them a function is behind, its domain tells.
    fn pcie(&self, host: &PciHost) -> Result {
        let Span { base, bytes } = host.ecam;
        let ranges = host.windows.iter().flat_map(|window| {
            // phys.hi: 32-bit or 64-bit memory space, not prefetchable.
            let space: u32 = if window.wide { 0x0300_0000 } else { 0x0200_0000 };
            let words = [window.bus.0, window.base.value(), window.bytes];
            let words = words.into_iter().flat_map(|word| [(word >> 32) as u32, word as u32]);
            [space].into_iter().chain(words)
        });
        let mut node = Node::at("pcie", base.value())?
            .with("compatible", "pci-host-ecam-generic")
            .with("device_type", "pci")
            .reg(&[base.value(), bytes])
            .with("linux,pci-domain", host.host as u32)
            .with("bus-range", [host.first_bus, host.last_bus].map(u32::from))
            .cells(3, 2)
            .with("ranges", &ranges.collect::<Vec<_>>()[..]);
        if self.system.board.pcie[host.host].coherent {
            node = node.flag("dma-coherent");
        }
        if self.mmio(MmioKind::Its).is_some() {
            let map = host.msi_map.iter();
            let map =
                map.flat_map(|range| [range.requester, PHANDLE_ITS, range.device_id, range.count]);
            node = node.with("msi-map", &map.collect::<Vec<_>>()[..]);
        }
        Ok(self.interrupt_map(node, host))
    }

    /// Pins of the host's own bus, by device and pin; drivers rotate those behind bridges.
    fn interrupt_map(&self, node: Node, host: &PciHost) -> Node {
        let functions = self.plan.vm_functions(self.vm).iter();
        let own = functions.filter(|function| function.space.host == host.host);
        let pins: BTreeSet<_> = own.filter_map(|function| function.intx).collect();
        if pins.is_empty() {
            return node;
        }
        // Address (3 cells) and pin here; controller, its address (2) and its specifier (3).
        let map = pins.iter().flat_map(|intx| {
            let (device, pin) = (u32::from(intx.device) << 11, u32::from(intx.pin));
            [device, 0, 0, pin, PHANDLE_GIC, 0, 0, SPI, intx.intid - 32, LEVEL_HIGH]
        });
        node.with("#interrupt-cells", 1u32)
            .with("interrupt-map-mask", [0xf800, 0, 0, 7u32])
            .with("interrupt-map", &map.collect::<Vec<_>>()[..])
    }

    fn platform(&self) -> Result<(Vec<Node>, Vec<DeviceTreeNode>)> {
        let board = &self.system.board;
        let used = self.system.vms[self.number].devices.iter();
        let devices: Vec<_> = used.map(|used| &board.devices[used.device.value]).collect();
        platform::nodes(board, &devices)
    }

    fn flashes(&self) -> Result<Vec<Node>> {
        let flash = |piece: &&Mapping| piece.role == MemoryRole::Flash;
        all(self.vm.memory.iter().filter(flash), |piece| {
            Ok(Node::at("flash", piece.ipa.value())?
                .with("compatible", "cfi-flash")
                .reg(&[piece.ipa.value(), piece.bytes])
                .with("bank-width", 4u32))
        })
    }

    /// Linux takes the time from `timeout-sec`, and feeds twice in it.
    fn watchdog(&self) -> Result<Option<Node>> {
        let Some(watchdog) = &self.vm.watchdog else { return Ok(None) };
        let base = watchdog.base.value();
        let mut node = Node::at("watchdog", base)?
            .with("compatible", "arm,sbsa-gwdt")
            .reg(&[base, watchdog::FRAME, base + watchdog::REFRESH, watchdog::FRAME])
            .with("interrupts", [SPI, watchdog.intid - 32, LEVEL_HIGH]);
        let seconds = watchdog.microseconds / 1_000_000;
        if let Ok(seconds @ 1..) = u32::try_from(seconds) {
            node = node.with("timeout-sec", seconds);
        }
        Ok(Some(node))
    }

    /// What has no binding of its own: docs/guest-abi.md.
    fn bulkhead(&self) -> Result {
        let mut node = Node::new(tree::NODE)?
            .with("compatible", tree::SYSTEM_COMPATIBLE)
            .with(tree::SYSTEM, &self.plan.system)
            .with(tree::VM, &self.vm.name);
        if let Some(watchdog) = &self.vm.watchdog {
            node = node.with(tree::WATCHDOG_US, watchdog.microseconds);
        }
        if let Some(GuestSpan { base, bytes }) = self.vm.log {
            node = node.doublewords(tree::LOG, &[base.value(), bytes]);
        }
        // For the VM that may ask for them: names of the modes, by number.
        if let Some(modes) = &self.plan.modes
            && modes.asker == Some(VmIndex::at(self.number))
        {
            node = node.strings(tree::MODES, modes.modes.iter().map(|mode| mode.name.as_str()));
        }
        let own = self.own_events();
        if let (Some(its), false) = (&self.plan.its, own.is_empty()) {
            // GITS_TRANSLATER, in the frame after the control frame (IHI 0069, 12.19).
            let translater = its.base.value() + FRAME + 0x40;
            let events = all((0..).zip(own), |(n, event)| self.event(n, event))?;
            node = node
                .with(tree::ITS_TRANSLATER, translater)
                .child(Node::new(tree::EVENTS)?.cells(1, 0).children(events));
        }
        Ok(node.children(self.of_channels(tree::CHANNELS, |node| node, channel)?))
    }

    fn own_events(&self) -> Vec<&EventRoute> {
        let vpes = self.vm.first_vpe..self.vm.first_vpe + self.vm.vpe_count;
        let events = self.plan.events.iter();
        events.filter(|event| !event.ring && vpes.contains(&event.vpe.value())).collect()
    }

    fn event(&self, number: u32, event: &EventRoute) -> Result {
        let mut node = Node::at(tree::EVENT, number.into())?
            .with("reg", number)
            .with(tree::DEVICE_ID, event.device)
            .with(tree::EVENT_ID, event.event)
            .with(tree::VINTID, event.vintid)
            .with(tree::VPE, u32::from(event.vpe.value() - self.vm.first_vpe))
            .with(tree::DEVICE, &event.source);
        let mut functions = self.plan.vm_functions(self.vm).iter();
        if let Some(function) = functions.find(|function| function.name == event.source) {
            node = node
                .with(tree::PCI_DOMAIN, function.space.host as u32)
                .with(tree::REQUESTER_ID, u32::from(function.space.bdf));
        }
        Ok(node)
    }
}

fn psci() -> Result {
    let node = Node::new("psci")?.strings("compatible", ["arm,psci-1.0", "arm,psci-0.2"]);
    Ok(node.with("method", "hvc"))
}

/// The clock that PrimeCell bindings insist on.
fn clock() -> Result {
    Ok(Node::new("apb-pclk")?
        .with("compatible", "fixed-clock")
        .with("#clock-cells", 0u32)
        .with("clock-frequency", 24_000_000u32)
        .with("clock-output-names", "clk24mhz")
        .with("phandle", PHANDLE_CLOCK))
}

fn channel(index: u32, end: &ChannelEnd) -> Result {
    let node = Node::at(tree::CHANNEL, index.into())?
        .with("compatible", tree::CHANNEL_COMPATIBLE)
        .with(tree::CHANNEL_NAME, &end.name)
        .reg(&[end.ipa.value(), end.bytes])
        .with(tree::INDEX, index)
        .with(tree::VINTID, end.vintid)
        .with(tree::ROLE, end.role)
        .with("memory-region", PHANDLE_CHANNEL + index);
    Ok(if end.writable { node } else { node.flag("read-only") })
}
