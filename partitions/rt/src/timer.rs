// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The virtual timer: now, one shot, and periods that do not drift (DDI 0487 D12).
//!
//! The counter is CNTVCT_EL0, the deadline CNTV_CVAL_EL0: absolute, so that a late handler does not
//! move the next period. The handler masks the timer, since the interrupt is level-sensitive.

use core::sync::atomic::{AtomicU64, Ordering};

use aarch64_cpu::asm::barrier::{SY, isb};
use aarch64_cpu::registers::{
    CNTFRQ_EL0, CNTV_CTL_EL0, CNTV_CVAL_EL0, CNTVCT_EL0, Readable, Writeable,
};

use crate::interrupts::{self, IntId};
use crate::start::VPES;
use crate::{Machine, cpu};

/// When the handler last ran on each vPE; 0 while a deadline is ahead.
static FIRED: [AtomicU64; VPES] = [const { AtomicU64::new(0) }; VPES];

/// The counter.
pub fn now() -> u64 {
    isb(SY);
    CNTVCT_EL0.get()
}

/// Ticks of the counter in a second.
pub fn frequency() -> u64 {
    CNTFRQ_EL0.get().max(1)
}

/// Ticks in a number of microseconds, at least one.
pub fn microseconds(count: u64) -> u64 {
    (u128::from(count) * u128::from(frequency()) / 1_000_000).max(1) as u64
}

/// Nanoseconds in a number of ticks.
pub fn nanoseconds(ticks: u64) -> u64 {
    (u128::from(ticks) * 1_000_000_000 / u128::from(frequency())) as u64
}

/// Lets the timer of this vPE interrupt. Once per vPE, before any deadline.
pub fn init(machine: &Machine) {
    stop();
    let intid = IntId::new(machine.timer_intid());
    interrupts::set_handler(intid, expired);
    interrupts::enable(intid);
}

/// Interrupts at `deadline`, at once if it has passed.
pub fn set(deadline: u64) {
    fired().store(0, Ordering::Relaxed);
    CNTV_CVAL_EL0.set(deadline);
    CNTV_CTL_EL0.write(CNTV_CTL_EL0::ENABLE::SET);
    isb(SY);
}

/// No deadline any more.
pub fn stop() {
    CNTV_CTL_EL0.set(0);
    isb(SY);
}

/// Counter at the last expiry on this vPE. None: the deadline is ahead.
pub fn expired_at() -> Option<u64> {
    match fired().load(Ordering::Relaxed) {
        0 => None,
        ticks => Some(ticks),
    }
}

/// Waits until `deadline` without giving up the CPU.
pub fn busy(deadline: u64) {
    while now() < deadline {
        cpu::relax();
    }
}

/// Waits by WFI until `deadline`; the counter when the handler ran.
pub fn wait(deadline: u64) -> u64 {
    set(deadline);
    cpu::wait_until(|| expired_at().is_some());
    expired_at().unwrap_or(deadline)
}

/// Waits by WFI for a number of microseconds.
pub fn sleep(count: u64) {
    wait(now() + microseconds(count));
}

/// Deadlines at a fixed distance, counted from when it was made.
#[derive(Debug)]
pub struct Periodic {
    period: u64,
    next: u64,
}

/// One period as it came to pass, in ticks of the counter.
#[derive(Clone, Copy, Debug)]
pub struct Expiry {
    pub planned: u64,
    pub handled: u64,
}

impl Periodic {
    /// Periods of so many ticks, at least one; the first ends one period from now.
    pub fn new(period: u64) -> Self {
        let period = period.max(1);
        Self { period, next: now() + period }
    }

    /// Waits for the end of the period. Ends that passed meanwhile come at once, none is left out.
    pub fn wait(&mut self) -> Expiry {
        let planned = self.next;
        self.next += self.period;
        Expiry { planned, handled: wait(planned) }
    }
}

fn expired(_: IntId) {
    let ticks = now();
    stop();
    fired().store(ticks, Ordering::Relaxed);
}

fn fired() -> &'static AtomicU64 {
    &FIRED[cpu::vpe() as usize % VPES]
}
