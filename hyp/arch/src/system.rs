// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The one system that an image is built for, as this crate sees it.

use crate::boot::{CpuBoot, SystemBoot};
use crate::vectors::{Frame, Next};
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

/// What the head and the vectors call. CPUs run with interrupts masked in all of it.
pub trait Handlers: System {
    /// The first CPU, MMU and caches on. `entered`: the counter at the image's first instruction.
    fn first_cpu(system: SystemBoot<Self>, cpu: CpuBoot<Self>, entered: u64) -> !;
    /// Any other CPU, likewise.
    fn other_cpu(cpu: CpuBoot<Self>) -> !;

    /// An HVC, with only caller-saved registers in the frame.
    fn hvc_fast(vpe: &'static Self::Vpe, frame: &mut Frame) -> Next;
    /// A data abort, likewise.
    fn abort_fast(vpe: &'static Self::Vpe, esr: u64, frame: &mut Frame) -> Next;
    /// An access to a system register, with all registers in the frame; x19-x29 must stay.
    fn register_fast(vpe: &'static Self::Vpe, esr: u64, frame: &mut Frame) -> Next;
    /// Any synchronous exception that those left, with all registers in the frame.
    fn trap(vpe: &'static Self::Vpe, esr: u64, frame: &mut Frame) -> Next;
    /// An interrupt, without a frame. 0: it is done; anything else is for [`Self::irq_rest`].
    fn irq_fast(vpe: &'static Self::Vpe) -> u32;
    /// What `irq_fast` left, given its answer.
    fn irq_rest(vpe: &'static Self::Vpe, left: u32) -> Next;
    /// `irq_rest` asked for everything to be saved.
    fn irq_slow(vpe: &'static Self::Vpe, frame: &mut Frame);
    /// An SError while a guest ran, with all registers in the frame.
    fn error(vpe: &'static Self::Vpe, esr: u64, frame: &mut Frame);
    /// An exception in EL2 itself, from which there is no way back.
    fn stopped(esr: u64, elr: u64, far: u64) -> !;
}

/// `entry` is one of the plan's, of which `all` are, not another value of its type.
#[inline(always)]
pub(crate) fn is_entry<T>(all: &'static [T], entry: &T) -> bool {
    // A whole `T` within the slice is one of its elements.
    all.as_ptr_range().contains(&ptr::from_ref(entry))
}
