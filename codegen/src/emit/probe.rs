// SPDX-License-Identifier: Apache-2.0 OR MIT
//! board.rs and board.ld of the probe: where the image that measures a board is, and where it
//! looks.

use std::fmt::Write;

use crate::model::{Board, DeviceKind, Uart};
use ::plan::UartKind;

/// For code, data and a stack.
pub const ROOM: u64 = 1 << 20;

/// First address of the image, and its distance from the lowest RAM: what an arm64 Image's header
/// says.
pub fn place(board: &Board) -> (u64, u64) {
    let base = board.hypervisor_base();
    let ram = board.ram.iter().map(|ram| ram.region.start()).min().unwrap_or(0);
    (base, base.saturating_sub(ram))
}

/// Symbols for the linker script.
pub fn link(board: &Board) -> String {
    let (base, offset) = place(board);
    format!("PROBE_BASE = {base:#x};\nTEXT_OFFSET = {offset:#x};\nPROBE_ROOM = {ROOM:#x};\n")
}

/// Constants for hyp/probe/src/board.rs. `file` is how a TOML beside the measured one names the
/// board's. None: the board has no UART that could say anything.
pub fn constants(board: &Board, file: &str) -> Option<String> {
    let uart = board.console.as_ref().and_then(|console| board.uarts.get(console.value))?;
    let mut text = String::from("// Written by `bulkhead probe`.\n");
    // A String takes any text.
    let _ = writeln!(text, "pub const UART_BASE: u64 = {:#x};", uart.region.start());
    let _ = writeln!(text, "pub const UART: {} = {};", kind(uart), driver(uart));
    let _ = writeln!(text, "pub static BOARD: Board = Board {{");
    let _ = writeln!(text, "    file: {file:?},");
    let _ = writeln!(text, "    base: {:#x},", place(board).0);
    list(&mut text, "cpus", &board.cpus, |cpu| {
        format!("Cpu {{ name: {:?}, mpidr: {:#x} }}", cpu.name.value, cpu.mpidr.value)
    });
    let _ = writeln!(text, "    distributor: {:#x},", board.gic.distributor.start());
    list(&mut text, "regions", &regions(board), |(base, bytes)| {
        format!("Region {{ base: {base:#x}, bytes: {bytes:#x} }}")
    });
    let its = board.gic.its.as_ref().map(|its| its.region.start());
    let _ = writeln!(text, "    its: {its:?},");
    list(&mut text, "smmus", &board.smmus, |smmu| {
        format!("Smmu {{ name: {:?}, base: {:#x} }}", smmu.name.value, smmu.region.start())
    });
    list(&mut text, "hosts", &board.pcie, |host| {
        let (first, last) = (host.first_bus.value, host.last_bus.value);
        let (name, ecam) = (&host.name.value, host.ecam.start());
        format!("Host {{ name: {name:?}, ecam: {ecam:#x}, first: {first}, last: {last} }}")
    });
    list(&mut text, "functions", &functions(board), |(name, host, address)| {
        format!("Function {{ name: {name:?}, host: {host}, address: {address:#x} }}")
    });
    text.push_str("};\n");
    Some(text)
}

/// Regions of redistributors: base, bytes. The size of a single one may come of a stride that is
/// wrong; its last redistributor says that it is the last.
fn regions(board: &Board) -> Vec<(u64, u64)> {
    const LONGEST: u64 = 256 << 10;
    let redistributors = &board.gic.redistributors;
    let least = match redistributors.more.is_empty() {
        true => board.cpus.len() as u64 * LONGEST,
        false => 0,
    };
    redistributors.regions().map(|one| (one.start(), one.size.value.max(least))).collect()
}

/// Devices and bridges: name, host, address.
fn functions(board: &Board) -> Vec<(&str, usize, u16)> {
    let devices = board.devices.iter().filter_map(|device| match &device.kind {
        DeviceKind::Pci { host, address, .. } => {
            Some((device.name.value.as_str(), host.value, address.value.requester()))
        }
        DeviceKind::Platform { .. } => None,
    });
    let bridges = board.bridges.iter();
    devices
        .chain(
            bridges.map(|one| {
                (one.name.value.as_str(), one.host.value, one.address.value.requester())
            }),
        )
        .collect()
}

fn list<T>(text: &mut String, name: &str, items: &[T], entry: impl Fn(&T) -> String) {
    let _ = writeln!(text, "    {name}: &[");
    for item in items {
        let _ = writeln!(text, "        {},", entry(item));
    }
    text.push_str("    ],\n");
}

fn kind(uart: &Uart) -> String {
    format!("uart::{:?}<crate::line::Port>", uart.kind.value)
}

fn driver(uart: &Uart) -> String {
    let width = match uart.reg_io_width.value {
        1 => "Byte",
        2 => "Half",
        _ => "Word",
    };
    let own = match uart.kind.value {
        UartKind::Pl011 => format!(", width: uart::Width::{width}"),
        UartKind::Ns16550 => {
            format!(", shift: {}, width: uart::Width::{width}", uart.reg_shift.value)
        }
        _ => String::new(),
    };
    format!("uart::{:?} {{ registers: crate::line::Port{own} }}", uart.kind.value)
}
