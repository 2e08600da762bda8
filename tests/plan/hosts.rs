// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Two VMs with disks behind two hosts, the second of which begins with bus 128.

use codegen::emit::{constants, report};

use crate::{rules, software, stand_in};

#[test]
fn each_vm_sees_both_hosts() {
    let plan = stand_in::at(stand_in::HOSTS);
    rules::hold(&plan);
    software::deliver(&plan);
    let hosts = |vm: usize| -> Vec<_> {
        let hosts = plan.vms[vm].hosts.iter();
        hosts.map(|host| (host.ecam.base.value(), host.first_bus, host.last_bus)).collect()
    };
    let (near, far) = (0x40_1000_0000, 0x40_1800_0000);
    assert_eq!(hosts(0), [(near, 0, 0), (far, 0x80, 0x81)]);
    assert_eq!(hosts(1), [(near, 0, 1), (far, 0x80, 0x82)]);
    // BARs lie in the windows of their own host, and bridges on their own.
    for function in &plan.functions {
        let window = if function.space.host == 0 {
            0x1000_0000..0x2800_0000
        } else {
            0x2800_0000..0x3f00_0000
        };
        assert!(function.bars.iter().all(|bar| window.contains(&bar.base.value())), "{function:?}");
    }
    let primaries: Vec<(usize, u16)> =
        plan.bridges.iter().map(|bridge| (bridge.space.host, bridge.space.bdf >> 8)).collect();
    assert_eq!(primaries, [(0, 0), (1, 0x80), (1, 0x80)]);
}

#[test]
fn a_function_has_the_device_id_of_its_host() {
    let plan = stand_in::at(stand_in::HOSTS);
    let ids: Vec<_> = plan.functions.iter().map(|f| (f.name.as_str(), f.device_id)).collect();
    assert_eq!(ids, [("nvme0", 0x10), ("nvme1", 0x8100), ("nvme2", 0x100), ("nvme3", 0x8200)]);
    // Where the board counts the second host's from elsewhere, and one function's from nowhere.
    let mut system = stand_in::load(stand_in::HOSTS);
    let base = &system.board.pcie[1].device_id_base;
    assert_eq!(system.board.pcie[1].device_ids(), 0x8000..0x1_0000);
    system.board.pcie[1].device_id_base = base.with(0x2_0000);
    let address = codegen::model::Bdf { bus: 0x81, device: 1, function: 2 };
    assert_eq!(system.board.pcie[1].device_id(address), 0x2_010a);
    assert_eq!(system.board.pcie[1].config(address), 0x40_1810_a000);
}

#[test]
fn the_tree_has_a_node_for_each() {
    let plan = stand_in::at(stand_in::HOSTS);
    let tree = plan.vms[1].loads.iter().find(|load| load.what == "device tree").unwrap();
    let cells =
        |cells: &[u32]| -> Vec<u8> { cells.iter().flat_map(|cell| cell.to_be_bytes()).collect() };
    let has = |bytes: Vec<u8>| tree.bytes.data.windows(bytes.len()).any(|part| part == bytes);
    for node in ["pcie@4010000000\0", "pcie@4018000000\0", "linux,pci-domain\0"] {
        assert!(has(node.as_bytes().to_vec()), "{node}");
    }
    assert!(has(cells(&[0x40, 0x1000_0000, 0, 2 << 20])) && has(cells(&[0, 1])));
    assert!(has(cells(&[0x40, 0x1800_0000, 0, 3 << 20])) && has(cells(&[0x80, 0x82])));
}

#[test]
fn the_report_and_the_tables_have_them() {
    let plan = stand_in::at(stand_in::HOSTS);
    let text = report::text(&plan);
    for line in [
        "configuration of pcie0, bus 00 ",
        "configuration of pcie1, buses 80..82 ",
        "nvme3     pcie1  82:00.0  33280     0x4018200000   far",
        "port2   pcie1  80:01.0  82..82",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let code = constants::file(&plan);
    assert_eq!(code.matches("plan::MmioKind::PciConfig").count(), 4);
    assert!(code.contains("primary: 128"));
}
