// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Rules hold for systems that nobody thought of.

use std::cell::Cell;
use std::fmt::Write;
use std::fs;

use codegen::plan::Plan;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::{rules, software, stand_in};

/// A PCI device: slot, BARs as log2 of their size and whether they are wide, events it has.
#[derive(Clone, Debug)]
struct Device {
    bars: Vec<(u32, bool)>,
    events: u32,
    /// Behind which of the bridges, or else behind which host.
    place: Place,
    /// It has a DeviceID that does not follow from where it is.
    odd: bool,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Host(usize),
    Bridge(usize),
}

impl Place {
    /// Its host, and its bus counted from the host's first.
    fn bus(self) -> (usize, u8) {
        match self {
            Place::Host(host) => (host, 0),
            Place::Bridge(bridge) => (BRIDGES[bridge].1, BRIDGES[bridge].4),
        }
    }
}

/// Two ports, one of them with a switch of two, and a port of the other host: name, host, bus,
/// device and function, buses behind. Buses are counted from the host's first.
const BRIDGES: [(&str, usize, u8, &str, u8, u8); 6] = [
    ("port1", 0, 0, "1e.0", 1, 1),
    ("port2", 0, 0, "1f.1", 2, 5),
    ("switch", 0, 2, "00.0", 3, 5),
    ("down0", 0, 3, "00.0", 4, 4),
    ("down1", 0, 3, "01.0", 5, 5),
    ("port3", 1, 0, "1f.0", 1, 3),
];

#[derive(Clone, Debug)]
struct Vm {
    vpes: usize,
    /// In pages; identity or not.
    memory: Vec<(u64, bool)>,
    devices: Vec<Device>,
    /// vINTID of the first event of each device, beyond 8192.
    vintid: Option<u32>,
    console: bool,
}

#[derive(Clone, Debug)]
struct Layout {
    /// First bus of each host.
    buses: [u8; 2],
    /// Where the bus has the first host's high window, and the second host's low one.
    windows: [u64; 2],
    vms: Vec<Vm>,
    /// Pages, and the two VMs' positions.
    channels: Vec<(u64, usize, usize, bool)>,
}

fn device() -> impl Strategy<Value = Device> {
    let bars = prop::collection::vec((12u32..24, any::<bool>()), 0..3);
    let place =
        prop_oneof![(0..2usize).prop_map(Place::Host), (0..BRIDGES.len()).prop_map(Place::Bridge)];
    (bars, 0u32..9, place, any::<bool>()).prop_map(|(bars, events, place, odd)| Device {
        bars,
        events,
        place,
        odd,
    })
}

fn vm() -> impl Strategy<Value = Vm> {
    let memory = prop::collection::vec(
        (prop_oneof![16u64..64, Just(512), Just(1024), Just(1100)], any::<bool>()),
        0..3,
    );
    (
        1usize..4,
        128u64..2048,
        memory,
        prop::collection::vec(device(), 0..3),
        prop::option::of(100u32..20_000),
        any::<bool>(),
    )
        .prop_map(|(vpes, first, rest, devices, vintid, console)| Vm {
            vpes,
            memory: std::iter::once((first, false)).chain(rest).collect(),
            devices,
            vintid,
            console,
        })
}

fn layout() -> impl Strategy<Value = Layout> {
    prop::collection::vec(vm(), 1..6).prop_flat_map(|vms| {
        let count = vms.len();
        let channel = (1u64..40, 0..count, 0..count, any::<bool>());
        // The last buses of the first host's ECAM, the same as the first host's, or any.
        let far = prop_oneof![Just(200), Just(0), 0..200u8];
        let high = prop::sample::select(vec![0x80_0000_0000u64, 0x10_0000_0000]);
        // As for the CPUs, elsewhere, or up to the end of 4 GiB.
        let low = prop::sample::select(vec![0x2780_0000u64, 0x9000_0000, 0xe880_0000]);
        let channels = prop::collection::vec(channel, 0..4);
        (channels, far, high, low).prop_map(move |(channels, far, high, low)| Layout {
            buses: [0, far],
            windows: [high, low],
            vms: vms.clone(),
            channels: channels.into_iter().filter(|channel| channel.1 != channel.2).collect(),
        })
    })
}

impl Layout {
    fn board(&self) -> String {
        let cpus: usize = self.vms.iter().map(|vm| vm.vpes).sum();
        let real = tests::root().join("boards/qemu-virt-gicv4.toml");
        let real = fs::read_to_string(real).unwrap();
        // The real board without its CPUs, devices and QEMU's part.
        let mut keep = true;
        let mut text = String::new();
        for line in real.lines() {
            if let Some(table) = line.strip_prefix('[') {
                keep = !["[cpu]", "[bridge]", "[device]", "qemu]"]
                    .iter()
                    .any(|name| table.starts_with(name));
            }
            if keep && !line.starts_with("#:schema") {
                text.push_str(line);
                text.push('\n');
            }
        }
        for cpu in 0..cpus {
            let _ = writeln!(text, "[[cpu]]\nname = \"cpu{cpu}\"\nmpidr = {cpu}");
        }
        // The second host has what is left of the first's ECAM, and half of its window.
        for (all, half) in
            [("last = 255", "last = 199"), ("256 MiB", "200 MiB"), ("752 MiB", "376 MiB")]
        {
            assert!(text.contains(all), "{text}");
            text = text.replacen(all, half, 1);
        }
        let [high, low] = self.windows;
        text = text.replacen("\"512 GiB\" }", &format!("\"512 GiB\", bus = {high:#x} }}"), 1);
        let _ = writeln!(
            text,
            "[[pcie]]\nname = \"pcie1\"\necam = {{ base = 0x40_1c80_0000, size = \"56 MiB\" \
             }}\ndevice_id_base = 0xc900\nwindow32 = {{ base = 0x2780_0000, size = \"376 MiB\", \
             bus = {low:#x} }}",
        );
        let first = self.buses[1];
        let _ = writeln!(text, "buses = {{ first = {first}, last = {} }}", first + 55);
        for (name, host, bus, address, secondary, subordinate) in BRIDGES {
            let [bus, secondary, subordinate] =
                [bus, secondary, subordinate].map(|bus| self.buses[host] + bus);
            let _ = writeln!(
                text,
                "[[bridge]]\nname = \"{name}\"\nhost = \"pcie{host}\"\naddress = \
                 \"{bus:02x}:{address}\"\nid = \"1b36:000c\"\nsecondary = {secondary}\nsubordinate \
                 = {subordinate}\nbars = [{{ index = 0, size = \"4 KiB\" }}]",
            );
        }
        for (slot, device) in self.vms.iter().flat_map(|vm| &vm.devices).enumerate() {
            let (host, bus) = device.place.bus();
            let bus = self.buses[host] + bus;
            let odd =
                if device.odd { format!("device_id = {}\n", 0xf000 + slot) } else { String::new() };
            let mut index = 0;
            let mut bars = Vec::new();
            for &(bits, wide) in &device.bars {
                bars.push(format!(
                    "{{ index = {index}, size = \"{} KiB\", wide = {wide} }}",
                    (1u64 << bits) / 1024
                ));
                index += if wide { 2 } else { 1 };
            }
            // A table in the middle of the first BAR, if that has a page for it.
            let msix = device.bars.first().filter(|bar| bar.0 > 13).map(|bar| {
                let (vectors, table) = (device.events.max(1), 1 << (bar.0 - 1));
                format!("msix = {{ vectors = {vectors}, bar = 0, table = {table} }}")
            });
            let _ = writeln!(
                text,
                "[[device]]\nname = \"d{slot}\"\nkind = \"pci\"\nhost = \"pcie{host}\"\naddress = \
                 \"{bus:02x}:{:02x}.0\"\nid = \"1234:0001\"\ndma = false\n{odd}events = {}\nbars = \
                 [{}]\n{}",
                slot + 2,
                device.events,
                bars.join(", "),
                msix.unwrap_or_default()
            );
        }
        text
    }

    fn system(&self) -> String {
        let mut text = String::from(
            "[system]\nname = \"generated\"\nboard = \"board.toml\"\n[hypervisor]\nsize = \"16 \
             MiB\"\n",
        );
        let (mut cpu, mut slot) = (0, 0);
        for (number, vm) in self.vms.iter().enumerate() {
            let vpes: Vec<String> =
                (cpu..cpu + vm.vpes).map(|cpu| format!("{{ cpu = \"cpu{cpu}\" }}")).collect();
            cpu += vm.vpes;
            // What follows a piece that the plan places would need an address.
            let last = vm.memory.len() - 1;
            let memory = vm.memory.iter().enumerate().map(|(n, &(pages, identity))| {
                // Events are writes to memory.
                let signals = vm.devices.iter().any(|device| device.events > 0);
                let identity = signals || identity && n == last;
                format!("{{ size = \"{} KiB\", identity = {identity} }}", pages * 4)
            });
            let names: Vec<String> =
                (slot..slot + vm.devices.len()).map(|n| format!("\"d{n}\"")).collect();
            let polled = names.iter().zip(&vm.devices).filter(|(_, device)| device.events == 0);
            let polled: Vec<String> = polled.map(|(name, _)| name.clone()).collect();
            let _ = writeln!(
                text,
                "[[vm]]\nname = \"v{number}\"\npayload = {{ path = \"payload\", format = \"raw\" \
                 }}\nvpes = [{}]\nmemory = [{}]\ndevices = [{}]\npolled = [{}]\nconsole = {}",
                vpes.join(", "),
                memory.collect::<Vec<_>>().join(", "),
                names.join(", "),
                polled.join(", "),
                vm.console || number == 0
            );
            for (n, device) in vm.devices.iter().enumerate() {
                for event in 0..device.events {
                    let _ = writeln!(
                        text,
                        "[[vm.event]]\ndevice = \"d{}\"\nevent = {event}\nvpe = {}",
                        slot + n,
                        event as usize % vm.vpes
                    );
                    if let (0, 0, Some(vintid)) = (n, event, vm.vintid) {
                        let _ = writeln!(text, "vintid = {}", 8192 + vintid);
                    }
                }
            }
            slot += vm.devices.len();
        }
        for (number, &(pages, one, two, write)) in self.channels.iter().enumerate() {
            let access = if write { "read-write" } else { "read-only" };
            let _ = writeln!(
                text,
                "[[channel]]\nname = \"c{number}\"\nsize = \"{} KiB\"\nends = [{{ vm = \"v{one}\", \
                 access = \"read-write\" }}, {{ vm = \"v{two}\", access = \"{access}\" }}]",
                pages * 4
            );
        }
        text
    }

    fn plan(&self) -> Result<Plan, String> {
        let directory = stand_in::directory("generated");
        fs::write(directory.join("payload"), [0; 4]).unwrap();
        let system = stand_in::written(&directory, &self.system(), &self.board());
        let system = system.map_err(|report| report.render(false))?;
        stand_in::plan(&system, &directory).map_err(|report| report.render(false))
    }
}

#[test]
fn generated_systems_hold_every_rule() {
    let config =
        ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() };
    let planned = Cell::new(0);
    TestRunner::new(config)
        .run(&layout(), |layout| {
            let plan = layout.plan().map_err(TestCaseError::fail)?;
            rules::hold(&plan);
            software::deliver(&plan);
            planned.set(planned.get() + 1);
            Ok(())
        })
        .unwrap();
    assert!(planned.get() >= 48);
}

#[test]
fn the_systems_in_configs_hold_every_rule() {
    let entries = fs::read_dir(tests::root().join("configs")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert!(names.iter().any(|name| name == "demo"));
    for name in names {
        let plan = stand_in::of(&name);
        // Rules are about vLPIs: a GICv3 is tried under QEMU.
        if plan.is_listed() {
            continue;
        }
        rules::hold(&plan);
        software::deliver(&plan);
    }
}
