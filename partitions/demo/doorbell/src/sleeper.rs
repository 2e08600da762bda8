// SPDX-License-Identifier: Apache-2.0 OR MIT
//! vPE 1: takes interrupts, and sleeps in the way it is asked to.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rt::interrupts::{self, IntId};
use rt::{cpu, smp};

/// The vPE that sleeps.
pub const SLEEPER: u32 = 1;
/// SGI by which vPE 0 makes it look for a request.
pub const SGI: u32 = 0;
const QUEUES: usize = 2;

static REQUEST: AtomicU32 = AtomicU32::new(Request::None as u32);
static AWAKE: AtomicU64 = AtomicU64::new(0);
static TAKEN: [AtomicU64; QUEUES] = [const { AtomicU64::new(0) }; QUEUES];
static INTIDS: [AtomicU32; QUEUES] = [const { AtomicU32::new(0) }; QUEUES];
static STRAYS: AtomicU64 = AtomicU64::new(0);

/// What vPE 0 wants it to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Request {
    None,
    /// CPU_OFF.
    Off,
    /// CPU_SUSPEND to power-down.
    Suspend,
}

/// What the vPE runs, whether it was started or woke up.
pub fn main() {
    interrupts::set_handler(IntId::new(SGI), |_| {});
    interrupts::enable(IntId::new(SGI));
    AWAKE.fetch_add(1, Ordering::Release);
    loop {
        cpu::wait_until(|| REQUEST.load(Ordering::Acquire) != Request::None as u32);
        let request = REQUEST.swap(Request::None as u32, Ordering::AcqRel);
        if request == Request::Off as u32 {
            return;
        }
        cpu::disable_interrupts();
        // Ok: an interrupt came first; it is taken in the next turn, and the request is done.
        if let Err(error) = smp::sleep(main) {
            rt::println!("CPU_SUSPEND: {error}");
        }
    }
}

pub fn ask(request: Request) {
    REQUEST.store(request as u32, Ordering::Release);
}

/// Times the vPE began, by CPU_ON or by waking up.
pub fn awake() -> u64 {
    AWAKE.load(Ordering::Acquire)
}

/// Begins to count starts anew.
pub fn reset() {
    AWAKE.store(0, Ordering::Release);
}

/// Counts the interrupts of a queue.
pub fn listen(queue: usize, intid: u32) {
    INTIDS[queue].store(intid, Ordering::Release);
    interrupts::set_handler(IntId::new(intid), take);
}

/// Interrupts of a queue that the vPE took.
pub fn taken(queue: usize) -> u64 {
    TAKEN[queue].load(Ordering::Acquire)
}

/// Interrupts that came to another vPE.
pub fn strays() -> u64 {
    STRAYS.load(Ordering::Acquire)
}

fn take(intid: IntId) {
    if cpu::vpe() != SLEEPER {
        STRAYS.fetch_add(1, Ordering::Release);
        return;
    }
    for (taken, mine) in TAKEN.iter().zip(&INTIDS) {
        if mine.load(Ordering::Relaxed) == intid.value() {
            taken.fetch_add(1, Ordering::Release);
        }
    }
}
