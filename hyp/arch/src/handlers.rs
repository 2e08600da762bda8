// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The image's part of the head and of the vectors.

use crate::boot::{CpuBoot, SystemBoot};
use crate::frame::{Frame, Next};
use crate::system::System;

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
    /// An interrupt, without a frame: ICC_IAR1_EL1 as read. 0: it is done; anything else is for
    /// [`Self::irq_rest`].
    fn irq_fast(vpe: &'static Self::Vpe, taken: u64) -> u32;
    /// What `irq_fast` left, given its answer; or an LPI, by its INTID plus 1.
    fn irq_rest(vpe: &'static Self::Vpe, left: u32) -> Next;
    /// `irq_rest` asked for everything to be saved.
    fn irq_slow(vpe: &'static Self::Vpe, frame: &mut Frame);
    /// An SError while a guest ran, with all registers in the frame.
    fn error(vpe: &'static Self::Vpe, esr: u64, frame: &mut Frame);
    /// An exception in EL2 itself, from which there is no way back.
    fn stopped(esr: u64, elr: u64, far: u64) -> !;
}
