// SPDX-License-Identifier: Apache-2.0 OR MIT
//! PCI functions: where their BARs go and what boot writes into their configuration space.
//!
//! Each VM gets one window of each host, 2 MiB aligned, that holds its BARs on the host's own bus
//! and nobody else's, so that its device tree can describe a host bridge of its own; what is behind
//! bridges follows (`bridge`). BARs lie in the 32-bit window; a wide one may go above 4 GiB when
//! that is full, unless it is behind a bridge. A BAR has pages of its own, because a page is the
//! smallest thing that stage 2 can give.
//!
//! All of this is done in addresses of the bus, which is what must be aligned. Where CPUs have them
//! comes last.

use super::Arena;
use super::bridge;
use crate::check::beyond;
use crate::diag::{Diagnostic, Report, rules};
use crate::model::{self, DeviceKind, System};
use ::plan::{
    Bar, ConfigSpace, ConfigWrite, Hex, Intx, Msix, Pa, PciBridge, PciFunction, PciWindow, Span,
    VmIndex,
};

pub const PAGE: u64 = 4096;
const MIB2: u64 = 2 << 20;
/// Command register: memory space; interrupt pins off (PCI 3.0, 6.2.2). Bus mastering is for the
/// guest to turn on when it has told the function where its memory is: what a former life of the VM
/// told it is no more.
const COMMAND: u64 = 1 << 1 | 1 << 10;
pub const OFFSET_COMMAND: u16 = 0x04;
const OFFSET_BAR0: u16 = 0x10;
const OFFSET_ROM: u16 = 0x30;

/// All functions of all VMs, those of one VM side by side, the bridges before them, and the windows
/// of each VM.
#[derive(Debug, Default)]
pub struct Windows {
    pub functions: Vec<PciFunction>,
    pub bridges: Vec<PciBridge>,
    pub of_vm: Vec<Vec<PciWindow>>,
}

/// Free parts of a host's windows.
struct Free {
    low: Arena,
    high: Arena,
}

/// Places the BARs of every device that a VM has.
pub fn place(system: &System, report: &mut Report) -> Option<Windows> {
    let end = system.board.address_end();
    let mut hosts: Vec<Free> = system.board.pcie.iter().map(|host| free(host, end)).collect();
    let mut out = Windows {
        functions: functions(system),
        bridges: bridge::needed(system),
        of_vm: vec![Vec::new(); system.vms.len()],
    };
    for (vm, owner) in system.vms.iter().enumerate() {
        for (host, free) in hosts.iter_mut().enumerate() {
            let pcie = &system.board.pcie[host];
            let first_bus = u16::from(pcie.first_bus.value);
            let own = out.functions.iter_mut().filter(|function| {
                function.vm == VmIndex::at(vm)
                    && function.space.host == host
                    && function.space.bdf >> 8 == first_bus
            });
            let mut bars: Vec<&mut Bar> = own.flat_map(|function| &mut function.bars).collect();
            let Some(made) = window(&mut bars, host, free) else {
                report.push(full(&system.board, owner, pcie));
                continue;
            };
            out.of_vm[vm].extend(made);
            behind(system, &mut out, (vm, host), &mut free.low, report);
        }
    }
    out.of_vm.iter_mut().for_each(join);
    for function in &mut out.functions {
        seen_by_cpus(&system.board.pcie[function.space.host], &mut function.bars);
        table_pages(function);
        setup(function);
    }
    for bridge in &mut out.bridges {
        seen_by_cpus(&system.board.pcie[bridge.space.host], &mut bridge.bars);
    }
    for window in out.of_vm.iter_mut().flatten() {
        window.base = Pa::new(system.board.pcie[window.host].cpu(window.bus.0));
    }
    (!report.has_errors()).then_some(out)
}

fn full(board: &model::Board, owner: &model::Vm, pcie: &model::Pcie) -> Diagnostic {
    let full = rules::WINDOW_FULL
        .says(format!(
            "the BARs of \"{}\" do not fit into the windows of \"{}\"",
            owner.name.value, pcie.name.value
        ))
        .label(&owner.name, "this VM's devices")
        .label(&pcie.name, "this host");
    match beyond(board, pcie) {
        Some(window) => full
            .label(
                &window.region.base,
                format!("CPUs reach addresses below {:#x}", board.address_end()),
            )
            .help("give the VM fewer devices: what is above cannot be used for 64-bit BARs"),
        None => full.help("make `window32` of the board larger, or give the VM fewer devices"),
    }
}

/// BARs lie where the bus has them; CPUs may have them elsewhere.
fn seen_by_cpus(host: &model::Pcie, bars: &mut [Bar]) {
    for bar in bars {
        bar.base = Pa::new(host.cpu(bar.bus.0));
    }
}

/// Where CPUs have the pages of the MSI-X table, unless the VM is to have them directly.
fn table_pages(function: &mut PciFunction) {
    let Some(msix) = &mut function.msix else { return };
    let bar = function.bars.iter().find(|bar| bar.index == msix.bar);
    if let (Some(bar), Some(pages)) = (bar, &mut msix.pages) {
        let start = bar.base.value() + u64::from(msix.offset);
        let end = start + model::Msix::ENTRY * u64::from(msix.vectors);
        let base = start & !(PAGE - 1);
        *pages = Span { base: Pa::new(base), bytes: end.next_multiple_of(PAGE) - base };
    }
}

/// What is behind those bridges on the host's own bus of which `vm` is the first to see one.
fn behind(
    system: &System,
    out: &mut Windows,
    (vm, host): (usize, usize),
    low: &mut Arena,
    report: &mut Report,
) {
    let pcie = &system.board.pcie[host];
    let first = |bridge: &PciBridge| {
        bridge.space.host == host
            && bridge.space.bdf >> 8 == u16::from(pcie.first_bus.value)
            && bridge.views.first().is_some_and(|view| view.vm == VmIndex::at(vm))
    };
    for n in 0..out.bridges.len() {
        if !first(&out.bridges[n]) {
            continue;
        }
        if bridge::place(&mut out.bridges, &mut out.functions, n, low).is_none() {
            let name = &out.bridges[n].name;
            report.push(
                rules::WINDOW_FULL
                    .says(format!(
                        "the BARs behind bridge \"{name}\" do not fit into `window32` of \"{}\"",
                        pcie.name.value
                    ))
                    .label(&system.vms[vm].name, "this VM has some of them")
                    .label(&pcie.name, "this host")
                    .help("make `window32` of the board larger, or give VMs fewer devices"),
            );
            continue;
        }
        for view in out.bridges[n].views.iter().filter(|view| view.bytes != 0) {
            out.of_vm[view.vm.index()].push(piece(host, false, (view.base.0, view.bytes)));
        }
    }
}

/// Windows that touch become one.
fn join(windows: &mut Vec<PciWindow>) {
    windows.sort_by_key(|window| (window.host, window.wide, window.bus));
    windows.dedup_by(|next, kept| {
        let touch = (kept.host, kept.wide) == (next.host, next.wide)
            && kept.bus.0 + kept.bytes == next.bus.0;
        if touch {
            kept.bytes += next.bytes;
        }
        touch
    });
}

/// Those of all VMs, their BARs not yet placed.
fn functions(system: &System) -> Vec<PciFunction> {
    let mut out = Vec::new();
    for (vm, owner) in system.vms.iter().enumerate() {
        for host in 0..system.board.pcie.len() {
            let devices = owner.devices.iter().map(|used| used.device.value);
            out.extend(devices.filter_map(|device| function(system, vm, host, device)));
        }
    }
    out
}

/// Below `end`, where CPUs have no more addresses.
fn free(host: &model::Pcie, end: u64) -> Free {
    let arena = |window: &Option<model::PciWindow>| match window {
        Some(window) => {
            let mapped = end.saturating_sub(window.region.start());
            let bus = window.bus.value;
            // A BAR that holds 0 is one that nobody has placed.
            Arena::new(bus.max(MIB2)..bus.saturating_add(window.region.size.value.min(mapped)))
        }
        None => Arena::default(),
    };
    Free { low: arena(&host.window32), high: arena(&host.window64) }
}

fn function(system: &System, vm: usize, on: usize, index: usize) -> Option<PciFunction> {
    let device = &system.board.devices[index];
    let DeviceKind::Pci { host, address, id, bars, msix, pin } = &device.kind else {
        return None;
    };
    if host.value != on {
        return None;
    }
    let pcie = &system.board.pcie[on];
    let usual = pcie.device_id(address.value);
    let intx = system.board.intx(&system.vms[vm], index);
    Some(PciFunction {
        name: device.name.value.clone(),
        place: place_of(pcie, address.value),
        vm: VmIndex::at(vm),
        space: ConfigSpace {
            host: on,
            bdf: address.requester(),
            config: Pa::new(pcie.config(address.value)),
            id: Hex(identity(id.value)),
        },
        device_id: device.device_id.as_ref().map_or(usual, |id| id.value),
        bars: bars.iter().map(bar).collect(),
        messages: None,
        held: system.board.streams(device).is_some(),
        settle_ms: device.settle_ms(),
        pin: pin.as_ref().filter(|_| intx.is_some()).map_or(0, |pin| pin.value as u8 + 1),
        intx: intx.map(|intx| Intx {
            device: intx.device,
            pin: intx.pin + 1,
            intid: intx.intid.value,
        }),
        msix: msix.as_ref().map(table),
        setup: Vec::new(),
    })
}

/// As the board's TOML has it.
pub fn place_of(host: &model::Pcie, address: model::Bdf) -> String {
    format!("{address} of {}", host.name.value)
}

/// What offset 0 must read.
pub fn identity(id: model::PciId) -> u64 {
    u64::from(id.device) << 16 | u64::from(id.vendor)
}

/// Its pages not yet placed.
fn table(msix: &model::Msix) -> Msix {
    let nowhere = Span { base: Pa::new(0), bytes: 0 };
    Msix {
        vectors: msix.vectors.value as u16,
        bar: msix.bar.value,
        offset: msix.table.value,
        pages: (!msix.is_trusted()).then_some(nowhere),
    }
}

/// Not yet placed.
pub fn bar(bar: &model::Bar) -> Bar {
    Bar {
        index: bar.index.value,
        wide: bar.wide,
        prefetchable: bar.prefetchable,
        base: Pa::new(0),
        bus: Hex(0),
        bytes: bar.size.value,
    }
}

/// Gives every BAR its address on the bus; the windows that hold them. None: they do not fit.
fn window(bars: &mut [&mut Bar], host: usize, free: &mut Free) -> Option<Vec<PciWindow>> {
    if let Some(low) = fill(bars, &mut free.low, |_| true) {
        return Some(low.map(|span| piece(host, false, span)).into_iter().collect());
    }
    let low = fill(bars, &mut free.low, |bar| !bar.wide)?;
    let high = fill(bars, &mut free.high, |bar| bar.wide)?;
    let low = low.map(|span| piece(host, false, span));
    let high = high.map(|span| piece(host, true, span));
    Some(low.into_iter().chain(high).collect())
}

fn piece(host: usize, wide: bool, (base, bytes): (u64, u64)) -> PciWindow {
    PciWindow { host, wide, base: Pa::new(0), bus: Hex(base), bytes }
}

/// One window for the BARs that `wanted` picks. None: no room. Some(None): there is no such BAR.
#[expect(clippy::option_option, reason = "no room and nothing wanted are different answers")]
fn fill(
    bars: &mut [&mut Bar],
    arena: &mut Arena,
    wanted: impl Fn(&Bar) -> bool,
) -> Option<Option<(u64, u64)>> {
    let mut bars: Vec<&mut Bar> =
        bars.iter_mut().map(|bar| &mut **bar).filter(|bar| wanted(bar)).collect();
    let Some(largest) = bars.iter().map(|bar| bar.bytes).max() else {
        return Some(None);
    };
    let bytes: u64 = bars.iter().map(|bar| bar.bytes.max(PAGE)).sum();
    let bytes = bytes.next_multiple_of(MIB2);
    let base = arena.take(bytes, largest.max(MIB2))?;
    stack(&mut bars, base);
    Some(Some((base, bytes)))
}

/// Gives `bars` their addresses on the bus from `base` on, a multiple of the largest one's size;
/// where they end.
pub fn stack(bars: &mut [&mut Bar], base: u64) -> u64 {
    // Largest first, so that each lies at a multiple of its size without gaps.
    bars.sort_by_key(|bar| std::cmp::Reverse(bar.bytes.max(PAGE)));
    let mut next = base;
    for bar in bars {
        bar.bus = Hex(next);
        next += bar.bytes.max(PAGE);
    }
    next
}

/// The writes that make a function ready: BARs, no expansion ROM that firmware may have turned on,
/// then the command register.
fn setup(function: &mut PciFunction) {
    function.setup = bar_setup(&function.bars);
    function.setup.extend([write(OFFSET_ROM, 0), write(OFFSET_COMMAND, COMMAND)]);
}

pub fn write(offset: u16, value: u64) -> ConfigWrite {
    ConfigWrite { offset, value: Hex(value) }
}

/// The writes that put BARs where they are to be.
pub fn bar_setup(bars: &[Bar]) -> Vec<ConfigWrite> {
    let mut out = Vec::new();
    for bar in bars {
        let offset = OFFSET_BAR0 + 4 * u16::from(bar.index);
        out.push(write(offset, bar.bus.0 & 0xffff_ffff));
        if bar.wide {
            out.push(write(offset + 4, bar.bus.0 >> 32));
        }
    }
    out
}
