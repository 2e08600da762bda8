// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a device tree says of a machine, as far as a VM can agree or disagree with it.
//!
//! Addresses are the CPUs': translated by the `ranges` of all buses above. What a CPU cannot
//! address (below a bus without `ranges`) and what is disabled is left out. Bindings are those of
//! the devicetree specification 0.4 and of Linux for `arm,gic-v3`, `arm,armv8-timer`, `arm,psci`
//! and `pci-host-ecam-generic`.

use dtoolkit::Node;
use dtoolkit::fdt::{Fdt, FdtNode};

use super::bus::{
    Above, Range, below, cell, cells, intid, number, regions, text, texts, translated,
};

#[derive(Debug, Default)]
pub struct Facts {
    pub memory: Vec<(String, Range)>,
    pub cpus: Vec<Cpu>,
    pub psci: Option<Psci>,
    pub timer: Option<Timer>,
    pub gic: Option<Gic>,
    pub its: Vec<Its>,
    pub hosts: Vec<Host>,
    pub devices: Vec<Device>,
}

#[derive(Debug)]
pub struct Cpu {
    pub path: String,
    pub reg: Option<u64>,
    pub method: String,
}

#[derive(Debug)]
pub struct Psci {
    pub path: String,
    pub compatible: Vec<String>,
    pub method: String,
}

#[derive(Debug)]
pub struct Timer {
    pub path: String,
    /// INTID of the virtual timer.
    pub virtual_timer: Option<u32>,
    /// INTID of the physical timer, if it is there.
    pub physical_timer: Option<u32>,
}

#[derive(Debug)]
pub struct Gic {
    pub path: String,
    pub compatible: Vec<String>,
    pub frames: Vec<Range>,
    pub stride: Option<u64>,
    phandle: Option<u32>,
}

#[derive(Debug)]
pub struct Its {
    pub path: String,
    pub frame: Option<Range>,
}

/// A window of a PCIe host.
#[derive(Debug)]
pub struct Window {
    /// phys.hi.
    pub space: u32,
    /// Where it begins on the bus.
    pub bus: u64,
    /// The CPUs' addresses.
    pub range: Range,
}

/// A PCIe host bridge.
#[derive(Debug)]
pub struct Host {
    pub path: String,
    pub ecam: Option<Range>,
    bus_range: Option<(u32, u32)>,
    /// Number of the PCI domain.
    pub domain: Option<u32>,
    pub windows: Vec<Window>,
    /// Requester ID, phandle of the ITS, DeviceID, how many.
    pub msi_map: Vec<[u32; 4]>,
    pub msi_map_mask: u32,
    /// It has `dma-coherent`.
    pub coherent: bool,
}

impl Host {
    /// First and last bus. Without `bus-range` they are as many as the ECAM holds, from 0.
    pub fn buses(&self) -> (u32, u32) {
        let held = self.ecam.map_or(0, |ecam| (ecam.1 >> 20) as u32);
        self.bus_range.unwrap_or((0, held.saturating_sub(1)))
    }

    /// DeviceID that it gives to a requester.
    pub fn device_id(&self, requester: u32) -> Option<u32> {
        let masked = requester & self.msi_map_mask;
        let map = self.msi_map.iter().find(|[first, _, _, count]| {
            masked >= *first && u64::from(masked) < u64::from(*first) + u64::from(*count)
        })?;
        Some(map[2].wrapping_add(masked - map[0]))
    }
}

/// Anything else that has registers.
#[derive(Debug)]
pub struct Device {
    pub path: String,
    pub regions: Vec<Range>,
    /// INTIDs.
    pub interrupts: Vec<u32>,
}

impl Facts {
    pub fn of(tree: &Fdt) -> Self {
        let mut facts = Facts::default();
        let root = tree.root();
        let above = Above::root(&root);
        facts.gic = gic(&root, &above);
        for node in root.children() {
            facts.node(&node, &above);
        }
        facts
    }

    fn node(&mut self, node: &FdtNode, above: &Above) {
        let path = format!("{}/{}", above.path, node.name());
        if !matches!(text(node, "status").as_str(), "" | "okay" | "ok") {
            return;
        }
        let compatible = texts(node, "compatible");
        let is = |name: &str| compatible.iter().any(|known| known == name);
        let kind = text(node, "device_type");
        match node.name_without_address() {
            "chosen" | "aliases" | "reserved-memory" | "__symbols__" => return,
            "cpus" => return self.cpus(node, &path),
            _ if kind == "memory" => {
                let ranges = regions(node, above);
                return self.memory.extend(ranges.into_iter().map(|range| (path.clone(), range)));
            }
            _ if kind == "pci" => return self.hosts.push(host(node, above, path)),
            _ if compatible.iter().any(|name| name.starts_with("arm,psci")) => {
                self.psci = Some(Psci { path, compatible, method: text(node, "method") });
                return;
            }
            _ if is("arm,armv8-timer") || is("arm,armv7-timer") => {
                self.timer = Some(timer(node, path));
                return;
            }
            _ if is("arm,gic-v3-its") => {
                let frame = regions(node, above).first().copied();
                self.its.push(Its { path, frame });
                return;
            }
            _ => {}
        }
        let own = self.gic.as_ref().is_some_and(|gic| gic.path == path);
        let regions = regions(node, above);
        let interrupts = self.interrupts(node, above);
        if !own && (!regions.is_empty() || !interrupts.is_empty()) {
            self.devices.push(Device { path: path.clone(), regions, interrupts });
        }
        let inner = below(node, above, path);
        for child in node.children() {
            self.node(&child, &inner);
        }
    }

    fn cpus(&mut self, cpus: &FdtNode, path: &str) {
        for node in cpus.children().filter(|node| text(node, "device_type") == "cpu") {
            let reg = cells(&node, "reg");
            let reg = reg.iter().try_fold(0u64, |value, &cell| {
                value.checked_mul(1 << 32).map(|high| high | u64::from(cell))
            });
            self.cpus.push(Cpu {
                path: format!("{path}/{}", node.name()),
                reg: reg.filter(|_| node.property("reg").is_some()),
                method: text(&node, "enable-method"),
            });
        }
    }

    /// INTIDs of a node's interrupts, as far as they go to the GIC.
    fn interrupts(&self, node: &FdtNode, above: &Above) -> Vec<u32> {
        let gic = self.gic.as_ref().and_then(|gic| gic.phandle);
        if cell(node, "interrupt-parent").or(above.parent) != gic || gic.is_none() {
            return Vec::new();
        }
        let cells = cells(node, "interrupts");
        cells.chunks_exact(3).filter_map(intid).collect()
    }
}

/// The interrupt controller of the CPUs, wherever it is: what a device's interrupts mean depends on
/// it.
fn gic(node: &FdtNode, above: &Above) -> Option<Gic> {
    node.children().find_map(|child| {
        let compatible = texts(&child, "compatible");
        let path = format!("{}/{}", above.path, child.name());
        let known = |name: &String| name.starts_with("arm,gic-") || name.ends_with("-gic");
        if child.property("interrupt-controller").is_some() && compatible.iter().any(known) {
            let stride = cells(&child, "redistributor-stride");
            return Some(Gic {
                frames: regions(&child, above),
                stride: (!stride.is_empty())
                    .then(|| stride.iter().fold(0, |value, &cell| value << 32 | u64::from(cell))),
                phandle: cell(&child, "phandle"),
                path,
                compatible,
            });
        }
        gic(&child, &below(&child, above, path))
    })
}

fn timer(node: &FdtNode, path: String) -> Timer {
    // Secure, non-secure, virtual, hypervisor, unless there are names.
    let names = texts(node, "interrupt-names");
    let cells = cells(node, "interrupts");
    let find = |place, name| {
        let place = match names.is_empty() {
            true => Some(place),
            false => names.iter().position(|known| known == name),
        };
        place.and_then(|place| cells.chunks_exact(3).nth(place)).and_then(intid)
    };
    Timer { path, virtual_timer: find(2, "virt"), physical_timer: find(1, "phys") }
}

fn host(node: &FdtNode, above: &Above, path: String) -> Host {
    let ranges = cells(node, "ranges");
    let entry = 3 + above.address_cells as usize + 2;
    let windows = ranges.chunks_exact(entry).filter_map(|entry| {
        let (address, size) = entry[3..].split_at(above.address_cells as usize);
        let range = (translated(above, number(address))?, number(size));
        Some(Window { space: entry[0], bus: number(&entry[1..3]), range })
    });
    let maps = cells(node, "msi-map");
    let maps = maps.chunks_exact(4).map(|map| [map[0], map[1], map[2], map[3]]);
    Host {
        ecam: regions(node, above).first().copied(),
        bus_range: match cells(node, "bus-range")[..] {
            [first, last] => Some((first, last)),
            _ => None,
        },
        domain: cell(node, "linux,pci-domain"),
        windows: windows.collect(),
        msi_map: maps.collect(),
        msi_map_mask: cell(node, "msi-map-mask").unwrap_or(u32::MAX),
        coherent: node.property("dma-coherent").is_some(),
        path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requester_has_the_device_id_of_its_range() {
        let host = Host {
            coherent: false,
            path: String::new(),
            ecam: None,
            bus_range: None,
            domain: None,
            windows: Vec::new(),
            msi_map: vec![[0, 1, 0x100, 0x10], [0x10, 1, 0x800, 8]],
            msi_map_mask: 0xff,
        };
        let ids = [0, 0xf, 0x10, 0x17, 0x18, 0x100].map(|requester| host.device_id(requester));
        assert_eq!(ids, [Some(0x100), Some(0x10f), Some(0x800), Some(0x807), None, Some(0x100)]);
    }
}
