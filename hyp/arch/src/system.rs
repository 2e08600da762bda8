// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The one system that an image is built for, as this crate sees it.

use core::ptr;
use plan::Plan;

/// The system: its plan, as constants of the code that is compiled for it.
///
/// What this crate may touch, it takes from here. So whoever calls its safe functions can name an
/// entry of the plan, but no address of their own.
///
/// # Safety
/// One type of the image implements it. `PLAN` is what codegen wrote for this image: its tables lie
/// where it says, `plan.ld` and it agree, and it describes the board that the image runs on, as far
/// as boot does not compare it. In a `Vpe`, [`COUNTERS`](Self::COUNTERS) bytes from its address,
/// stands the address of a structure, which has an aligned `u64` at [`CALLS`](Self::CALLS) that
/// anybody may change by atomic accesses.
pub unsafe trait System: Sized + Sync + 'static {
    /// The plan.
    const PLAN: &'static Plan;
    /// What a CPU has at hand while a vPE runs on it.
    type Vpe: Sync + 'static;
    /// Where a `Vpe` has the address of its counters.
    const COUNTERS: usize;
    /// Where among these the count of HVCs is.
    const CALLS: usize;
}

/// `entry` is one of the plan's, of which `all` are, not another value of its type.
#[inline(always)]
pub(crate) fn is_entry<T>(all: &'static [T], entry: &T) -> bool {
    // A whole `T` within the slice is one of its elements.
    all.as_ptr_range().contains(&ptr::from_ref(entry))
}
