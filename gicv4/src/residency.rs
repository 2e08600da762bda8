// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A vPE with a doorbell becomes resident, and stops being it.
//!
//! [`Form`] is the same for both versions of GICv4, so that who runs vPEs does not ask which it is:
//! [`Direct`] names the version by a constant, and each image has the code of one. On GICv4.1 the
//! GIC looks after the doorbell itself ([`crate::vpe41`]), and there is never a [`Todo`].
//!
//! On GICv4.0 [`crate::vpe`] has each step, [`Doorbell`] what may ring, and the caller the ITS's
//! queue, to carry out what the doorbell needs. The order is what matters:
//!
//! 1. [`enter`]: the vPE is resident; then a doorbell that was unmasked is masked and cleared. A
//!    masked one may have rung, too, which does no harm before it is unmasked.
//! 2. [`Doorbell::waits`], if nobody runs the vPE again before an interrupt: its doorbell is
//!    cleared, if that may be stale, and unmasked while it is still resident, so that no event can
//!    ring in between.
//! 3. [`leave`]. From here on an event rings, or [`Left::pending`] says that it came before.

use crate::doorbell::{Doorbell, Todo};
use crate::error::Error;
use crate::frame::{Frame, VirtualLpis};
use crate::regs::vlpi::{VirtualConfigBase, VirtualPendingBase};
use crate::vpe::{Left, NonResident, Resident, Vacant};
use crate::vpe41::{NonResidentV41, Reason, ResidentV41, VacantV41};
use core::fmt::Debug;

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

/// How vPEs are resident on a version of GICv4.
pub trait Form {
    /// A redistributor's VLPI frame while no vPE is resident.
    type Vacant<F: Debug>: Debug;
    /// A vPE that is resident nowhere.
    type NonResident: Debug;
    /// A vPE that is resident.
    type Resident<F: Debug>: Debug;

    /// Takes a redistributor's VLPI frame and evicts what firmware left. `intid_bits`: of all
    /// vINTIDs (GICv4.0; the vPE table has them on GICv4.1).
    fn take<F: Frame<Block = VirtualLpis> + Debug>(
        frame: F,
        intid_bits: u8,
        polls: u32,
    ) -> Result<Self::Vacant<F>, Error>;

    /// A vPE by GICR_VPROPBASER (GICv4.0) and GICR_VPENDBASER while it is resident.
    fn absent(config: VirtualConfigBase, pending: VirtualPendingBase) -> Self::NonResident;

    /// Makes `vpe` resident on `vacant`, whose CPU it is. Then the [`Todo`] is to be carried out.
    fn enter<F: Frame<Block = VirtualLpis> + Debug>(
        vpe: Self::NonResident,
        vacant: Self::Vacant<F>,
        bell: &mut Doorbell,
    ) -> (Self::Resident<F>, Todo);

    /// A resident vPE is about to leave and wait for its doorbell.
    fn waits(bell: &mut Doorbell) -> Todo;

    /// Ends the residency, as [`leave`] does. The last of the result: something is pending.
    fn leave<F: Frame<Block = VirtualLpis> + Debug>(
        resident: Self::Resident<F>,
        reason: Reason,
        polls: u32,
        slow: impl FnMut(),
    ) -> (Self::NonResident, Self::Vacant<F>, bool);

    /// The doorbell of a vPE that is not resident was acknowledged. True: the vPE has work.
    fn rang(bell: &mut Doorbell) -> (bool, Todo);
}

/// Direct injection: of GICv4.0, or with `V41` of GICv4.1.
#[derive(Clone, Copy, Debug)]
pub enum Direct<const V41: bool> {}

impl Form for Direct<false> {
    type Vacant<F: Debug> = Vacant<F>;
    type NonResident = NonResident;
    type Resident<F: Debug> = Resident<F>;

    #[inline(always)]
    fn take<F: Frame<Block = VirtualLpis> + Debug>(
        frame: F,
        intid_bits: u8,
        polls: u32,
    ) -> Result<Vacant<F>, Error> {
        Vacant::take(frame, intid_bits, polls)
    }
    #[inline(always)]
    fn absent(config: VirtualConfigBase, pending: VirtualPendingBase) -> NonResident {
        NonResident::new(config, pending)
    }
    #[inline(always)]
    fn enter<F: Frame<Block = VirtualLpis> + Debug>(
        vpe: NonResident,
        vacant: Vacant<F>,
        bell: &mut Doorbell,
    ) -> (Resident<F>, Todo) {
        enter(vpe, vacant, bell)
    }
    #[inline(always)]
    fn waits(bell: &mut Doorbell) -> Todo {
        bell.waits()
    }
    #[inline(always)]
    fn leave<F: Frame<Block = VirtualLpis> + Debug>(
        resident: Resident<F>,
        _: Reason,
        polls: u32,
        slow: impl FnMut(),
    ) -> (NonResident, Vacant<F>, bool) {
        let Left { vpe, redistributor, pending } = leave(resident, polls, slow);
        (vpe, redistributor, pending)
    }
    #[inline(always)]
    fn rang(bell: &mut Doorbell) -> (bool, Todo) {
        let todo = bell.rang();
        (matches!(todo, Todo::MaskAndRun), todo)
    }
}

impl Form for Direct<true> {
    type Vacant<F: Debug> = VacantV41<F>;
    type NonResident = NonResidentV41;
    type Resident<F: Debug> = ResidentV41<F>;

    fn take<F: Frame<Block = VirtualLpis> + Debug>(
        frame: F,
        _: u8,
        polls: u32,
    ) -> Result<VacantV41<F>, Error> {
        VacantV41::take(frame, polls)
    }
    #[inline(always)]
    fn absent(_: VirtualConfigBase, pending: VirtualPendingBase) -> NonResidentV41 {
        NonResidentV41::new(pending.bits())
    }
    #[inline(always)]
    fn enter<F: Frame<Block = VirtualLpis> + Debug>(
        vpe: NonResidentV41,
        vacant: VacantV41<F>,
        _: &mut Doorbell,
    ) -> (ResidentV41<F>, Todo) {
        (vpe.enter(vacant), Todo::Nothing)
    }
    #[inline(always)]
    fn waits(_: &mut Doorbell) -> Todo {
        Todo::Nothing
    }
    #[inline(always)]
    fn leave<F: Frame<Block = VirtualLpis> + Debug>(
        resident: ResidentV41<F>,
        reason: Reason,
        polls: u32,
        mut slow: impl FnMut(),
    ) -> (NonResidentV41, VacantV41<F>, bool) {
        let leaving = resident.leave(reason, polls).unwrap_or_else(|stuck| {
            slow();
            stuck.state.leave_unsettled(reason)
        });
        let left = leaving.finish(polls).unwrap_or_else(|stuck| {
            slow();
            stuck.state.give_up()
        });
        (left.vpe, left.redistributor, left.pending)
    }
    #[inline(always)]
    fn rang(_: &mut Doorbell) -> (bool, Todo) {
        (true, Todo::Nothing)
    }
}
