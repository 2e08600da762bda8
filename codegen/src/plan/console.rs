// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The console: the board's UART, and where VMs see theirs.
//!
//! A VM's UART is a PL011. It is where the board's is, if that is a PL011, too. Otherwise it stands
//! above the VM's memory: a guest that knows the board must not find another device there.

use super::memory::{self, Placed};
use super::pci::Windows;
use super::watchdog;
use crate::diag::{Report, rules};
use crate::model::{self, System};
use ::plan::{Early, Pa, Store, Uart, Watchdog};

pub const BYTES: u64 = 4096;

/// For each VM with a console the IPA of its UART.
pub fn place(
    system: &System,
    placed: &Placed,
    windows: &Windows,
    (channels, watchdogs): (&[Vec<u64>], &[Option<Watchdog>]),
    report: &mut Report,
) -> Option<Vec<Option<u64>>> {
    let console = system.board.console.as_ref().map(|uart| &system.board.uarts[uart.value]);
    let mut out = Vec::new();
    for (n, vm) in system.vms.iter().enumerate() {
        let Some(uart) = console.filter(|_| vm.console.value) else {
            out.push(None);
            continue;
        };
        if uart.is_seen() {
            out.push(Some(uart.region.start()));
            continue;
        }
        let mut space = memory::beside_channels(system, placed, windows, channels, n);
        if let Some(Watchdog { base, .. }) = &watchdogs[n] {
            space.remove(base.value()..base.value() + watchdog::BYTES);
        }
        match space.take(BYTES, BYTES) {
            Some(ipa) => out.push(Some(ipa)),
            None => report.push(
                rules::IPA_RANGE
                    .says(format!("\"{}\" has no room for its UART", vm.name.value))
                    .label(&vm.console, "4 KiB of guest addresses, unless console = false")
                    .help("write lower `ipa`s for its memory"),
            ),
        }
    }
    (!report.has_errors()).then_some(out)
}

/// The board's UART, for EL2.
pub fn uart(uart: &model::Uart) -> Uart {
    let early = uart.early();
    let offset = |offset: u64| offset as u32;
    Uart {
        kind: uart.kind.value,
        base: Pa::new(uart.region.start()),
        reg_shift: uart.reg_shift.value,
        reg_io_width: uart.reg_io_width.value,
        intid: uart.intid.as_ref().map(|intid| intid.value),
        early: Early {
            status: offset(early.status),
            status_width: early.status_width as u8,
            bit: early.bit,
            ready: early.ready,
            command: early
                .command
                .iter()
                .map(|&(at, value)| Store { offset: offset(at), value })
                .collect(),
            data: offset(early.data),
            data_width: early.data_width as u8,
        },
    }
}
