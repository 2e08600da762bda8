// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Nodes of guests' trees: copies of those in the board's, and interrupts by wires.

use std::path::Path;

use codegen::plan::Plan;

use crate::stand_in;
use crate::trees::source;

/// The lines of a node, without its children's.
fn node<'t>(tree: &'t str, name: &str) -> Vec<&'t str> {
    let start = tree.find(&format!("{name} {{")).unwrap_or_else(|| panic!("{name}\n{tree}"));
    let lines = tree[start..].lines().skip(1).map(str::trim);
    lines.take_while(|line| !line.ends_with('{') && !line.starts_with('}')).collect()
}

fn value<'t>(tree: &'t str, name: &str, property: &str) -> &'t str {
    let all = node(tree, name);
    let found = all.iter().find_map(|line| line.strip_prefix(&format!("{property} = ")));
    found.unwrap_or_else(|| panic!("{property} of {name}\n{tree}"))
}

fn lacks(tree: &str, name: &str, property: &str) -> bool {
    node(tree, name).iter().all(|line| !line.starts_with(property))
}

fn nodes() -> Plan {
    tests::compile_trees(Path::new("plans/systems"), "nodes.").unwrap();
    stand_in::at("tests/plans/systems/nodes.toml")
}

#[test]
fn a_node_is_the_boards_where_the_vm_has_what_it_needs() {
    let (tree, warnings) = source("nodes", &nodes(), "guest");
    let bus = "bus@9040000";
    for (property, wanted) in [
        ("compatible", "\"example,bus\";"),
        ("reg", "<0x00 0x9040000 0x00 0x100 0x00 0x9040200 0x00 0x80>;"),
        ("reg-names", "\"one\\0two\";"),
        ("interrupts", "<0x00 0x28 0x04 0x00 0x29 0x01>;"),
        ("interrupt-names", "\"rx\\0tx\";"),
        ("ranges", "<0x00 0x00 0x9100000 0x10000>;"),
        ("example,number", "<0x05>;"),
    ] {
        assert_eq!(value(&tree, bus, property), wanted, "{property}\n{tree}");
    }
    for property in ["interrupts-extended", "pinctrl", "status"] {
        assert!(lacks(&tree, bus, property), "{property}\n{tree}");
    }
    assert!(!tree.contains("chip@100"), "what is disabled\n{tree}");
    // What it refers to: the GPIO that the VM has, a regulator, and clocks behind each other.
    let gpio = value(&tree, "gpio@9030000", "phandle");
    let gpio = gpio.trim_end_matches(';').trim_matches(['<', '>']);
    let chip = "chip@0";
    assert_eq!(value(&tree, chip, "interrupt-parent"), format!("<{gpio}>;"));
    assert_eq!(value(&tree, chip, "reset-gpios"), format!("<0x00 {gpio} 0x01 0x00>;"));
    assert_eq!(value(&tree, "board-supply-0", "gpio"), format!("<{gpio} 0x04 0x00>;"));
    assert_eq!(value(&tree, chip, "vcc-supply"), value(&tree, "board-supply-0", "phandle"));
    let half = value(&tree, "board-half-1", "phandle");
    assert_eq!(value(&tree, "gpio@9030000", "clocks"), half);
    let crystal = value(&tree, "board-crystal-2", "phandle");
    assert_eq!(value(&tree, "board-half-1", "clocks"), crystal);
    assert_eq!(value(&tree, "board-crystal-2", "clock-frequency"), "<0x16e3600>;");
    assert!(lacks(&tree, "gpio@9030000", "interrupt-parent"), "{tree}");
    assert!(!warnings.contains("phandle"), "{warnings}");
}

/// A disk behind a port and a switch: INTA of slot 0, INTC at the port's bus, the second line.
#[test]
fn pins_are_in_the_map_of_their_host() {
    let plan = stand_in::at("tests/qemu/systems/wires.toml");
    let (tree, warnings) = source("pins", &plan, "wires");
    assert!(warnings.is_empty(), "{warnings}");
    let host = "pcie@4010000000";
    let entry = |slot: u32, spi: u32| {
        format!("{slot:#04x} 0x00 0x00 0x01 0x01 0x00 0x00 0x00 {spi:#04x} 0x04")
    };
    let wanted = [entry(0x1800, 6), entry(0x2000, 3), entry(0x4000, 3)].join(" ");
    assert_eq!(value(&tree, host, "interrupt-map"), format!("<{wanted}>;"));
    assert_eq!(value(&tree, host, "interrupt-map-mask"), "<0xf800 0x00 0x00 0x07>;");
    let slots = "slots@a001000";
    assert_eq!(value(&tree, slots, "reg-names"), "\"first\\0second\";");
    assert_eq!(value(&tree, slots, "interrupts"), "<0x00 0x18 0x01 0x00 0x19 0x01>;");
    let of = |vm: &str| plan.vms.iter().find(|found| found.name == vm).unwrap();
    let pages: Vec<_> = of("linux")
        .registers
        .iter()
        .map(|at| (at.name.as_str(), at.base.value(), at.bytes))
        .collect();
    let wanted = [
        ("rtc", 0x901_0000, 0x1000),
        ("gpio", 0x903_0000, 0x1000),
        ("slot0, slot1", 0xa00_0000, 0x1000),
    ];
    assert_eq!(pages, wanted);
    let disk = plan.functions.iter().find(|function| function.name == "nvme0").unwrap();
    let intx = disk.intx.unwrap();
    assert_eq!((disk.pin, intx.device, intx.pin, intx.intid), (1, 11, 3, 36));
    assert!(disk.messages.is_none(), "no MSI beside it");
    let lines: Vec<_> = plan.spis.iter().flatten().map(|spi| spi.source.as_str()).collect();
    assert!(lines.contains(&"edu1, edu2"), "{lines:?}");
}
