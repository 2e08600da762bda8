// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The watchdog's registers: an SBSA generic watchdog (DEN 0029), control frame and refresh frame.

pub use abi::watchdog::{ENABLE, WS0, WS1};
use abi::watchdog::{WCS, WCV, WOR, WRR};

use crate::Machine;
use crate::mmio::Registers;

/// The VM's watchdog.
#[derive(Debug)]
pub struct Watchdog {
    control: Registers,
    refresh: Registers,
    /// INTID of the first signal.
    pub intid: u32,
}

impl Watchdog {
    /// None: the device tree has none.
    pub fn of(machine: &Machine) -> Option<Self> {
        let (control, refresh, intid) = machine.watchdog()?;
        // SAFETY: the device tree says that its registers are there.
        let control = unsafe { Registers::new(control.base, control.bytes) };
        // SAFETY: as above.
        let refresh = unsafe { Registers::new(refresh.base, refresh.bytes) };
        Some(Self { control, refresh, intid })
    }

    pub fn feed(&self) {
        self.refresh.write32(WRR, 0);
    }

    /// WCS.
    pub fn status(&self) -> u32 {
        self.control.read32(WCS)
    }

    pub fn set_control(&self, value: u32) {
        self.control.write32(WCS, value);
    }

    /// WOR, in ticks of the counter.
    pub fn set_offset(&self, ticks: u64) {
        self.control.write64(WOR, ticks);
    }

    /// WCV.
    pub fn set_compare(&self, time: u64) {
        self.control.write64(WCV, time);
    }
}
