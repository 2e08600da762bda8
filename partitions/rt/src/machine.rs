// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the device tree says this VM has.
//!
//! Looked up where it is needed, never copied: the tree stays in memory, untouched.
//! docs/guest-abi.md lists the nodes. A tree of a bare board serves as well; then there is no
//! `/bulkhead` and there are no events and channels.

use abi::tree;
use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::standard::NodeStandard;
use dtoolkit::{Node, Property};
use spin::Once;

use crate::host::Host;
use crate::pci::Address;
use crate::start;

static MACHINE: Once<Machine> = Once::new();

/// The VM as its device tree describes it.
#[derive(Debug)]
pub struct Machine {
    tree: Fdt<'static>,
    entered: u64,
}

/// A range of guest physical addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    pub base: u64,
    pub bytes: u64,
}

/// A device's event and the interrupt it becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// DeviceID.
    pub device_id: u32,
    /// EventID: what the device writes as MSI data.
    pub event_id: u32,
    pub vintid: u32,
    /// vPE that takes it.
    pub vpe: u32,
    /// The board's name of the device.
    pub device: &'static str,
    /// Where the device is, if it is a PCI function.
    pub function: Option<Address>,
}

/// Which end of a channel this VM holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    First,
    Second,
}

/// This VM's end of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelEnd {
    pub name: &'static str,
    /// RING's argument.
    pub index: u32,
    pub memory: Region,
    /// Interrupt by which the peer rings.
    pub vintid: u32,
    pub role: Role,
}

/// Makes `machine` the one that `Machine::get` gives.
pub(crate) fn install(machine: Machine) -> &'static Machine {
    MACHINE.call_once(|| machine)
}

impl Region {
    /// One past the last byte.
    pub fn end(self) -> u64 {
        self.base.wrapping_add(self.bytes)
    }
}

impl Machine {
    /// # Safety
    /// `tree` points to a device tree that stays as it is for ever.
    pub(crate) unsafe fn new(tree: *const u8, entered: u64) -> Self {
        // SAFETY: the caller's promise is what this asks for.
        let tree = unsafe { Fdt::from_raw_unchecked(tree) };
        Self { tree, entered }
    }

    /// The one this partition runs on. None: before start-up is done.
    pub fn get() -> Option<&'static Machine> {
        MACHINE.get()
    }

    /// CNTVCT_EL0 as the partition's first instruction read it.
    pub fn entered(&self) -> u64 {
        self.entered
    }

    /// The VM's name in the system TOML.
    pub fn name(&self) -> &'static str {
        self.bulkhead().and_then(|node| text(&node, tree::VM)).unwrap_or("bare")
    }

    /// The system's name.
    pub fn system(&self) -> &'static str {
        self.bulkhead().and_then(|node| text(&node, tree::SYSTEM)).unwrap_or("bare")
    }

    /// A Bulkhead is underneath, so its hypercalls are there.
    pub fn has_hypervisor(&self) -> bool {
        self.bulkhead().is_some()
    }

    pub fn memory(&self) -> impl Iterator<Item = Region> + '_ {
        self.root()
            .children()
            .filter(|node| node.name_without_address() == "memory")
            .flat_map(regions)
    }

    /// Number of vPEs.
    pub fn vpes(&self) -> u32 {
        let cpus = self.tree.find_node("/cpus");
        cpus.map_or(1, |cpus| {
            cpus.children().filter(|node| node.name_without_address() == "cpu").count() as u32
        })
    }

    /// GICD and the first of the redistributor regions.
    pub fn gic(&self) -> Option<(Region, Region)> {
        let node = self.compatible("arm,gic-v3")?;
        let mut frames = regions(node);
        Some((frames.next()?, frames.next()?))
    }

    /// The ITS's control frame.
    pub fn its(&self) -> Option<Region> {
        let gic = self.compatible("arm,gic-v3")?;
        let its = gic.children().find(|node| node.is_compatible("arm,gic-v3-its"))?;
        regions(its).next()
    }

    /// The console.
    pub fn uart(&self) -> Option<Region> {
        regions(self.compatible("arm,pl011")?).next()
    }

    /// The hypervisor's log, on a board without a console.
    pub fn log(&self) -> Option<Region> {
        let log = self.bulkhead()?.property(tree::LOG)?.value_as::<&'static [u8]>().ok()?;
        Some(Region { base: wide(log, 0)?, bytes: wide(log, 2)? })
    }

    /// PCIe host bridges.
    pub fn hosts(&self) -> impl Iterator<Item = Host> + '_ {
        let nodes = self.root().children();
        let hosts = nodes.filter(|node| node.is_compatible("pci-host-ecam-generic"));
        hosts.zip(0..).filter_map(|(node, position)| Host::new(node, position))
    }

    /// Registers and first interrupt of a platform device.
    pub fn device(&self, compatible: &str) -> Option<(Region, Option<u32>)> {
        let node = self.compatible(compatible)?;
        Some((regions(node).next()?, interrupt(&node, 0)))
    }

    /// Region `number` of a platform device.
    pub fn device_region(&self, compatible: &str, number: usize) -> Option<Region> {
        regions(self.compatible(compatible)?).nth(number)
    }

    /// INTID of interrupt `number` of a platform device.
    pub fn device_interrupt(&self, compatible: &str, number: usize) -> Option<u32> {
        interrupt(&self.compatible(compatible)?, number)
    }

    /// Control frame, refresh frame and first signal's INTID of the VM's watchdog.
    pub fn watchdog(&self) -> Option<(Region, Region, u32)> {
        let node = self.compatible("arm,sbsa-gwdt")?;
        let mut frames = regions(node);
        Some((frames.next()?, frames.next()?, interrupt(&node, 0)?))
    }

    /// INTID of the virtual timer.
    pub fn timer_intid(&self) -> u32 {
        let timer = self.compatible("arm,armv8-timer");
        timer.and_then(|node| interrupt(&node, 2)).unwrap_or(27)
    }

    /// INTID of the physical timer.
    pub fn physical_timer_intid(&self) -> Option<u32> {
        interrupt(&self.compatible("arm,armv8-timer")?, 1)
    }

    /// INTID of the performance monitors' interrupt, if the VM has it.
    pub fn pmu_intid(&self) -> Option<u32> {
        interrupt(&self.compatible("arm,armv8-pmuv3")?, 0)
    }

    /// Where a device writes its MSIs.
    pub fn its_translater(&self) -> Option<u64> {
        number(&self.bulkhead()?, tree::ITS_TRANSLATER)
    }

    pub fn events(&self) -> impl Iterator<Item = Event> + '_ {
        let nodes = self.below(tree::EVENTS);
        nodes.filter_map(|node| {
            Some(Event {
                device_id: number(&node, tree::DEVICE_ID)? as u32,
                event_id: number(&node, tree::EVENT_ID)? as u32,
                vintid: number(&node, tree::VINTID)? as u32,
                vpe: number(&node, tree::VPE).unwrap_or(0) as u32,
                device: text(&node, tree::DEVICE).unwrap_or(""),
                function: function(&node),
            })
        })
    }

    pub fn channels(&self) -> impl Iterator<Item = ChannelEnd> + '_ {
        let nodes = self.below(tree::CHANNELS);
        nodes.filter_map(|node| {
            let reg = node.property("reg")?.value_as::<&'static [u8]>().ok()?;
            Some(ChannelEnd {
                name: text(&node, tree::CHANNEL_NAME).unwrap_or(""),
                index: number(&node, tree::INDEX)? as u32,
                memory: Region { base: wide(reg, 0)?, bytes: wide(reg, 2)? },
                vintid: number(&node, tree::VINTID)? as u32,
                role: match text(&node, tree::ROLE)? {
                    tree::FIRST => Role::First,
                    tree::SECOND => Role::Second,
                    _ => return None,
                },
            })
        })
    }

    /// Value of `key=value` in the TOML's `arguments`.
    pub fn argument(&self, key: &str) -> Option<&'static str> {
        let arguments = self.tree.find_node("/chosen").and_then(|node| text(&node, "bootargs"))?;
        arguments.split_ascii_whitespace().find_map(|word| match word.split_once('=') {
            Some((name, value)) => (name == key).then_some(value),
            None => (word == key).then_some(""),
        })
    }

    /// The same as a number; 0x for hexadecimal, _ between digits.
    pub fn number(&self, key: &str) -> Option<u64> {
        crate::number::parse(self.argument(key)?)
    }

    /// Memory that neither image, device tree nor stacks lie in: the largest such piece, in whole
    /// pages.
    pub fn free_memory(&self) -> Region {
        let unused = self.unused_memory();
        match start::stacks(unused, self.vpes().saturating_sub(1)) {
            Some(stacks) => Region { bytes: stacks.base - unused.base, ..unused },
            None => unused,
        }
    }

    /// The same, stacks of the other vPEs included.
    pub(crate) fn unused_memory(&self) -> Region {
        let image = start::image();
        let data = self.tree.data();
        let tree = Region { base: data.as_ptr() as u64, bytes: data.len() as u64 };
        let starts = |memory: Region| [memory.base, image.end(), tree.end()];
        let ends = |memory: Region| [memory.end(), image.base, tree.base];
        let mut best = Region { base: 0, bytes: 0 };
        for memory in self.memory() {
            for start in starts(memory) {
                let base = start.next_multiple_of(4096);
                let end =
                    ends(memory).into_iter().filter(|end| *end >= start).min().unwrap_or(start)
                        & !4095;
                let inside = base >= memory.base && end <= memory.end();
                if inside && end.saturating_sub(base) > best.bytes {
                    best = Region { base, bytes: end - base };
                }
            }
        }
        best
    }

    fn root(&self) -> FdtNode<'static> {
        self.tree.root()
    }

    fn bulkhead(&self) -> Option<FdtNode<'static>> {
        self.root().children().find(|node| node.name_without_address() == tree::NODE)
    }

    /// The nodes below one of the hypervisor's.
    fn below(&self, name: &'static str) -> impl Iterator<Item = FdtNode<'static>> {
        let all = self.bulkhead().into_iter().flat_map(|node| node.children());
        all.filter(move |node| node.name_without_address() == name).flat_map(|node| node.children())
    }

    fn compatible(&self, compatible: &str) -> Option<FdtNode<'static>> {
        self.root().children().find(|node| node.is_compatible(compatible))
    }
}

pub(crate) fn regions(node: FdtNode<'static>) -> impl Iterator<Item = Region> + 'static {
    node.reg()
        .ok()
        .flatten()
        .into_iter()
        .flatten()
        .filter_map(|reg| Some(Region { base: reg.address().ok()?, bytes: reg.size().ok()? }))
}

fn text(node: &FdtNode<'static>, name: &str) -> Option<&'static str> {
    node.property(name)?.value_as::<&'static str>().ok()
}

fn function(event: &FdtNode<'static>) -> Option<Address> {
    let domain = number(event, tree::PCI_DOMAIN)? as u32;
    Some(Address { domain, bdf: number(event, tree::REQUESTER_ID)? as u16 })
}

/// A property of one cell or two.
pub(crate) fn number(node: &FdtNode<'static>, name: &str) -> Option<u64> {
    let value = node.property(name)?.value_as::<&'static [u8]>().ok()?;
    match value.len() {
        4 => cell(value, 0).map(u64::from),
        8 => wide(value, 0),
        _ => None,
    }
}

pub(crate) fn cell(value: &[u8], index: usize) -> Option<u32> {
    let bytes = value.get(index * 4..index * 4 + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

pub(crate) fn wide(value: &[u8], index: usize) -> Option<u64> {
    Some(u64::from(cell(value, index)?) << 32 | u64::from(cell(value, index + 1)?))
}

/// The n-th interrupt of a node, three cells each.
fn interrupt(node: &FdtNode<'static>, n: usize) -> Option<u32> {
    let value = node.property("interrupts")?.value_as::<&'static [u8]>().ok()?;
    intid(cell(value, n * 3)?, cell(value, n * 3 + 1)?)
}

/// INTID of a GICv3 interrupt specifier's first two cells.
pub(crate) fn intid(kind: u32, number: u32) -> Option<u32> {
    match kind {
        0 => Some(number + 32),
        1 => Some(number + 16),
        _ => None,
    }
}
