// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Guests' device trees, as dtc reads them.

use std::fs;
use std::process::Command;

use codegen::plan::{MmioKind, Plan};

use crate::stand_in;

/// dtc's source of a VM's tree, and what it warns of.
pub fn source(test: &str, plan: &Plan, vm: &str) -> (String, String) {
    let found = plan.vms.iter().find(|found| found.name == vm).unwrap();
    let tree = found.loads.iter().find(|load| load.what == "device tree").unwrap();
    let path = stand_in::directory(&format!("trees-{test}-{}-{vm}", plan.system)).join("tree.dtb");
    fs::write(&path, &tree.bytes.data).unwrap();
    let mut dtc = Command::new("dtc");
    let output = dtc.args(["-I", "dtb", "-O", "dts"]).arg(&path).output();
    let output = output.expect("dtc: ./setup.sh installs it");
    assert!(output.status.success());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

#[test]
fn dtc_finds_no_fault() {
    let names = ["demo", "smp", "shared", "linux"];
    let others = [stand_in::MODES, stand_in::HOSTS].map(stand_in::at);
    for plan in names.map(stand_in::of).iter().chain(&others) {
        for vm in &plan.vms {
            let (_, warnings) = source("faults", plan, &vm.name);
            assert!(warnings.is_empty(), "{} of {}: {warnings}", vm.name, plan.system);
        }
    }
}

#[test]
fn a_guest_finds_what_is_its_own() {
    let demo = stand_in::of("demo");
    let (msix, _) = source("own", &demo, "msix");
    for text in [
        "device-id = <0x10>",
        "vintid = <0x2001>",
        "its-translater = <0x00 0x8090040>",
        "stdout-path = \"/pl011@9000000\"",
        "compatible = \"pci-host-ecam-generic\"",
        "bus-range = <0x00 0x00>",
    ] {
        assert!(msix.contains(text), "{text}\n{msix}");
    }
    let (producer, _) = source("own", &demo, "producer");
    let (consumer, _) = source("own", &demo, "consumer");
    assert!(producer.contains("role = \"first\"") && consumer.contains("role = \"second\""));
    assert!(!producer.contains("pcie@") && !producer.contains("events"));
    // Channels are no RAM, and drivers find them.
    assert!(producer.contains("reserved-memory") && producer.contains("no-map"));
    assert!(producer.contains("memory-region = <0x04>"), "{producer}");
    // BARs stay where they are.
    assert!(msix.contains("linux,pci-probe-only = <0x01>") && !producer.contains("probe-only"));
}

/// On a board whose UART is no PL011 a guest finds one above its memory, with the board's
/// interrupt.
#[test]
fn uart_of_another_board() {
    let plan = stand_in::at("tests/qemu/systems/imx8mp.toml");
    for vm in &plan.vms {
        let (tree, warnings) = source("uart", &plan, &vm.name);
        assert!(warnings.is_empty(), "{warnings}");
        let found = tree.split("pl011@40200000 {").nth(1).expect("its UART");
        let node = found.split('}').next().unwrap();
        for text in [
            "compatible = \"arm,pl011\\0arm,primecell\"",
            "reg = <0x00 0x40200000 0x00 0x1000>",
            "interrupts = <0x00 0x1b 0x04>",
        ] {
            assert!(node.contains(text), "{text}\n{tree}");
        }
        assert!(tree.contains("stdout-path = \"/pl011@40200000\""), "{tree}");
        assert!(!tree.contains("30890000"), "the board's");
        let uarts = vm.mmio.iter().filter(|mmio| mmio.kind == MmioKind::Uart);
        assert_eq!(uarts.map(|mmio| mmio.base.value()).collect::<Vec<_>>(), [0x4020_0000]);
    }
}

/// hello on a board with these PPIs for timers.
fn with_timers(text: &str) -> Plan {
    let directory = stand_in::directory("timers");
    let board = stand_in::board(&[("virtual = 27\nphysical = 30\n", text)]);
    let system = fs::read_to_string(tests::root().join("configs/hello.toml")).unwrap();
    let named = "board = \"qemu-virt-gicv4\"";
    assert!(system.contains(named));
    let system = system.replace(named, "board = \"board.toml\"");
    let system = stand_in::good(stand_in::written(&directory, &system, &board));
    stand_in::good(stand_in::plan(&system, &directory))
}

/// A guest finds its timers where the board has them, and neither the secure one nor EL2's.
#[test]
fn timer_ppi() {
    for (text, virtual_timer, physical) in [
        ("virtual = 27\nphysical = 30\n", 27, 30),
        ("virtual = 27\n", 27, 30),
        ("virtual = 19\nphysical = 18\n", 19, 18),
        ("virtual = 31\nphysical = 16\n", 31, 16),
    ] {
        let plan = with_timers(text);
        let (tree, _) = source("timers", &plan, "hello");
        let line = tree.lines().find(|line| line.contains("interrupts = <0x01")).unwrap();
        let cells = line.split(['<', '>']).nth(1).unwrap().split(' ');
        let cells: Vec<u32> =
            cells.map(|cell| u32::from_str_radix(&cell[2..], 16).unwrap()).collect();
        let intids: Vec<u32> = cells.chunks(3).map(|cells| cells[1] + 16).collect();
        assert_eq!(intids[1..], [physical, virtual_timer], "{text}{line}");
        assert!(![physical, virtual_timer, 29, 26, 25, 23].contains(&intids[0]), "{text}{line}");
        let code = codegen::emit::constants::file(&plan);
        let ppis = format!("ppis: {:#x}", 1u32 << virtual_timer | 1 << physical);
        assert!(code.contains(&ppis), "{ppis}");
    }
}
