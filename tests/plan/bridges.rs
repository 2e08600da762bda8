// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Disks behind a root port and behind a switch that two VMs share.

use codegen::emit::report;
use codegen::plan::VmIndex;

use crate::{rules, stand_in};

const SYSTEM: &str = "tests/qemu/systems/bridges.toml";

#[test]
fn each_vm_sees_the_bridges_on_its_way() {
    let plan = stand_in::at(SYSTEM);
    rules::hold(&plan);
    let names = |vm: usize| -> Vec<&str> {
        plan.vm_bridges(VmIndex::at(vm)).map(|(n, _)| plan.bridges[n].name.as_str()).collect()
    };
    assert_eq!(names(0), ["port1"]);
    assert_eq!(names(1), ["port2", "switch", "down0"]);
    assert_eq!(names(2), ["port2", "switch", "down1"]);
    // Two VMs' disks are behind one port: it passes on both, each VM is shown its own.
    let port = &plan.bridges[1];
    let views: Vec<_> =
        port.views.iter().map(|view| (view.vm.index(), view.base.0, view.bytes)).collect();
    let (base, part) = (port.base.0, 1 << 20);
    assert_eq!(port.bytes, 2 * part);
    assert_eq!(views, [(1, base, part), (2, base + part, part)]);
    let windows = |vm: usize| -> Vec<_> {
        plan.vms[vm].windows().map(|window| (window.base.value(), window.bytes)).collect()
    };
    assert_eq!(windows(1), [(base, part)]);
    assert_eq!(windows(2), [(base + part, part)]);
    let memory = port.setup.iter().find(|write| write.offset == 0x20).unwrap().value.0;
    assert_eq!(memory, (base + part) & 0xfff0_0000 | base >> 16);
    // DeviceIDs are RequesterIDs: a bridge changes nothing.
    let devices: Vec<u32> = plan.events.iter().map(|e| e.device).collect();
    assert_eq!(devices, [0x100, 0x100, 0x100, 0x400, 0x400, 0x400, 0x500, 0x500, 0x500]);
}

#[test]
fn the_tree_has_every_bus() {
    let plan = stand_in::at(SYSTEM);
    for (vm, last) in [(0, 1u32), (1, 5), (2, 5)] {
        let tree = plan.vms[vm].loads.iter().find(|load| load.what == "device tree").unwrap();
        let cells = |cells: &[u32]| -> Vec<u8> {
            cells.iter().flat_map(|cell| cell.to_be_bytes()).collect()
        };
        let has = |bytes: Vec<u8>| tree.bytes.data.windows(bytes.len()).any(|part| part == bytes);
        assert!(has(cells(&[0, last])), "bus-range of VM {vm}");
        assert!(has(cells(&[0x40, 0x1000_0000, 0, (last + 1) << 20])), "ECAM of VM {vm}");
    }
}

#[test]
fn the_report_shows_them() {
    let text = report::text(&stand_in::at(SYSTEM));
    let part = text.split("\nPCI bridges").nth(1).unwrap();
    let lines: Vec<&str> = part.lines().take_while(|line| !line.is_empty()).collect();
    // The title, the head, port1, and two lines each for port2 and the switch, one for each port
    // below.
    assert_eq!(lines.len(), 2 + 1 + 2 + 2 + 2);
    assert!(lines[2].contains("00:08.0") && lines[2].contains("one"), "{text}");
}
