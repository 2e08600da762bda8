//! The performance counters of vPEs that share a CPU, and their interrupt.
//!
//! Counters are in the CPU while their vPE runs. Their PPI is active exactly then, and only if the vPE has it in hand: listed,
//! parked or waiting (`vm::vgic::holds`). While the vPE is away its counters stand still, so that nothing is missed.

use crate::arch::pmu::{self, Counters};
use crate::arch::{gic, sysreg};
use crate::irq;
use crate::platform::Hardware;
use crate::shared::{FEATURES, Here};
use gicv4::IntId;
use plan::Features;
use vm::{Guest, vgic};

/// They leave the CPU.
pub fn leave(counters: &mut Counters, guest: &Guest) {
    counters.take();
    if let Some(intid) = in_hand(guest) {
        gic::deactivate(intid.value());
    }
}

/// They are in the CPU again.
pub fn enter(counters: &mut Counters, guest: &Guest, here: Here) {
    if let Some(intid) = in_hand(guest) {
        here.physical.redistributor.set_active(intid);
        // Active before they can ask again.
        sysreg::dsb_sy();
    }
    counters.put();
}

/// Those in the CPU are about to interrupt the guest: they would not while it waits.
pub fn ask(guest: &Guest) -> bool {
    FEATURES.has(Features::PMU)
        && ppi(guest).is_some_and(|intid| guest.enabled_ppis() & 1 << intid.value() != 0)
        && pmu::asks()
        && in_hand(guest).is_none()
}

/// Their PPI, if the vPE, whose registers the CPU holds, has it in hand.
fn in_hand(guest: &Guest) -> Option<IntId> {
    ppi(guest).filter(|intid| vgic::holds(guest, &Hardware, intid.value()))
}

/// The guest's PPI besides the timer's.
fn ppi(guest: &Guest) -> Option<IntId> {
    let ppis = guest.config.ppis & !(1 << irq::TIMER);
    (ppis != 0).then(|| IntId::new(ppis.trailing_zeros()))
}
