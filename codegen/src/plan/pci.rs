//! PCI functions: where their BARs go and what boot writes into their configuration space.
//!
//! Each VM gets one window of each host, 2 MiB aligned, that holds its BARs and nobody else's, so that its device tree can
//! describe a host bridge of its own. BARs lie in the 32-bit window; a wide one may go above 4 GiB when that is full.
//! A BAR has pages of its own, because a page is the smallest thing that stage 2 can give.

use super::Arena;
use super::decided::{Bar, Function, Hex, PciWindow};
use crate::diag::{Report, rules};
use crate::emit::translation::LIMIT;
use crate::model::{self, Device, DeviceKind, System};

const PAGE: u64 = 4096;
const MIB2: u64 = 2 << 20;
/// Command register: memory space; interrupt pins off (PCI 3.0, 6.2.2). Bus mastering is for the guest to turn on when it has
/// told the function where its memory is: what a former life of the VM told it is no more.
const COMMAND: u64 = 1 << 1 | 1 << 10;
const OFFSET_COMMAND: u16 = 0x04;
const OFFSET_BAR0: u16 = 0x10;

/// All functions of all VMs, those of one VM side by side, and the windows of each VM.
#[derive(Debug, Default)]
pub struct Windows {
    pub functions: Vec<Function>,
    pub of_vm: Vec<Vec<PciWindow>>,
}

/// Free parts of a host's windows.
struct Free {
    low: Arena,
    high: Arena,
}

/// Places the BARs of every device that a VM has.
pub fn place(system: &System, report: &mut Report) -> Option<Windows> {
    let mut hosts: Vec<Free> = system.board.pcie.iter().map(free).collect();
    let mut out = Windows::default();
    for (vm, owner) in system.vms.iter().enumerate() {
        let mut windows = Vec::new();
        for (host, free) in hosts.iter_mut().enumerate() {
            let mut functions: Vec<(Function, &Device)> = owner
                .devices
                .iter()
                .map(|use_| &system.board.devices[use_.device.value])
                .filter_map(|device| function(system, vm, host, device).map(|f| (f, device)))
                .collect();
            let Some(made) = window(&mut functions, host, free) else {
                let name = &system.board.pcie[host].name;
                report.push(
                    rules::WINDOW_FULL
                        .says(format!(
                            "the BARs of \"{}\" do not fit into the windows of \"{}\"",
                            owner.name.value, name.value
                        ))
                        .label(&owner.name, "this VM's devices")
                        .label(name, "this host")
                        .help("make `window32` of the board larger, or give the VM fewer devices"),
                );
                continue;
            };
            windows.extend(made);
            out.functions.extend(functions.into_iter().map(|(function, _)| setup(function)));
        }
        out.of_vm.push(windows);
    }
    (!report.has_errors()).then_some(out)
}

fn free(host: &model::Pcie) -> Free {
    let arena = |region: &Option<model::Region>| match region {
        Some(region) => Arena::new(region.start()..region.end().min(LIMIT)),
        None => Arena::default(),
    };
    Free { low: arena(&host.window32), high: arena(&host.window64) }
}

fn function(system: &System, vm: usize, on: usize, device: &Device) -> Option<Function> {
    let DeviceKind::Pci { host, address, id, bars } = &device.kind else {
        return None;
    };
    if host.value != on {
        return None;
    }
    let pcie = &system.board.pcie[on];
    let requester = address.requester();
    let within = u64::from(requester) - (u64::from(pcie.first_bus.value) << 8);
    Some(Function {
        name: device.name.value.clone(),
        vm,
        host: on,
        bdf: requester,
        config: Hex(pcie.ecam.start() + within * PAGE),
        id: Hex(u64::from(id.device) << 16 | u64::from(id.vendor)),
        bars: bars
            .iter()
            .map(|bar| Bar {
                index: bar.index.value,
                wide: bar.wide,
                prefetchable: bar.prefetchable,
                base: Hex(0),
                bytes: bar.size.value,
            })
            .collect(),
        setup: Vec::new(),
    })
}

/// Gives every BAR its address; the windows that hold them. None: they do not fit.
fn window(
    functions: &mut [(Function, &Device)],
    host: usize,
    free: &mut Free,
) -> Option<Vec<PciWindow>> {
    let all = |_: &Bar| true;
    if let Some(low) = fill(functions, &mut free.low, all) {
        return Some(low.map(|span| piece(host, false, span)).into_iter().collect());
    }
    let low = fill(functions, &mut free.low, |bar| !bar.wide)?;
    let high = fill(functions, &mut free.high, |bar| bar.wide)?;
    let low = low.map(|span| piece(host, false, span));
    let high = high.map(|span| piece(host, true, span));
    Some(low.into_iter().chain(high).collect())
}

fn piece(host: usize, wide: bool, (base, bytes): (u64, u64)) -> PciWindow {
    PciWindow { host, wide, base: Hex(base), bytes }
}

/// One window for the BARs that `wanted` picks. None: no room. Some(None): there is no such BAR.
#[expect(clippy::option_option, reason = "no room and nothing wanted are different answers")]
fn fill(
    functions: &mut [(Function, &Device)],
    arena: &mut Arena,
    wanted: impl Fn(&Bar) -> bool,
) -> Option<Option<(u64, u64)>> {
    let mut bars: Vec<&mut Bar> = functions
        .iter_mut()
        .flat_map(|(function, _)| &mut function.bars)
        .filter(|bar| wanted(bar))
        .collect();
    // Largest first, so that each lies at a multiple of its size without gaps.
    bars.sort_by_key(|bar| std::cmp::Reverse(bar.bytes.max(PAGE)));
    let Some(largest) = bars.first().map(|bar| bar.bytes) else {
        return Some(None);
    };
    let bytes: u64 = bars.iter().map(|bar| bar.bytes.max(PAGE)).sum();
    let bytes = bytes.next_multiple_of(MIB2);
    let base = arena.take(bytes, largest.max(MIB2))?;
    let mut next = base;
    for bar in bars {
        bar.base = Hex(next);
        next += bar.bytes.max(PAGE);
    }
    Some(Some((base, bytes)))
}

/// The writes that make a function ready: BARs, then the command register.
fn setup(mut function: Function) -> Function {
    for bar in &function.bars {
        let offset = OFFSET_BAR0 + 4 * u16::from(bar.index);
        function.setup.push((offset, Hex(bar.base.0 & 0xffff_ffff)));
        if bar.wide {
            function.setup.push((offset + 4, Hex(bar.base.0 >> 32)));
        }
    }
    function.setup.push((OFFSET_COMMAND, Hex(COMMAND)));
    function
}
