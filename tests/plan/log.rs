// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A board without a console: where the log is, and who reaches it.

use codegen::emit::{constants, report};

use crate::{rules, stage2, stand_in};

const QUIET: &str = "tests/qemu/systems/quiet.toml";
/// S2AP: write.
const WRITABLE: u64 = 1 << 7;

#[test]
fn the_log_is_at_the_end_of_the_hypervisors_memory() {
    let plan = stand_in::at(QUIET);
    let (own, log) = (&plan.hypervisor, plan.board.console.log().unwrap());
    assert_eq!(log.base.value() + log.bytes, own.base.value() + own.bytes);
    assert!(own.tables.value() + own.tables_bytes <= log.base.value(), "tables end before it");
    assert!(
        own.cleared.iter().all(|range| range.base.value() + range.bytes <= log.base.value()),
        "kept"
    );
    let text = report::text(&plan);
    assert!(text.contains("0x00405f0000..0x0040600000  64 KiB    hypervisor  log"), "{text}");
    let code = constants::file(&plan);
    assert!(code.contains("console: plan::Console::Log(plan::Log {"), "{code}");
    let json: serde_json::Value = serde_json::from_str(&report::json(&plan)).unwrap();
    assert_eq!(json["board"]["console"]["log"]["base"], "0x405f0000");
}

#[test]
fn those_who_are_given_it_read_it_and_nobody_else_does() {
    let plan = stand_in::at(QUIET);
    let log = plan.board.console.log().unwrap();
    let range = log.base.value()..log.base.value() + log.bytes;
    for (n, vm) in plan.vms.iter().enumerate() {
        let seen: Vec<_> = stage2::mapped(&plan, n)
            .into_iter()
            .filter(|it| it.pa.start < range.end && range.start < it.pa.end)
            .collect();
        assert_eq!(seen.len(), if vm.log.is_some() { 16 } else { 0 }, "{}", vm.name);
        assert!(seen.iter().all(|page| page.attributes & WRITABLE == 0), "{}", vm.name);
        assert_eq!(seen.first().map(|page| page.ipa), vm.log.map(|log| log.base.value()));
    }
}

/// A channel, a watchdog's frames and the log are placed above the VM's memory, without an `ipa`.
#[test]
fn what_is_above_a_vms_memory_is_apart() {
    let read = |path: &str| std::fs::read_to_string(tests::root().join(path)).unwrap();
    let named = "board = \"qemu-virt-quiet\"";
    let system = read(QUIET).replace(named, "board = \"board.toml\"");
    let reader = "partition = \"logreader\"\n";
    let watched = format!("{reader}watchdog = {{ time = \"1 s\", action = \"halt\" }}\n");
    let system = system.replacen(reader, &watched, 1)
        + "\n[[channel]]\nname = \"talk\"\nsize = \"64 KiB\"\nends = [\n\
           { vm = \"reader\", access = \"read-write\" },\n\
           { vm = \"worker\", access = \"read-only\" },\n]\n";
    let directory = stand_in::directory("log-beside");
    let board = read("tests/qemu/boards/qemu-virt-quiet.toml");
    let system = stand_in::good(stand_in::written(&directory, &system, &board));
    let plan = stand_in::good(stand_in::plan(&system, &directory));
    rules::hold(&plan);
    let vm = &plan.vms[0];
    let log = vm.log.unwrap().base.value();
    let channel = plan.vm_channel_ends(vm)[0].ipa.value();
    let watchdog = vm.watchdog.as_ref().unwrap().base.value();
    let mut all = [(log, 64 << 10), (channel, 64 << 10), (watchdog, 68 << 10)];
    all.sort();
    assert!(all.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "{all:x?}");
}

/// RAM may begin there, and so may a guest: EL2 has no business at address 0.
#[test]
fn el2_reaches_nothing_at_address_0() {
    let plan = stand_in::at(QUIET);
    let mapped = stage2::own(&plan);
    assert!(!mapped.is_empty() && mapped.iter().all(|it| it.pa.start != 0), "{mapped:x?}");
}
