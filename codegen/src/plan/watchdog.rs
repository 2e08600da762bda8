// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Watchdogs of VMs: where their frames and their interrupts are.
//!
//! No board has them, so that they stand where the guest has nothing else: the frames above its
//! memory, the interrupt at the lowest SPI that the board uses for nothing.

use super::memory::{self, Placed};
use super::pci::Windows;
use crate::diag::{Report, rules};
use crate::model::{self, DeviceKind, Fault, System, WatchdogAction};
use crate::units::Time;
use ::plan::{Ipa, ModeIndex, Watchdog};

/// Bytes from the control frame to the end of the refresh frame, and what both are aligned to.
pub const BYTES: u64 = 0x1_1000;
pub use abi::watchdog::{FRAME, REFRESH};

/// The watchdog of each VM, given where its channels are.
pub fn place(
    system: &System,
    placed: &Placed,
    windows: &Windows,
    channels: &[Vec<u64>],
    report: &mut Report,
) -> Option<Vec<Option<Watchdog>>> {
    let mut out = Vec::new();
    for (n, vm) in system.vms.iter().enumerate() {
        let Some(watchdog) = &vm.watchdog else {
            out.push(None);
            continue;
        };
        let mut space = memory::beside_channels(system, placed, windows, channels, n);
        match (space.take(BYTES.next_multiple_of(REFRESH), REFRESH), free_spi(system)) {
            (Some(base), Some(intid)) => {
                out.push(Some(decide(system, vm, &watchdog.value, base, intid)));
            }
            _ => report.push(
                rules::PLAN_IMPOSSIBLE
                    .says(
                        "a watchdog needs an SPI that the board does not use, and 128 KiB of \
                           guest addresses",
                    )
                    .label(watchdog, "for this watchdog"),
            ),
        }
    }
    (!report.has_errors()).then_some(out)
}

fn decide(
    system: &System,
    vm: &model::Vm,
    watchdog: &model::Watchdog,
    base: u64,
    intid: u32,
) -> Watchdog {
    let (action, mode) = match watchdog.action {
        WatchdogAction::Report => (None, None),
        WatchdogAction::OnFault => (Some(vm.on_fault), vm.mode_on_fault.as_ref()),
        WatchdogAction::Halt => (Some(Fault::Halt), None),
        WatchdogAction::Restart => (Some(Fault::Restart), None),
        WatchdogAction::ResetBoard => (Some(Fault::ResetBoard), None),
    };
    let timer = &system.board.timer;
    Watchdog {
        time: Time(watchdog.time.value).to_string(),
        microseconds: watchdog.time.value.as_micros() as u64,
        ticks: timer.ticks(watchdog.time.value),
        from_start: watchdog.from_start,
        action,
        mode: watchdog.mode.as_ref().or(mode).map(|mode| ModeIndex::at(mode.value)),
        base: Ipa::new(base),
        intid,
    }
}

/// The lowest SPI that nothing of the board's uses.
fn free_spi(system: &System) -> Option<u32> {
    let board = &system.board;
    let mut used: Vec<u32> = Vec::new();
    used.extend(board.uarts.iter().filter_map(|uart| uart.intid.as_ref()).map(|i| i.value));
    used.extend(board.pcie.iter().flat_map(|host| &host.intx).map(|intid| intid.value));
    for device in &board.devices {
        if let DeviceKind::Platform { intids, .. } = &device.kind {
            used.extend(intids.iter().map(|irq| irq.intid.value));
        }
    }
    (32..32 + board.gic.spis.value).find(|intid| !used.contains(intid))
}
