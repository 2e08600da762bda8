// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The log of a board without a console: where VMs read it.

use super::memory::{self, Placed};
use super::pci::Windows;
use super::watchdog;
use crate::diag::{Report, rules};
use crate::model::System;
use ::plan::{Watchdog, log};

const ALIGN: u64 = 64 << 10;

/// For each VM that is given the log an IPA above its memory, beside its channels and its watchdog.
pub fn place(
    system: &System,
    placed: &Placed,
    windows: &Windows,
    (channels, watchdogs): (&[Vec<u64>], &[Option<Watchdog>]),
    report: &mut Report,
) -> Option<Vec<Option<u64>>> {
    let mut out = Vec::new();
    for (n, vm) in system.vms.iter().enumerate() {
        let Some(log) = vm.log.as_ref().filter(|log| log.value) else {
            out.push(None);
            continue;
        };
        let mut space = memory::beside_channels(system, placed, windows, channels, n);
        if let Some(Watchdog { base, .. }) = &watchdogs[n] {
            space.remove(base.value()..base.value() + watchdog::BYTES);
        }
        match space.take(log::BYTES, ALIGN) {
            Some(ipa) => out.push(Some(ipa)),
            None => report.push(
                rules::IPA_RANGE
                    .says(format!("\"{}\" has no room for the log", vm.name.value))
                    .label(log, "64 KiB of guest addresses")
                    .help("write lower `ipa`s for its memory, or take `log` away"),
            ),
        }
    }
    (!report.has_errors()).then_some(out)
}
