// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The physical timer of vPEs that share a CPU, and its interrupt.
//!
//! It is lent: a vPE's first access comes to EL2 (CNTHCTL_EL2.EL1PCEN), and from then on until the
//! vPE goes off the timer is in the CPU while it runs, and in memory while it does not. A vPE that
//! never touches it pays nothing. The PPI is active exactly while its vPE runs and has it in hand
//! (`vm::vgic::holds`). On an exclusive CPU the timer is the guest's for good.

use super::saved::{Loan, saved};
use crate::gic::hardware::Hardware;
use crate::state::cpu::Here;
use crate::state::intid::PHYSICAL_TIMER;
use crate::state::system::Built;
use crate::state::vpe::Vpe;
use arch::gic;
use arch::timer::PhysicalTimer;
use vm::{Guest, vgic};

/// The vPE that runs on this CPU touched it. True: it has it from now on, and is to try again.
pub fn lend(this: &Vpe) -> bool {
    let given = |loan: &mut Loan| {
        let first = !core::mem::replace(&mut loan.given, true);
        if first {
            loan.timer.put();
        }
        first
    };
    this.shares() && saved(this.index, |saved| given(&mut saved.physical)) == Some(true)
}

/// It leaves the CPU.
pub fn leave(loan: &mut Loan, guest: &Guest) {
    loan.timer = PhysicalTimer::take();
    if in_hand(guest) {
        gic::deactivate::<Built>(PHYSICAL_TIMER);
    }
}

/// It is in the CPU again.
pub fn enter(loan: &Loan, guest: &Guest, here: Here) {
    if in_hand(guest) {
        here.activate(PHYSICAL_TIMER);
    }
    loan.timer.put();
}

/// When it wakes a vPE that has just left the CPU, which still holds its other registers. None:
/// never as it is set.
pub fn wakes_at(this: &Vpe) -> Option<u64> {
    let guest = &this.guest;
    if guest.enabled_ppis() >> PHYSICAL_TIMER & 1 == 0 || in_hand(guest) {
        return None;
    }
    saved(this.index, |saved| saved.physical.timer.fires_at())?
}

/// The vPE, whose registers the CPU holds, has its interrupt in hand.
fn in_hand(guest: &Guest) -> bool {
    vgic::holds(guest, &Hardware, PHYSICAL_TIMER)
}
