// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The physical timer: one shot, beside the virtual one (DDI 0487 D12).
//!
//! Times are the counter's, as for [`crate::timer`]: under a Bulkhead both counters are the same.

use core::sync::atomic::{AtomicU64, Ordering};

use aarch64_cpu::asm::barrier::{SY, isb};
use aarch64_cpu::registers::{CNTP_CTL_EL0, CNTP_CVAL_EL0, Readable, Writeable};

use crate::interrupts::{self, IntId};
use crate::start::VPES;
use crate::{Machine, cpu, timer};

/// When the handler last ran on each vPE; 0 while a deadline is ahead.
static FIRED: [AtomicU64; VPES] = [const { AtomicU64::new(0) }; VPES];

/// Lets the timer of this vPE interrupt. Once per vPE, before any deadline. False: the device tree
/// has none.
pub fn init(machine: &Machine) -> bool {
    let Some(intid) = machine.physical_timer_intid().map(IntId::new) else { return false };
    stop();
    interrupts::set_handler(intid, expired);
    interrupts::enable(intid);
    true
}

/// Interrupts at `deadline`, at once if it has passed.
pub fn set(deadline: u64) {
    fired().store(0, Ordering::Relaxed);
    CNTP_CVAL_EL0.set(deadline);
    CNTP_CTL_EL0.write(CNTP_CTL_EL0::ENABLE::SET);
    isb(SY);
}

/// No deadline any more.
pub fn stop() {
    CNTP_CTL_EL0.set(0);
    isb(SY);
}

/// Writes CNTP_CTL_EL0 and CNTP_CVAL_EL0 as they are.
pub fn write(control: u64, compare: u64) {
    CNTP_CVAL_EL0.set(compare);
    CNTP_CTL_EL0.set(control);
    isb(SY);
}

/// CNTP_CTL_EL0 and CNTP_CVAL_EL0.
pub fn registers() -> (u64, u64) {
    isb(SY);
    (CNTP_CTL_EL0.get(), CNTP_CVAL_EL0.get())
}

/// Counter at the last expiry on this vPE. None: the deadline is ahead.
pub fn expired_at() -> Option<u64> {
    match fired().load(Ordering::Relaxed) {
        0 => None,
        ticks => Some(ticks),
    }
}

fn expired(_: IntId) {
    let ticks = timer::now();
    stop();
    fired().store(ticks, Ordering::Relaxed);
}

fn fired() -> &'static AtomicU64 {
    &FIRED[cpu::vpe() as usize % VPES]
}
