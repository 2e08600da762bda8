// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Interrupts: numbers, handlers, SGIs.
//!
//! One table for all vPEs: a handler asks `cpu::vpe` where it runs, if it matters. Handlers run
//! with interrupts masked, between acknowledge and end. An interrupt without a handler is counted
//! and ended.

use core::fmt;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use core::{mem, ptr};

use crate::{cpu, gic};

/// An interrupt number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct IntId(u32);

/// What is called with the interrupt that came.
pub type Handler = fn(IntId);

/// SPIs and LPIs with handlers that a partition can have.
const SHARED: usize = 32;
const PRIVATE: usize = 32;
const FIRST_SPECIAL: u32 = 1020;
const FIRST_LPI: u32 = 8192;
/// In `Slot::intid`: the slot is free. No interrupt has this number.
const FREE: u32 = u32::MAX;

struct Slot {
    intid: AtomicU32,
    /// A `Handler`, or null.
    handler: AtomicPtr<()>,
}

static PRIVATE_HANDLERS: [AtomicPtr<()>; PRIVATE] =
    [const { AtomicPtr::new(ptr::null_mut()) }; PRIVATE];
static SHARED_HANDLERS: [Slot; SHARED] =
    [const { Slot { intid: AtomicU32::new(FREE), handler: AtomicPtr::new(ptr::null_mut()) } };
        SHARED];
static UNEXPECTED: AtomicU32 = AtomicU32::new(0);

impl IntId {
    pub const fn new(value: u32) -> Self {
        Self(value)
    }
    pub const fn value(self) -> u32 {
        self.0
    }
}

impl fmt::Debug for IntId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..16 => write!(f, "SGI {}", self.0),
            16..32 => write!(f, "PPI {}", self.0),
            32..1020 => write!(f, "SPI {}", self.0),
            FIRST_LPI.. => write!(f, "LPI {}", self.0),
            _ => write!(f, "INTID {}", self.0),
        }
    }
}

/// Calls `handler` for an interrupt from now on.
///
/// # Panics
/// When more than 32 SPIs and LPIs have handlers.
pub fn set_handler(intid: IntId, handler: Handler) {
    let pointer = handler as *mut ();
    if let Some(slot) = PRIVATE_HANDLERS.get(intid.0 as usize) {
        slot.store(pointer, Ordering::Release);
        return;
    }
    for slot in &SHARED_HANDLERS {
        let found = slot
            .intid
            .compare_exchange(FREE, intid.0, Ordering::AcqRel, Ordering::Acquire)
            .unwrap_or_else(|taken| taken);
        if found == FREE || found == intid.0 {
            slot.handler.store(pointer, Ordering::Release);
            return;
        }
    }
    panic!("more than {SHARED} interrupts with handlers");
}

/// Lets an SGI, PPI or SPI through; an SPI comes to this vPE. LPIs are always on.
pub fn enable(intid: IntId) {
    gic::set_enabled(intid.0, true);
}

/// Holds an SGI, PPI or SPI back.
pub fn disable(intid: IntId) {
    gic::set_enabled(intid.0, false);
}

/// Routes an SPI to a vPE of this VM. Where it is pending it goes along; where it is active it ends
/// first.
pub fn route(intid: IntId, vpe: u32) {
    gic::route(intid.0, cpu::affinity_of(vpe));
}

/// An SPI is not pending any more, whichever vPE it waits for. A level that is high makes it
/// pending again.
pub fn clear_pending(intid: IntId) {
    gic::clear_pending(intid.0);
}

/// Sends an SGI (0 to 15) to a vPE of this VM, this one included.
pub fn send(sgi: u32, vpe: u32) {
    let affinity = cpu::affinity_of(vpe);
    gic::send_sgi((affinity >> 8) << 16 | u64::from(sgi & 15) << 24 | 1 << (affinity & 0xf));
}

/// Sends an SGI to all vPEs of this VM but this one.
pub fn send_others(sgi: u32) {
    gic::send_sgi(1 << 40 | u64::from(sgi & 15) << 24);
}

/// Interrupts that came without a handler so far.
pub fn unexpected() -> u32 {
    UNEXPECTED.load(Ordering::Relaxed)
}

/// Takes every interrupt that is pending.
pub(crate) fn dispatch() {
    loop {
        let intid = gic::acknowledge();
        if (FIRST_SPECIAL..FIRST_LPI).contains(&intid) {
            return;
        }
        match handler(intid) {
            Some(handler) => handler(IntId(intid)),
            None => {
                UNEXPECTED.fetch_add(1, Ordering::Relaxed);
            }
        }
        gic::end(intid);
    }
}

fn handler(intid: u32) -> Option<Handler> {
    let slot = PRIVATE_HANDLERS.get(intid as usize).or_else(|| {
        SHARED_HANDLERS
            .iter()
            .find(|slot| slot.intid.load(Ordering::Acquire) == intid)
            .map(|slot| &slot.handler)
    })?;
    let pointer = slot.load(Ordering::Acquire);
    if pointer.is_null() {
        return None;
    }
    // SAFETY: only `set_handler` stores here, and what it stores is a `Handler`.
    Some(unsafe { mem::transmute::<*mut (), Handler>(pointer) })
}
