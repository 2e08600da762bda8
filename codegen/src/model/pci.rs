// SPDX-License-Identifier: Apache-2.0 OR MIT
//! PCI: host bridges, bridges behind them, and where functions are.
//!
//! A host has buses, configuration space, windows and DeviceIDs of its own; a function is told by
//! its host and its [`Bdf`]. Bus numbers of two hosts may be the same.

use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};

use super::{At, Board, DeviceKind, Pin, Region, Vm};

/// A PCIe controller without an ECAM.
#[derive(Clone, Debug)]
pub struct Controller {
    pub name: At<String>,
    /// What it is, by the first `compatible` of its node.
    pub compatible: String,
}

/// A PCIe host bridge with ECAM.
#[derive(Clone, Debug)]
pub struct Pcie {
    pub name: At<String>,
    /// Configuration space: its first megabyte is the first bus's.
    pub ecam: Region,
    pub first_bus: At<u8>,
    pub last_bus: At<u8>,
    /// Memory below 4 GiB on the bus, for BARs.
    pub window32: Option<Window>,
    /// Memory above 4 GiB on the bus, for 64-bit BARs.
    pub window64: Option<Window>,
    /// INTIDs of INTA..INTD of device 0, rotated by the device number; four or none.
    pub intx: Vec<At<u32>>,
    /// DeviceID of device 0, function 0 on the first bus; those of other functions follow as their
    /// RequesterIDs do.
    pub device_id_base: At<u32>,
    /// DMA behind it is coherent with the CPUs' caches.
    pub coherent: bool,
    /// Index into `Board::smmus`. None: its functions reach all memory.
    pub smmu: Option<At<usize>>,
    /// Index into `Board::iommus`: what it has instead.
    pub iommu: Option<At<usize>>,
    /// StreamID of device 0, function 0 on the first bus; those of other functions follow as their
    /// RequesterIDs do.
    pub stream_id_base: At<u32>,
}

/// Memory that a host passes on to its buses.
#[derive(Clone, Debug)]
pub struct Window {
    /// Where CPUs have it.
    pub region: Region,
    /// First address on the bus.
    pub bus: At<u64>,
}

impl Window {
    /// Addresses on the bus.
    pub fn on_bus(&self) -> Range<u64> {
        self.bus.value..self.bus.value.saturating_add(self.region.size.value)
    }

    /// Where CPUs have an address of the bus.
    pub fn cpu(&self, bus: u64) -> u64 {
        self.region.start().wrapping_add(bus.wrapping_sub(self.bus.value))
    }
}

impl Pcie {
    pub fn windows(&self) -> impl Iterator<Item = &Window> {
        self.window32.iter().chain(&self.window64)
    }

    /// Where CPUs have an address of the bus that is in a window.
    pub fn cpu(&self, bus: u64) -> u64 {
        let mut windows = self.windows();
        windows.find(|window| window.on_bus().contains(&bus)).map_or(bus, |window| window.cpu(bus))
    }

    pub fn buses(&self) -> RangeInclusive<u8> {
        self.first_bus.value..=self.last_bus.value
    }

    /// DeviceIDs of all functions that there can be behind it.
    pub fn device_ids(&self) -> Range<u64> {
        let first = u64::from(self.device_id_base.value);
        first..first + ((self.buses().len() as u64) << 8)
    }

    /// DeviceID of the function at `address`, which is on one of its buses.
    pub fn device_id(&self, address: Bdf) -> u32 {
        self.device_id_base.value.wrapping_add(self.place(address))
    }

    /// StreamID of the function at `address`, which is on one of its buses.
    pub fn stream_id(&self, address: Bdf) -> u32 {
        self.stream_id_base.value.wrapping_add(self.place(address))
    }

    /// Address of its configuration space.
    pub fn config(&self, address: Bdf) -> u64 {
        self.ecam.start().wrapping_add(u64::from(self.place(address)) << 12)
    }

    /// Its position among all functions from the first bus on.
    fn place(&self, address: Bdf) -> u32 {
        u32::from(address.requester()).wrapping_sub(u32::from(self.first_bus.value) << 8)
    }
}

/// A PCI bridge: a root port, a port of a switch.
#[derive(Clone, Debug)]
pub struct Bridge {
    pub name: At<String>,
    /// Index into `Board::pcie`.
    pub host: At<usize>,
    pub address: At<Bdf>,
    /// What offset 0 of its configuration space must read.
    pub id: At<PciId>,
    /// The bus right behind it.
    pub secondary: At<u8>,
    /// The last bus behind it.
    pub subordinate: At<u8>,
    /// Functions behind it have one RequesterID.
    pub conventional: bool,
    /// Nothing from behind this port reaches what is behind another one but by the host.
    pub acs: bool,
    /// Its own BARs, 0 and 1.
    pub bars: Vec<Bar>,
    /// QEMU arguments that make it.
    pub qemu: Vec<String>,
}

/// Bus, device and function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bdf {
    pub bus: u8,
    /// 0..=31.
    pub device: u8,
    /// 0..=7.
    pub function: u8,
}

impl Bdf {
    /// Requester ID: bus 15:8, device 7:3, function 2:0.
    pub const fn requester(self) -> u16 {
        (self.bus as u16) << 8 | (self.device as u16) << 3 | self.function as u16
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciId {
    pub vendor: u16,
    pub device: u16,
}

/// A memory BAR. The plan places it.
#[derive(Clone, Debug)]
pub struct Bar {
    /// 0..=5; a wide one takes `index` and `index + 1`.
    pub index: At<u8>,
    /// Bytes, a power of two.
    pub size: At<u64>,
    /// 64-bit.
    pub wide: bool,
    pub prefetchable: bool,
}

/// Where a function has its MSI-X table.
#[derive(Clone, Debug)]
pub struct Msix {
    pub vectors: At<u32>,
    pub bar: At<u8>,
    /// Offset in the BAR.
    pub table: At<u32>,
    /// Other registers share its pages, so that the guest has it directly. Where the TOML says so.
    pub trusted: Option<At<bool>>,
}

impl Msix {
    /// Bytes of an entry.
    pub const ENTRY: u64 = 16;

    pub fn is_trusted(&self) -> bool {
        self.trusted.as_ref().is_some_and(|trusted| trusted.value)
    }

    /// The table's end in the BAR.
    pub fn end(&self) -> u64 {
        u64::from(self.table.value) + Self::ENTRY * u64::from(self.vectors.value)
    }
}

/// A pin of the host's own bus, and the SPI that it is.
#[derive(Clone, Copy, Debug)]
pub struct Intx<'a> {
    /// Number of the device on that bus: the function's own, or of the bridge that it is behind.
    pub device: u8,
    /// 0 for INTA.
    pub pin: u8,
    pub intid: &'a At<u32>,
}

/// How pins rotate with the device number, behind a bridge and at a host (PCI-to-PCI Bridge 1.2,
/// 9.1).
const PINS: u8 = 4;

impl Board {
    /// The SPI of a function's pin, whether a VM uses it or not. None: the host has none.
    pub fn pin(&self, host: usize, address: Bdf, pin: Pin) -> Option<Intx<'_>> {
        let way = self.way(host, address.bus)?;
        let (mut device, mut pin) = (address.device, pin as u8);
        for bridge in way.iter().rev().map(|&index| &self.bridges[index]) {
            pin = (pin + device) % PINS;
            device = bridge.address.device;
        }
        let lines = &self.pcie.get(host)?.intx;
        Some(Intx { device, pin, intid: lines.get(usize::from((pin + device) % PINS))? })
    }

    /// The SPI by which a PCI function of `vm` signals. None: it signals by events, or is polled.
    pub fn intx(&self, vm: &Vm, device: usize) -> Option<Intx<'_>> {
        let described = self.devices.get(device)?;
        let DeviceKind::Pci { host, address, pin, .. } = &described.kind else { return None };
        let named = |list: &[At<usize>]| list.iter().any(|one| one.value == device);
        let wanted = named(&vm.intx) || described.events.value == 0 && !named(&vm.polled);
        self.pin(host.value, address.value, pin.as_ref().filter(|_| wanted)?.value)
    }

    /// The bridges between a host and a bus, the host's first, as indices into `bridges`. None:
    /// none lead there.
    pub fn way(&self, host: usize, bus: u8) -> Option<Vec<usize>> {
        let first = self.pcie.get(host)?.first_bus.value;
        let (mut way, mut bus) = (Vec::new(), bus);
        while bus != first {
            let leads =
                |bridge: &Bridge| bridge.host.value == host && bridge.secondary.value == bus;
            let index = self.bridges.iter().position(leads)?;
            if way.contains(&index) {
                return None;
            }
            way.insert(0, index);
            bus = self.bridges[index].address.bus;
        }
        Some(way)
    }

    /// What stands as the RequesterID in accesses to memory of the function at `address`: its own,
    /// or what the first bridge to conventional PCI on its way puts there (PCI Express to PCI/PCI-X
    /// Bridge 1.0, 2.3).
    pub fn requester(&self, host: usize, address: Bdf) -> Bdf {
        let way = self.way(host, address.bus).unwrap_or_default();
        let mut bridges = way.iter().map(|&index| &self.bridges[index]);
        match bridges.find(|bridge| bridge.conventional) {
            Some(bridge) => Bdf { bus: bridge.secondary.value, device: 0, function: 0 },
            None => address,
        }
    }

    /// The buses of a host that `vm` needs to find its functions there. None: it has none.
    pub fn buses_of(&self, vm: &Vm, host: usize) -> Option<RangeInclusive<u8>> {
        let functions =
            vm.devices.iter().filter_map(|used| match &self.devices.get(used.device.value)?.kind {
                DeviceKind::Pci { host: on, address, .. } if on.value == host => Some(address.bus),
                _ => None,
            });
        let bridges = self.bridges_of(vm).into_iter().map(|index| &self.bridges[index]);
        let behind = bridges
            .filter(|bridge| bridge.host.value == host)
            .map(|bridge| bridge.subordinate.value);
        let last = functions.chain(behind).max()?;
        Some(self.pcie.get(host)?.first_bus.value..=last)
    }

    /// The bridges that `vm` needs to find its functions, as indices into `bridges`: those on the
    /// way, and function 0 beside each, without which nobody looks for the others of a device (PCI
    /// 3.0, 3.2.2.3.4).
    pub fn bridges_of(&self, vm: &Vm) -> BTreeSet<usize> {
        let mut out = BTreeSet::new();
        for used in &vm.devices {
            let Some(device) = self.devices.get(used.device.value) else { continue };
            if let DeviceKind::Pci { host, address, .. } = &device.kind {
                out.extend(self.way(host.value, address.bus).unwrap_or_default());
            }
        }
        for (index, bridge) in self.bridges.iter().enumerate() {
            let place =
                |other: &Bridge| (other.host.value, other.address.bus, other.address.device);
            let beside = |&other: &usize| place(&self.bridges[other]) == place(bridge);
            if bridge.address.function == 0 && out.iter().any(beside) {
                out.insert(index);
            }
        }
        out
    }
}
