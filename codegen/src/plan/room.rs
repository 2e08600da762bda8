// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Room for EL2's text, constants, data and bss, besides its stacks.
//!
//! The plan gives addresses before anything is linked, so it guesses, from images that were
//! measured, rounded up. The linker script compares: an image that needs more does not link, and
//! the message names this file (docs/adr/0013-room-for-code.md).

use ::plan::Schedule;

use super::make::Maker;
use super::smmu;
use crate::model::{ItsPolicy, MemoryRole};

/// Of all systems.
const CODE: u64 = 100 << 10;
/// Of each thing that a system has.
const VM: u64 = 9 << 10;
const VPE: u64 = 2 << 10;
const EVENT: u64 = 128;
const FUNCTION: u64 = 768;
/// The virtual ITS of those systems that have one.
const VIRTUAL_ITS: u64 = 20 << 10;
/// What only systems with a flash have.
const FLASH: u64 = 8 << 10;
/// What only systems with shared CPUs have: code, and data of each CPU and vPE.
const SHARING: u64 = 36 << 10;
const SCHEDULER: u64 = 12 << 10;
const TURNS: u64 = 2 << 10;
/// What only systems with devices behind an SMMU have.
const SMMU: u64 = 16 << 10;

impl Maker<'_> {
    /// Room for code and data of a system with `cpus` CPUs.
    pub(super) fn code(&self, cpus: u64) -> u64 {
        let bytes = |each: u64, count: usize| each * count as u64;
        let vms = &self.system.vms;
        let vpes = self.interrupts.reachable.len();
        let functions = self.windows.functions.len() + self.windows.bridges.len();
        let mut code = CODE
            + bytes(VM, vms.len())
            + bytes(VPE, vpes)
            + bytes(EVENT, self.interrupts.events.len())
            + bytes(FUNCTION, functions);
        if vms.iter().any(|vm| vm.its.value != ItsPolicy::None) {
            code += VIRTUAL_ITS;
        }
        if vms.iter().flat_map(|vm| &vm.memory).any(|piece| piece.role == MemoryRole::Flash) {
            code += FLASH;
        }
        if !smmu::used(self.system).is_empty() {
            code += SMMU;
        }
        let mut schedules = self.layouts.iter().flat_map(|layout| &layout.schedules);
        if schedules.any(Schedule::is_shared) || self.modes.is_some() {
            code += SHARING + SCHEDULER * cpus + bytes(TURNS, vpes);
        }
        code
    }
}
