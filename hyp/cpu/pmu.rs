// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The performance counters of vPEs that share a CPU, and their interrupt.
//!
//! Counters are in the CPU while their vPE runs. Their PPI is active exactly then, and only if the
//! vPE has it in hand: listed, parked or waiting (`vm::vgic::holds`). While the vPE is away its
//! counters stand still, so that nothing is missed.

use crate::gic::hardware::Hardware;
use crate::state::cpu::Here;
use crate::state::intid::PMU;
use crate::state::parts::SHARED_FEATURES;
use crate::state::system::Built;
use arch::gic;
use arch::pmu::{self, Counters};
use plan::Features;
use vm::{Guest, vgic};

/// The PPI, if vPEs on shared CPUs have counters with an interrupt.
const PPI: Option<u32> = if SHARED_FEATURES.has(Features::PMU) { PMU } else { None };

/// They leave the CPU.
pub fn leave(counters: &mut Counters, guest: &Guest) {
    counters.take();
    if let Some(ppi) = in_hand(guest) {
        gic::deactivate::<Built>(ppi);
    }
}

/// They are in the CPU again.
pub fn enter(counters: &mut Counters, guest: &Guest, here: Here) {
    if let Some(ppi) = in_hand(guest) {
        here.activate(ppi);
    }
    counters.put();
}

/// Those in the CPU are about to interrupt the guest: they would not while it waits.
pub fn ask(guest: &Guest) -> bool {
    let enabled = |ppi: &u32| guest.enabled_ppis() >> ppi & 1 != 0;
    has(guest).filter(enabled).is_some() && pmu::asks() && in_hand(guest).is_none()
}

/// Their interrupt, if the guest has it.
fn has(guest: &Guest) -> Option<u32> {
    PPI.filter(|ppi| guest.config.ppis >> ppi & 1 != 0)
}

/// The same, if the vPE, whose registers the CPU holds, has it in hand.
fn in_hand(guest: &Guest) -> Option<u32> {
    has(guest).filter(|&ppi| vgic::holds(guest, &Hardware, ppi))
}
