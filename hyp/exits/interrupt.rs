// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Interrupts that come while a guest runs.
//!
//! `irq_fast` runs on every one, with only caller-saved registers stored, then `irq_rest` if it was
//! not enough; an LPI that the vectors did not list comes to `irq_rest` at once. One interrupt is
//! taken at a time; a second one that is pending comes right after. What each does is in
//! run/interrupts.rs.

use crate::gic::hardware::Hardware;
use crate::run::cpu_loop;
use crate::run::interrupts::{Taken, end, take};
use crate::state::cpu::Here;
use crate::state::intid::{KICK, VIRTUAL_TIMER, is_guest_spi};
use crate::state::vpe::Vpe;
use arch::frame::{Frame, Next};
use arch::gic;
use arch::sysreg::ticks;
use vm::counters::Counter;
use vm::{Guest, vgic};

/// From the vectors: an interrupt came while the guest ran. The virtual timer, an SPI and a kick
/// that meet nothing unusual are done here, without a stack; 0 then. Anything else is answered by
/// its INTID plus 1, acknowledged and no more, for `irq_rest`.
#[inline(always)]
pub fn irq_fast(this: &Vpe, taken: u64) -> u32 {
    let start = ticks();
    let intid = taken as u32;
    // A copy, as the compiler would load everything again after each register that is written.
    let guest = &{ this.guest };
    if intid == VIRTUAL_TIMER {
        vgic::inject_timer(guest, &mut Hardware);
        gic::drop_priority_register(taken);
    } else if is_guest_spi(intid)
        && !this.shares()
        && vgic::try_inject_spi(guest, &mut Hardware, intid)
    {
        gic::drop_priority_register(taken);
    } else if intid == u32::from(KICK) && !this.shares() && vgic::try_deliver(guest, &mut Hardware)
    {
        end(intid);
    } else {
        return intid.wrapping_add(1);
    }
    leave(guest, start);
    0
}

/// From the vectors: what `irq_fast` did not do, given its answer.
#[inline(always)]
pub fn irq_rest(this: &Vpe, intid_plus_one: u32) -> Next {
    let start = ticks();
    let guest = &this.guest;
    let intid = intid_plus_one.wrapping_sub(1);
    let taken = Here::of(this).map_or(Taken::Done, |here| take(here, intid));
    leave(guest, start);
    if taken == Taken::Decide { Next::Full } else { Next::Guest }
}

/// Counts the interrupt and the time it took.
#[inline(always)]
fn leave(guest: &Guest, start: u64) {
    guest.vpe.counters.count(Counter::ExitInterrupt);
    guest.vpe.counters.largest(Counter::LongestStay, ticks().wrapping_sub(start));
}

/// From the vectors: `irq_rest` asked for everything to be saved.
#[inline(always)]
pub fn irq_slow(this: &Vpe, frame: &mut Frame) {
    cpu_loop::settle_for(this, frame);
}
