// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The system that this image was built for, to the crate `arch`.

use crate::state::parts::LISTED_LPIS;
use crate::state::plan_data::PLAN;
use crate::state::vpe::Vpe;
use abi::counter::Counter;
use arch::Lpis;
use core::mem::offset_of;
use plan::{Plan, VpeIndex};
use vm::VpeState;
use vm::counters::{COUNT, Counters};
use vm::vgic::Redistributor;
use vm::vits::Event;

/// Names the system in calls of `arch`.
pub struct Built;

// Counters are doublewords by number, and nothing else.
const _: () = assert!(size_of::<Counters>() == 8 * COUNT && align_of::<Counters>() == 8);
const _: () = assert!(size_of::<Event>().is_power_of_two() && size_of::<VpeIndex>() == 2);
// The vectors compare an event's number with a constant of 16 bits.
const _: () = assert!(LISTED_LPIS <= u16::MAX as usize, "too many events to list");

const fn counter(counter: Counter) -> usize {
    offset_of!(VpeState, counters) + 8 * counter as usize
}

// SAFETY: codegen wrote `PLAN` with the tables and `plan.ld` of this image. A `Vpe` refers to
// its vPE's state, whose counters and `attention` are atomic and lie as the assertions say, as does
// the place of an event.
unsafe impl arch::System for Built {
    const PLAN: &'static Plan = &PLAN;
    type Vpe = Vpe;
    const COUNTERS: usize = offset_of!(Vpe, guest.vpe);
    const CALLS: usize = counter(Counter::ExitHvc);
    const LPIS: Lpis = Lpis {
        count: LISTED_LPIS,
        entry_shift: size_of::<Event>().trailing_zeros(),
        place: Event::PLACE,
        index: offset_of!(Vpe, index),
        attention: offset_of!(VpeState, redistributor) + Redistributor::ATTENTION,
        listed: counter(Counter::InjectedSpi),
        taken: counter(Counter::ExitInterrupt),
        longest: counter(Counter::LongestStay),
    };
}
