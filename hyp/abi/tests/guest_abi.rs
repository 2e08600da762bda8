// SPDX-License-Identifier: Apache-2.0 OR MIT
//! docs/guest-abi.md and docs/console.md say what this crate says.

use abi::{Counter, console, hypercall, log, psci, smccc, tree, watchdog};

const PAGE: &str = include_str!("../../../docs/guest-abi.md");
const CONSOLE: &str = include_str!("../../../docs/console.md");

/// Rows of the table under this line of headings, as cells.
fn table<'a>(page: &'a str, headings: &str) -> Vec<Vec<&'a str>> {
    let rows: Vec<Vec<&str>> = page
        .lines()
        .skip_while(|line| !line.starts_with(headings))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert!(!rows.is_empty(), "no table {headings}");
    rows
}

fn number(function: u32) -> String {
    format!("{:#06x}_{:04x}", function >> 16, function & 0xffff)
}

#[test]
fn counters() {
    let table: Vec<String> =
        table(PAGE, "| n | counter |").iter().map(|row| row.join(" ")).collect();
    let ours: Vec<String> = Counter::ALL
        .iter()
        .map(|counter| format!("{} {}", *counter as u8, counter.name()))
        .collect();
    assert_eq!(table, ours);
}

/// Bulkhead's own functions, one row each and in order; nothing else has a number like theirs.
#[test]
fn hypercalls() {
    let table = table(PAGE, "| function | name |");
    let own: Vec<[&str; 2]> =
        table.iter().filter(|row| row[0].starts_with("0xc6")).map(|row| [row[0], row[1]]).collect();
    let numbers: Vec<String> = hypercall::FUNCTIONS.iter().map(|one| number(one.0)).collect();
    let ours: Vec<[&str; 2]> =
        numbers.iter().zip(hypercall::FUNCTIONS).map(|(number, one)| [&**number, one.1]).collect();
    assert_eq!(own, ours);
}

#[test]
fn standard_functions() {
    let table = table(PAGE, "| function | name |");
    let row = |function: &str| {
        let mut rows = table.iter().filter(|row| row[0].split(", ").any(|one| one == function));
        rows.next().unwrap_or_else(|| panic!("{function} has no row"))
    };
    let names: Vec<&str> = row("PSCI 0.2+ range")[1].split(", ").collect();
    for (_, name) in psci::FUNCTIONS {
        assert!(names.contains(name), "PSCI's {name}");
    }
    assert_eq!(names.len(), psci::FUNCTIONS.len());
    let version = row(&number(smccc::VERSION));
    assert_eq!(version[3], format!("{:#x}_{:04x}", smccc::VERSION_1_2 >> 16, 2));
    for function in [smccc::ARCH_FEATURES, smccc::ARCH_WORKAROUND_1, smccc::ARCH_WORKAROUND_3] {
        row(&number(function));
    }
    let bytes: String = smccc::UID
        .iter()
        .flat_map(|&word| (word as u32).to_le_bytes())
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let uid = row(&number(smccc::HYPERVISOR_UID))[3].replace('-', "");
    assert!(uid.contains(&bytes), "{uid}, not {bytes}");
    let [major, minor] = smccc::REVISION;
    let revision = row(&number(smccc::HYPERVISOR_REVISION))[3];
    assert!(revision.ends_with(&format!(" {major}, {minor}")), "{revision}");
}

#[test]
fn results() {
    let table = table(PAGE, "| function | name |");
    let results: Vec<&str> = table.iter().map(|row| row[3]).collect();
    for (value, name) in [
        (smccc::DENIED, "DENIED"),
        (smccc::INVALID_PARAMETERS, "INVALID_PARAMETERS"),
        (smccc::BUSY, "BUSY"),
    ] {
        let text = format!("{} ({name}", value as i64);
        assert!(results.iter().any(|result| result.contains(&text)), "{text}");
    }
}

/// The node `/bulkhead` in the page has every name of ours, and no other.
#[test]
fn device_tree() {
    let node = PAGE.split("\nbulkhead {").nth(1).expect("the page shows the node");
    let node = node.split("```").next().unwrap();
    let lines: String = node.lines().map(|line| line.split("/*").next().unwrap()).collect();
    let mut shown: Vec<&str> = Vec::new();
    for part in lines.split([';', '{', '}']) {
        let name = part.split(['=', '@']).next().unwrap().trim();
        if !name.is_empty() && !["compatible", "reg"].contains(&name) {
            shown.push(name);
        }
    }
    shown.sort_unstable();
    shown.dedup();
    let mut ours = tree::NAMES.to_vec();
    ours.sort_unstable();
    assert_eq!(shown, ours);
    for compatible in [tree::SYSTEM_COMPATIBLE, tree::CHANNEL_COMPATIBLE] {
        assert!(node.contains(&format!("compatible = \"{compatible}\"")), "{compatible}");
    }
    for role in [tree::FIRST, tree::SECOND] {
        assert!(PAGE.contains(&format!("\"{role}\"")), "{role}");
    }
}

#[test]
fn console_bytes() {
    let table = table(CONSOLE, "| byte | name |");
    let shown: Vec<(u8, &str)> = table
        .iter()
        .map(|row| {
            let byte = row[0].trim_start_matches("0x").split(' ').next().unwrap();
            (u8::from_str_radix(byte, 16).unwrap(), row[1].trim_matches('`'))
        })
        .collect();
    let ours = [
        (console::OWN, "OWN"),
        (console::VM, "VM"),
        (console::CUT, "CUT"),
        (console::AGAIN, "AGAIN"),
        (console::ESCAPE, "ESCAPE"),
    ];
    assert_eq!(shown, ours);
}

#[test]
fn log_layout() {
    let table = table(CONSOLE, "| at | bytes | what |");
    let offsets: Vec<String> = table.iter().map(|row| row[0].into()).collect();
    assert_eq!(offsets, [0, log::SIZE, log::HEAD, log::RING].map(|at| at.to_string()));
    assert!(table[0][2].contains(str::from_utf8(&log::MAGIC.to_le_bytes()).unwrap()));
}

/// Registers of the watchdog that the page names are the ones there are.
#[test]
fn watchdog_registers() {
    let section = PAGE.split("\n## Watchdog").nth(1).expect("the page has the section");
    let table = table(section, "| register | value |");
    let shown: Vec<&str> =
        table.iter().map(|row| row[0].split(',').next().unwrap().trim()).collect();
    let ours = watchdog::REGISTERS.map(|(_, name)| name);
    assert_eq!(shown, ours);
}
