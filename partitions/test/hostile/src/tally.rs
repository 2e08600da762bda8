// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What was tried and how it ended.

use rt::machine::Region;
use rt::probe::Syndrome;
use rt::{Machine, figure};

/// Regions that a guest may touch.
const KNOWN: usize = 16;

#[derive(Debug, Default)]
pub struct Tally {
    pub attempts: u64,
    /// Attempts that were just answered.
    pub answered: u64,
    /// Synchronous external aborts.
    pub aborts: u64,
    pub undefined: u64,
    /// Other exceptions: alignment, permission of stage 1.
    pub others: u64,
    /// Calls that said "not supported", "invalid parameters" or "denied".
    pub refused: u64,
    /// What succeeded and must not have.
    pub holes: u64,
}

impl Tally {
    /// Counts how an attempt ended; whether it was answered.
    pub fn count<T>(&mut self, result: &Result<T, Syndrome>) -> bool {
        self.attempts += 1;
        match result {
            Ok(_) => self.answered += 1,
            Err(syndrome) if syndrome.is_external_abort() => self.aborts += 1,
            Err(syndrome) if syndrome.is_undefined() => self.undefined += 1,
            Err(_) => self.others += 1,
        }
        result.is_ok()
    }

    pub fn print(&self) {
        figure!("attempts", self.attempts);
        figure!("answered", self.answered);
        figure!("aborts", self.aborts);
        figure!("undefined", self.undefined);
        figure!("other-exceptions", self.others);
        figure!("refused", self.refused);
        figure!("holes", self.holes);
    }
}

/// What the device tree says is there.
#[derive(Debug)]
pub struct Known {
    regions: [Region; KNOWN],
    count: usize,
}

impl Known {
    pub fn of(machine: &Machine) -> Self {
        let mut known = Self { regions: [Region { base: 0, bytes: 0 }; KNOWN], count: 0 };
        let gic = machine.gic().into_iter().flat_map(|(one, two)| [one, two]);
        let channels = machine.channels().map(|end| end.memory);
        let hosts = machine.hosts().flat_map(|host| [host.ecam].into_iter().chain(host.windows()));
        let rest = machine.uart().into_iter().chain(machine.its()).chain(hosts);
        for region in machine.memory().chain(gic).chain(channels).chain(rest) {
            if let Some(slot) = known.regions.get_mut(known.count) {
                *slot = region;
                known.count += 1;
            }
        }
        known
    }

    /// Whether an access of up to 64 bytes here can touch something known.
    pub fn contains(&self, address: u64) -> bool {
        self.regions[..self.count]
            .iter()
            .any(|region| address.saturating_add(64) > region.base && address < region.end())
    }
}
