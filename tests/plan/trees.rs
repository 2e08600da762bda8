//! Guests' device trees, as dtc reads them.

use std::fs;
use std::process::Command;

use crate::stand_in;

/// dtc's source of a VM's tree, and what it warns of. None: there is no dtc here.
fn source(vm: &str) -> Option<(String, String)> {
    let plan = stand_in::of("demo");
    let found = plan.vms.iter().find(|found| found.name == vm).unwrap();
    let tree = found.loads.iter().find(|load| load.what == "device tree").unwrap();
    let path = stand_in::directory("trees").join(format!("{vm}.dtb"));
    fs::write(&path, &tree.data).unwrap();
    let output = Command::new("dtc").args(["-I", "dtb", "-O", "dts"]).arg(&path).output().ok()?;
    assert!(output.status.success());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Some((text(output.stdout), text(output.stderr)))
}

#[test]
fn dtc_finds_no_fault() {
    for vm in ["control", "msix", "producer", "consumer"] {
        let Some((_, warnings)) = source(vm) else {
            eprintln!("no dtc: left out");
            return;
        };
        // docs/guest-abi.md numbers events by their unit address, without `reg`.
        let faults: Vec<&str> =
            warnings.lines().filter(|line| !line.contains("/bulkhead/events/event@")).collect();
        assert!(faults.is_empty(), "{vm}: {faults:#?}");
    }
}

#[test]
fn a_guest_finds_what_is_its_own() {
    let Some((msix, _)) = source("msix") else { return };
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
    let (producer, _) = source("producer").unwrap();
    let (consumer, _) = source("consumer").unwrap();
    assert!(producer.contains("role = \"first\"") && consumer.contains("role = \"second\""));
    assert!(!producer.contains("pcie@") && !producer.contains("events"));
}
