// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a vPE sees of another one's list registers: GICR_ISPENDR0 and GICR_ISACTIVER0 of a
//! redistributor that is not its own.
//!
//! List registers are read by their own CPU only, and change without an exit. So the other vPE is
//! asked:
//!
//! 1. The question gets a number, the other vPE is told by a kick, and the guest executes its load
//!    again.
//! 2. At its next [`super::flush`] the other vPE shows its list registers and answers all questions
//!    until then.
//! 3. The load finds its question answered.
//!
//! A vPE that leaves a shared CPU shows what it leaves behind, and nothing of it changes until it
//! is back: that is answered at once. Nobody waits in EL2, and no question is asked for longer than
//! a tenth of a second.

use super::{
    list::listed,
    redistributor::{RECHECK, SHOW},
};
use crate::{Guest, Platform, power::PowerState};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// Pending and active SGIs and PPIs in the list registers of the VM's vPE `number`. None: the guest
/// is to execute its load again.
pub(super) fn look<P: Platform>(
    guest: &Guest,
    platform: &mut P,
    number: usize,
) -> Option<(u32, u32)> {
    if number == guest.number || !P::SEVERAL_VPES {
        return Some(listed(platform, 0));
    }
    let other = guest.vpes.get(number)?;
    if matches!(other.power.state(), PowerState::Off | PowerState::Claimed | PowerState::OnPending)
    {
        return Some((0, 0));
    }
    let (own, their) = (&guest.vpe.redistributor.view, &other.redistributor.view);
    if their.away.load(Acquire) {
        return Some(their.shown());
    }
    let second = guest.plan.board.timer.frequency;
    let question = own.question.load(Relaxed);
    let age = platform.ticks().wrapping_sub(own.since.load(Relaxed));
    // One that is too old was another load's, which never came back.
    if question >> 32 == number as u64 + 1 && age < second {
        let ahead = their.answered.load(Acquire).wrapping_sub(question as u32);
        if ahead as i32 >= 0 || age > second / 10 {
            own.question.store(0, Relaxed);
            return Some(their.shown());
        }
    } else {
        let asked = their.asked.fetch_add(1, AcqRel).wrapping_add(1);
        own.question.store((number as u64 + 1) << 32 | u64::from(asked), Relaxed);
        own.since.store(platform.ticks(), Relaxed);
        other.redistributor.attention.fetch_or(RECHECK | SHOW, AcqRel);
        platform.kick(guest.vpe_index(number));
    }
    own.again.store(true, Relaxed);
    None
}

/// The load that was just refused is to be executed again.
pub fn again(guest: &Guest) -> bool {
    guest.vpe.redistributor.view.again.swap(false, Relaxed)
}

/// Another vPE asked: shows this CPU's list registers.
pub(super) fn answer<P: Platform>(guest: &Guest, platform: &P) {
    let view = &guest.vpe.redistributor.view;
    let asked = view.asked.load(Acquire);
    view.show(listed(platform, 0));
    view.answered.store(asked, Release);
}

/// The vPE leaves its CPU to another one, with what is in its list registers.
#[inline]
pub fn leaves<P: Platform>(guest: &Guest, platform: &P) {
    if guest.vpes.len() > 1 {
        guest.vpe.redistributor.view.show(listed(platform, 0));
        guest.vpe.redistributor.view.away.store(true, Release);
    }
}

/// The vPE has its CPU again.
#[inline]
pub fn returns(guest: &Guest) {
    if guest.vpes.len() > 1 {
        guest.vpe.redistributor.view.away.store(false, Release);
    }
}
