// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Plans reviewed as code: the demo's whole, of those with shared CPUs the time map and the
//! schedules, of two PCIe hosts what is behind them.

use std::{env, fs};

use codegen::emit::{constants, link, report};

use crate::stand_in;

fn compare(name: &str, text: &str) {
    let path = tests::root().join("tests/plans").join(name);
    if env::var_os("BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let first = text.lines().zip(expected.lines()).find(|(new, old)| new != old);
    assert!(
        text == expected,
        "{} is not what the plan is now; first difference (new, old): {first:#?}; BLESS=1 writes it",
        path.display()
    );
}

#[test]
fn the_demo_is_planned_as_before() {
    let plan = stand_in::of("demo");
    // The digest changes with every comment in a TOML: no one could review that.
    let text = report::text(&plan).replace(&format!("{:016x}", plan.digest.0), "DIGEST");
    compare("demo.txt", &text);
    compare("demo.ld", &link::fragment(&plan));
    let code = constants::file(&plan).replace(&format!("{:#x}", plan.digest.0), "DIGEST");
    compare("demo.rs", &code);
}

/// What is between two texts, the first one included.
fn between<'a>(text: &'a str, first: &str, last: &str) -> &'a str {
    let from = text.find(first).unwrap_or_else(|| panic!("no {first:?}"));
    let to = text[from..].find(last).unwrap_or_else(|| panic!("no {last:?}"));
    &text[from..from + to]
}

#[test]
fn shared_cpus_are_planned_as_before() {
    for (name, path) in [("shared", "configs/shared.toml"), ("modes", stand_in::MODES)] {
        let plan = stand_in::at(path);
        let text = report::text(&plan);
        compare(&format!("{name}.txt"), between(&text, "Time: ", "\nVM "));
        let code = constants::file(&plan);
        let cpus = between(&code, "    cpus: &[\n", "    vms: &[\n");
        let modes = between(&code, "    modes: ", "    its: ");
        // Addresses belong to other tests.
        let address = |line: &&str| !line.contains("baser: ");
        let lines: Vec<&str> = cpus.lines().chain(modes.lines()).filter(address).collect();
        compare(&format!("{name}.rs"), &(lines.join("\n") + "\n"));
    }
}

#[test]
fn two_hosts_are_planned_as_before() {
    let text = report::text(&stand_in::at(stand_in::HOSTS));
    compare("hosts.txt", between(&text, "PCI functions: ", "\nSPIs: "));
}

#[test]
fn a_plan_with_shared_cpus_is_json_too() {
    let plan = stand_in::at(stand_in::MODES);
    let json: serde_json::Value = serde_json::from_str(&report::json(&plan)).unwrap();
    let cpu = &json["cpus"][0]["schedule"];
    assert_eq!((&cpu["kind"], &cpu["ticks"]), (&"cyclic".into(), &10_000_000.into()));
    assert_eq!(cpu["vpes"][0]["worst_gap"], 4_000_000);
    assert_eq!(json["modes"]["modes"][1]["switches"][0]["moves"][0]["vpe"], 1);
}
