//! The performance counters of vPEs that share a CPU, and their interrupt.
//!
//! Counters are in the CPU while their vPE runs. Their PPI is active exactly then, and only if the vPE has it in hand: listed,
//! parked or waiting (`vm::vgic::holds`). While the vPE is away its counters stand still, so that nothing is missed.

use crate::cpu::switch::activate;
use crate::gic::platform::Hardware;
use crate::run::irq::{NOBODYS, PMU};
use crate::state::shared::{FEATURES, Here};
use crate::state::system::Built;
use arch::gic;
use arch::pmu::{self, Counters};
use gicv4::IntId;
use plan::Features;
use vm::{Guest, vgic};

/// vPEs on shared CPUs have counters with an interrupt.
pub const ANY: bool = FEATURES.has(Features::PMU) && PMU != NOBODYS;

/// They leave the CPU.
pub fn leave(counters: &mut Counters, guest: &Guest) {
    counters.take();
    if in_hand(guest) {
        gic::deactivate::<Built>(PMU);
    }
}

/// They are in the CPU again.
pub fn enter(counters: &mut Counters, guest: &Guest, here: Here) {
    if in_hand(guest) {
        activate(here, IntId::new(PMU));
    }
    counters.put();
}

/// Those in the CPU are about to interrupt the guest: they would not while it waits.
pub fn ask(guest: &Guest) -> bool {
    has(guest) && is_among(guest.enabled_ppis()) && pmu::asks() && !in_hand(guest)
}

/// The guest has their interrupt.
fn has(guest: &Guest) -> bool {
    is_among(guest.config.ppis)
}

/// It is one of these PPIs, bits of word 0.
fn is_among(ppis: u32) -> bool {
    ANY && ppis >> (PMU & 31) & 1 != 0
}

/// The vPE, whose registers the CPU holds, has it in hand.
fn in_hand(guest: &Guest) -> bool {
    has(guest) && vgic::holds(guest, &Hardware, PMU)
}
