// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A vPE with a doorbell (GICv4.0) becomes resident, and stops being it.
//!
//! [`crate::vpe`] has each step, [`Doorbell`] what may ring, and the caller the ITS's queue, to
//! carry out what the doorbell needs. The order is what matters:
//!
//! 1. [`enter`]: the vPE is resident; then a doorbell that was unmasked is masked and cleared. A
//!    masked one may have rung, too, which does no harm before it is unmasked.
//! 2. [`Doorbell::waits`], if nobody runs the vPE again before an interrupt: its doorbell is
//!    cleared, if that may be stale, and unmasked while it is still resident, so that no event can
//!    ring in between.
//! 3. [`leave`]. From here on an event rings, or [`Left::pending`] says that it came before.

use crate::doorbell::{Doorbell, Todo};
use crate::frame::{Frame, VirtualLpis};
use crate::vpe::{Left, NonResident, Resident, Vacant};

/// Makes `vpe` resident on `vacant`, whose CPU it is. Then the [`Todo`] is to be carried out.
#[inline(always)]
pub fn enter<F: Frame<Block = VirtualLpis>>(
    vpe: NonResident,
    vacant: Vacant<F>,
    bell: &mut Doorbell,
) -> (Resident<F>, Todo) {
    (vpe.enter(vacant), bell.entered())
}

/// Ends the residency. Each wait is of `polls` reads; `slow` is told of one that was too long, and
/// then something counts as pending: the vPE runs once more than it needs to, and no event is lost.
#[inline(always)]
pub fn leave<F: Frame<Block = VirtualLpis>>(
    resident: Resident<F>,
    polls: u32,
    mut slow: impl FnMut(),
) -> Left<F> {
    let leaving = resident.leave(polls).unwrap_or_else(|stuck| {
        slow();
        stuck.state.leave_unsettled()
    });
    leaving.finish(polls).unwrap_or_else(|stuck| {
        slow();
        stuck.state.give_up()
    })
}
