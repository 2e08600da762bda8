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
/// anybody may change by atomic accesses. [`LPIS`](Self::LPIS) is as its fields say.
pub unsafe trait System: Sized + Sync + 'static {
    /// The plan.
    const PLAN: &'static Plan;
    /// What a CPU has at hand while a vPE runs on it.
    type Vpe: Sync + 'static;
    /// Where a `Vpe` has the address of its counters.
    const COUNTERS: usize;
    /// Where among these the count of HVCs is.
    const CALLS: usize;
    /// How the vectors list an LPI by themselves.
    const LPIS: Lpis;
}

/// Where what the vectors need of an LPI's event is: offsets in bytes of what can be read, and
/// counters that can be written, by atomic accesses. "The state" is what [`System::COUNTERS`] leads
/// to.
pub struct Lpis {
    /// LPIs 8192 and up that are events, one for each entry of the static that the image names
    /// beside its system. 0: the vectors know no LPI.
    pub count: usize,
    /// Bytes of an entry there, as a power of two.
    pub entry_shift: u32,
    /// In an entry: the `u64` that is the event's list register, with the vPE's index in bits 46:32
    /// and bit 47 set if it is enabled.
    pub place: usize,
    /// In a `Vpe`: its index in the plan, a `u16`.
    pub index: usize,
    /// In the state: a `u32`, not 0 if an event is not simply listed.
    pub attention: usize,
    /// In the state: a `u64` that counts interrupts listed.
    pub listed: usize,
    /// In the state: one that counts interrupts taken.
    pub taken: usize,
    /// In the state: one that is the longest stay in EL2.
    pub longest: usize,
}

/// `entry` is one of the plan's, of which `all` are, not another value of its type.
#[inline(always)]
pub(crate) fn is_entry<T>(all: &'static [T], entry: &T) -> bool {
    // A whole `T` within the slice is one of its elements.
    all.as_ptr_range().contains(&ptr::from_ref(entry))
}
