// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A PCI function of this VM: configuration, BARs, MSI and MSI-X (PCI Local Bus 3.0, 6.7 and 6.8).
//!
//! BARs are where the plan put them; nothing is assigned here. An event's MSI address is the ITS's
//! translation register and its data the EventID; the DeviceID follows from where the function is
//! (IHI 0069 5.1).
//!
//! 1. Find the function, by its address or by vendor and device.
//! 2. `enable`: memory space and bus mastering on, INTx off.
//! 3. `enable_msix` or `enable_msi` with the events of the device tree.

use crate::Machine;
use crate::host::Host;
use crate::mmio::Registers;

const ID: u64 = 0x00;
const COMMAND: u64 = 0x04;
const STATUS: u64 = 0x06;
const HEADER_TYPE: u64 = 0x0e;
const HEADER_BRIDGE: u8 = 1;
const BAR0: u64 = 0x10;
const SECONDARY_BUS: u64 = 0x19;
const SUBORDINATE_BUS: u64 = 0x1a;
const CAPABILITIES: u64 = 0x34;
const PIN: u64 = 0x3d;
/// INTA to INTD.
const PINS: u8 = 4;
const MEMORY_SPACE: u16 = 1 << 1;
const BUS_MASTER: u16 = 1 << 2;
const INTX_DISABLE: u16 = 1 << 10;
const HAS_CAPABILITIES: u16 = 1 << 4;
const CAPABILITY_MSI: u8 = 0x05;
const CAPABILITY_MSIX: u8 = 0x11;
/// A list longer than this goes in a circle.
const CAPABILITIES_AT_MOST: usize = 48;
const MSI_ENABLE: u16 = 1;
const MSI_WIDE: u16 = 1 << 7;
/// With a 64-bit address and masks.
const MSI_BYTES: u64 = 24;
const MSIX_ENABLE: u16 = 1 << 15;
const MSIX_MASK_ALL: u16 = 1 << 14;
const MSIX_ENTRY: u64 = 16;
const BAR_WIDE: u32 = 4;

/// Where a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The host's.
    pub domain: u32,
    /// bus << 8 | device << 3 | function.
    pub bdf: u16,
}

#[derive(Debug)]
pub struct Function {
    host: Host,
    address: Address,
    config: Registers,
    /// How its pin rotates on the way to the host's own bus, and the device number there.
    way: (u8, u8),
}

/// The function's MSI-X table, enabled.
#[derive(Debug)]
pub struct Msix {
    table: Registers,
    entries: u64,
}

impl Function {
    /// None: no such function is visible, or no bridge that is leads to it.
    pub fn at(machine: &Machine, address: Address) -> Option<Self> {
        let host = machine.hosts().find(|host| host.domain == address.domain)?;
        let wanted = (address.bdf >> 8) as u8;
        let mut bus = *host.buses.start();
        let mut devices = (0, None);
        let mut pass = |device: u8| {
            devices = match devices {
                (_, None) => (0, Some(device)),
                (rotation, first) => (rotation + device % PINS, first),
            };
        };
        while bus != wanted {
            let mut buses = (0..=u8::MAX).filter_map(|slot| {
                let bridge = Self::visible(&host, u16::from(bus) << 8 | u16::from(slot))?;
                Some((slot >> 3, bridge.buses_behind()?))
            });
            // Buses behind a bridge have later numbers: this comes to an end.
            let (device, (first, _)) = buses
                .find(|(_, (first, last))| *first > bus && (*first..=*last).contains(&wanted))?;
            pass(device);
            bus = first;
        }
        pass(address.bdf as u8 >> 3);
        let (rotation, device) = devices;
        let way = (rotation, device?);
        Some(Self { way, ..Self::visible(&host, address.bdf)? })
    }

    /// It answers at its place in configuration space.
    fn visible(host: &Host, bdf: u16) -> Option<Self> {
        let config = host.config(bdf)?;
        // SAFETY: the device tree says that configuration space is there.
        let config = unsafe { Registers::new(config.base, config.bytes) };
        let address = Address { domain: host.domain, bdf };
        let function = Self { host: host.clone(), address, config, way: (0, bdf as u8 >> 3) };
        (function.config.read16(ID) != 0xffff).then_some(function)
    }

    /// The first function on a host's own bus with this vendor (15:0) and device (31:16).
    pub fn find(machine: &Machine, id: u32) -> Option<Self> {
        machine.hosts().find_map(|host| {
            let first = u16::from(*host.buses.start()) << 8;
            let mut slots = (0..=u8::MAX).map(|slot| first | u16::from(slot));
            slots.find_map(|bdf| Self::visible(&host, bdf).filter(|function| function.id() == id))
        })
    }

    /// First and last bus behind it, if it is a bridge.
    fn buses_behind(&self) -> Option<(u8, u8)> {
        let bridge = self.config.read8(HEADER_TYPE) & 0x7f == HEADER_BRIDGE;
        bridge.then(|| (self.config.read8(SECONDARY_BUS), self.config.read8(SUBORDINATE_BUS)))
    }

    pub fn address(&self) -> Address {
        self.address
    }

    /// Vendor 15:0, device 31:16.
    pub fn id(&self) -> u32 {
        self.config.read32(ID)
    }

    /// Lets it answer at its BARs and write to memory; its pin stays quiet.
    pub fn enable(&self) {
        let command = self.config.read16(COMMAND);
        self.config.write16(COMMAND, command | MEMORY_SPACE | BUS_MASTER | INTX_DISABLE);
    }

    /// The same, but it signals by its pin.
    pub fn enable_by_pin(&self) {
        let command = self.config.read16(COMMAND) & !INTX_DISABLE;
        self.config.write16(COMMAND, command | MEMORY_SPACE | BUS_MASTER);
    }

    /// INTID of the SPI that its pin is: it rotates with the device number at each bridge. None: it
    /// has no pin, or the pin leads nowhere.
    pub fn intx(&self) -> Option<u32> {
        let pin = self.config.read8(PIN).checked_sub(1)?;
        let (rotation, device) = self.way;
        self.host.interrupt(device, (pin + rotation) % PINS + 1)
    }

    /// Registers behind a memory BAR. None: the BAR is not there. `bytes` is what the device's
    /// manual says; accesses beyond are refused.
    pub fn bar(&self, index: u64, bytes: u64) -> Option<Registers> {
        let low = self.config.read32(BAR0 + index * 4);
        let high = match low & 7 {
            BAR_WIDE.. => self.config.read32(BAR0 + index * 4 + 4),
            _ => 0,
        };
        let bus = u64::from(high) << 32 | u64::from(low & !0xf);
        let base = self.host.translate(bus).filter(|_| bus != 0)?;
        // SAFETY: BARs hold the function's own registers, at an address that the plan gave to it
        // alone.
        Some(unsafe { Registers::new(base, bytes) })
    }

    /// Turns MSI-X on with every vector masked. None: the function has none.
    pub fn enable_msix(&self) -> Option<Msix> {
        let capability = self.capability(CAPABILITY_MSIX)?;
        let control = self.config.read16(capability + 2);
        let entries = u64::from(control & 0x7ff) + 1;
        let place = self.config.read32(capability + 4);
        let offset = u64::from(place & !7);
        let bytes = offset + entries * MSIX_ENTRY;
        let bar = self.bar(u64::from(place & 7), bytes)?;
        // SAFETY: the capability says that the table lies here in the function's BAR.
        let table = unsafe { Registers::new(bar.base() + offset, entries * MSIX_ENTRY) };
        self.config.write16(capability + 2, control | MSIX_ENABLE | MSIX_MASK_ALL);
        let msix = Msix { table, entries };
        for entry in 0..entries {
            msix.mask(entry);
        }
        self.config.write16(capability + 2, control & !MSIX_MASK_ALL | MSIX_ENABLE);
        Some(msix)
    }

    /// Turns MSI on with one message. None: the function has none.
    pub fn enable_msi(&self, translater: u64, event: u32) -> Option<()> {
        let capability = self.capability(CAPABILITY_MSI)?;
        let control = self.config.read16(capability + 2);
        self.config.write32(capability + 4, translater as u32);
        let data = if control & MSI_WIDE != 0 {
            self.config.write32(capability + 8, (translater >> 32) as u32);
            capability + 12
        } else {
            capability + 8
        };
        self.config.write16(data, event as u16);
        // One message of those it may be capable of: bits 6:4 zero.
        self.config.write16(capability + 2, control & !0x70 | MSI_ENABLE);
        Some(())
    }

    /// Registers of its MSI capability, for who wants to say more by hand. None: the function has
    /// none.
    pub fn msi(&self) -> Option<Registers> {
        let capability = self.capability(CAPABILITY_MSI)?;
        // SAFETY: within configuration space of this function.
        Some(unsafe { Registers::new(self.config.base() + capability, MSI_BYTES) })
    }

    /// Turns MSI off; the function falls back to its pin, if that is on.
    pub fn disable_msi(&self) {
        if let Some(capability) = self.capability(CAPABILITY_MSI) {
            let control = self.config.read16(capability + 2);
            self.config.write16(capability + 2, control & !MSI_ENABLE);
        }
    }

    fn capability(&self, wanted: u8) -> Option<u64> {
        if self.config.read16(STATUS) & HAS_CAPABILITIES == 0 {
            return None;
        }
        let mut offset = u64::from(self.config.read8(CAPABILITIES) & !3);
        for _ in 0..CAPABILITIES_AT_MOST {
            if offset == 0 {
                return None;
            }
            if self.config.read8(offset) == wanted {
                return Some(offset);
            }
            offset = u64::from(self.config.read8(offset + 1) & !3);
        }
        None
    }
}

impl Msix {
    /// The table itself, 16 bytes for each vector.
    pub fn table(&self) -> &Registers {
        &self.table
    }

    /// Vectors that the function has.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Programs a vector and lets it through.
    pub fn set(&self, vector: u64, translater: u64, event: u32) {
        let entry = vector * MSIX_ENTRY;
        self.table.write32(entry, translater as u32);
        self.table.write32(entry + 4, (translater >> 32) as u32);
        self.table.write32(entry + 8, event);
        self.table.write32(entry + 12, 0);
    }

    /// Holds a vector back; the function remembers one message.
    pub fn mask(&self, vector: u64) {
        self.table.write32(vector * MSIX_ENTRY + 12, 1);
    }

    /// Lets it through again.
    pub fn unmask(&self, vector: u64) {
        self.table.write32(vector * MSIX_ENTRY + 12, 0);
    }
}
