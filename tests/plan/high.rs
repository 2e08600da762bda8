// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Boards whose memory and registers need more than 39 address bits.

use codegen::model::System;
use codegen::plan::Plan;

use crate::{rules, software, stand_in};

const SYSTEM: &str = r#"
[system]
name = "high"
board = "board.toml"

[[vm]]
name = "first"
partition = "msix"
vpes = [{ cpu = "cpu0" }, { cpu = "cpu1" }]
memory = [{ size = "256 MiB", identity = true }]
devices = ["nvme0", "rtc"]

[[vm.event]]
device = "nvme0"
events = "0..2"

[[vm]]
name = "second"
partition = "hello"
vpes = [{ cpu = "cpu2" }]
memory = [{ size = "2 MiB", ipa = 0x4000_0000 }]

[[channel]]
name = "talk"
size = "64 KiB"
ends = [{ vm = "first", access = "read-write" }, { vm = "second", access = "read-only" }]
"#;

/// The system on QEMU's board with other addresses.
fn system(test: &str, moved: &[(&str, &str)]) -> System {
    let directory = stand_in::directory(test);
    stand_in::good(stand_in::written(&directory, SYSTEM, &stand_in::board(moved)))
}

/// Its plan, which holds every rule, and whose events arrive.
fn plan(test: &str, moved: &[(&str, &str)]) -> Plan {
    let system = system(test, moved);
    let plan = stand_in::good(stand_in::plan(&system, &stand_in::directory(test)));
    rules::hold(&plan);
    software::deliver(&plan);
    plan
}

/// T0SZ, SL0 and PS of VTCR_EL2.
fn stage2(plan: &Plan, vm: usize) -> (u64, u64, u64) {
    let vtcr = plan.vms[vm].vtcr.0;
    (vtcr & 0x3f, vtcr >> 6 & 3, vtcr >> 16 & 7)
}

fn t0sz(plan: &Plan) -> u64 {
    plan.hypervisor.tcr.0 & 0x3f
}

const BITS: &str = "psci = \"smc\"\n";
const RAM: &str = "base = 0x4000_0000";
const ECAM: &str = "ecam = { base = 0x40_1000_0000";

#[test]
fn ram_at_a_tebibyte() {
    let plan = plan(
        "high-1-tib",
        &[(BITS, "psci = \"smc\"\naddress_bits = 44\n"), (RAM, "base = 0x100_0000_0000")],
    );
    assert_eq!(plan.hypervisor.base.value(), 0x100_0020_0000);
    assert_eq!((t0sz(&plan), stage2(&plan, 0)), (64 - 41, (64 - 41, 2, 4)));
    assert_eq!(stage2(&plan, 1).0, 64 - 32, "a guest that sees nothing above 4 GiB");
}

#[test]
fn four_pages_side_by_side_where_level_0_may_not_be_first() {
    let plan = plan(
        "high-42-bits",
        &[(BITS, "psci = \"smc\"\naddress_bits = 42\n"), (RAM, "base = 0x100_0000_0000")],
    );
    assert_eq!(stage2(&plan, 0), (64 - 41, 1, 3));
}

#[test]
fn a_server() {
    let plan = plan(
        "high-server",
        &[
            (BITS, "psci = \"smc\"\naddress_bits = 48\n"),
            (RAM, "base = 0x820_8000_0000"),
            ("base = 0x0808_0000", "base = 0xc6_6000_0000"),
            ("base = 0x080a_0000", "base = 0xc6_6100_0000"),
            ("base = 0x0800_0000", "base = 0xc6_0000_0000"),
            (ECAM, "ecam = { base = 0x8000_1000_0000"),
            (
                "window32 = { base = 0x1000_0000, size = \"752 MiB\" }",
                "window32 = { base = 0x1000_0000, size = \"8 KiB\" }",
            ),
            ("base = 0x80_0000_0000", "base = 0x9000_0000_0000"),
        ],
    );
    assert_eq!((t0sz(&plan), stage2(&plan, 0)), (16, (16, 2, 5)));
    let bar = &plan.functions[0].bars[0];
    assert!(bar.base.value() >= 0x9000_0000_0000, "{bar:?}");
    assert_eq!(plan.its.as_ref().unwrap().base.value(), 0xc6_6000_0000);
}

#[test]
fn two_pages_for_a_bar_above_512_gib() {
    let moved = ("window32 = { base = 0x1000_0000, size = \"752 MiB\" }\n", "");
    let plan = plan("high-bar", &[moved]);
    assert_eq!(plan.functions[0].bars[0].base.value(), 0x80_0000_0000);
    assert_eq!((t0sz(&plan), stage2(&plan, 0)), (64 - 40, (64 - 40, 1, 2)));
    assert_eq!(plan.vms[0].stage2_bytes % 4096, 0);
}
