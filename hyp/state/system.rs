// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The system that this image was built for, to the crate `arch`.

use crate::state::plan_data::PLAN;
use crate::state::vpe::Vpe;
use abi::counter::Counter;
use core::mem::offset_of;
use plan::Plan;
use vm::VpeState;
use vm::counters::{COUNT, Counters};

/// Names the system in calls of `arch`.
pub struct Built;

// Counters are doublewords by number, and nothing else.
const _: () = assert!(size_of::<Counters>() == 8 * COUNT && align_of::<Counters>() == 8);

// SAFETY: codegen wrote `PLAN` with the tables and `plan.ld` of this image. A `Vpe` refers to
// its vPE's state, whose counters are atomic and lie as the assertion says.
unsafe impl arch::System for Built {
    const PLAN: &'static Plan = &PLAN;
    type Vpe = Vpe;
    const COUNTERS: usize = offset_of!(Vpe, guest.vpe);
    const CALLS: usize = offset_of!(VpeState, counters) + 8 * Counter::ExitHvc as usize;
}
