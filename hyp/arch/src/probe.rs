// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reads of addresses that may not be there.
//!
//! Boot compares hardware with the plan, so it must be able to ask for a redistributor or for RAM
//! that is missing. EL2's own vector turns the abort of such a read into "no answer" (vectors.rs).
//! Reads only: at boot, and of registers of a guest's device.

use crate::system::System;
use plan::Pa;

/// What assembly says of a read that an abort may answer, in x0 and x1.
#[repr(C)]
pub struct Answer {
    value: u64,
    there: u64,
}

impl Answer {
    /// None: there was an abort.
    pub fn checked(self) -> Option<u64> {
        (self.there != 0).then_some(self.value)
    }
}

unsafe extern "C" {
    fn probe32(address: u64) -> Answer;
    fn probe64(address: u64) -> Answer;
}

/// Bytes of a frame of the GIC: GICD, GITS, each of a redistributor's.
const FRAME: u64 = 64 << 10;

/// A 32-bit register of the GIC, or None: the read was answered with an abort, or it is not one of
/// the plan's.
pub fn read32<S: System>(address: Pa) -> Option<u32> {
    if !is_gic::<S>(address, 4) {
        return None;
    }
    // SAFETY: a register whose read has no effect; an abort is caught.
    unsafe { try_read32(address.value()) }
}

/// A 64-bit register of the GIC, likewise.
pub fn read64<S: System>(address: Pa) -> Option<u64> {
    if !is_gic::<S>(address, 8) {
        return None;
    }
    // SAFETY: as for `read32`.
    unsafe { try_read64(address.value()) }
}

/// A register of `width` bytes in a frame of the plan's.
#[inline(never)]
fn is_gic<S: System>(address: Pa, width: u64) -> bool {
    let within = |base: Pa, bytes| address.value().wrapping_sub(base.value()) < bytes;
    let stride = S::PLAN.board.redistributor_stride;
    address.value().is_multiple_of(width)
        && (within(S::PLAN.board.distributor, FRAME)
            || S::PLAN.its.as_ref().is_some_and(|its| within(its.base, FRAME))
            || S::PLAN.cpus.iter().any(|cpu| within(cpu.redistributor, stride)))
}

/// Reads a word.
///
/// # Safety
/// Nothing but an abort comes of a read there.
#[inline(always)]
pub(crate) unsafe fn try_read32(address: u64) -> Option<u32> {
    // SAFETY: the caller's.
    unsafe { probe32(address) }.checked().map(|value| value as u32)
}

/// Reads a doubleword.
///
/// # Safety
/// As for [`try_read32`].
#[inline(always)]
pub(crate) unsafe fn try_read64(address: u64) -> Option<u64> {
    // SAFETY: the caller's.
    unsafe { probe64(address) }.checked()
}
