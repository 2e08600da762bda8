// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The event queue: take records, a bounded number at a time.
//!
//! Owns SMMU_EVTQ_CONS. Follows IHI 0070 3.5 and 7.2.
//!
//! 1. Read SMMU_EVTQ_PROD, then a barrier: records up to there are in memory.
//! 2. Read records, then a barrier, then write SMMU_EVTQ_CONS: the SMMU may overwrite them.
//! 3. PROD.OVFLG differs from CONS.OVACKFLG when records were lost; CONS acknowledges that.

use crate::event::{Encoded, Event};
use crate::frame::Frame;
use crate::regs::{self, OVERFLOW};

/// The memory of an event queue.
pub trait EventMemory {
    /// The record in a slot, as the SMMU wrote it.
    fn read(&self, slot: u32) -> Encoded;
    /// A barrier: reads of records, and accesses to registers, stay on their side of it.
    fn observe(&self);
}

/// What [`EventQueue::drain`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    pub taken: u32,
    /// Records that were there already and were left for another time.
    pub left: u32,
    /// Since the last time records were lost, the queue being full.
    pub lost: bool,
}

/// The event queue of an SMMU.
#[derive(Debug)]
pub struct EventQueue<F, M> {
    frame: F,
    memory: M,
    bits: u8,
    /// The position to read next, with its wrap bit.
    next: u32,
    /// SMMU_EVTQ_CONS.OVACKFLG.
    acknowledged: u32,
}

impl<F: Frame, M: EventMemory> EventQueue<F, M> {
    /// The event queue of `1 << bits` slots that [`crate::unit::Unit::enable`] set up.
    pub const fn new(frame: F, memory: M, bits: u8) -> Self {
        Self { frame, memory, bits, next: 0, acknowledged: 0 }
    }

    /// Gives up to `limit` records to `each`, the oldest first.
    pub fn drain(&mut self, limit: u32, mut each: impl FnMut(Event)) -> Drained {
        let slots = 1 << self.bits;
        let mask = 2 * slots - 1;
        let produced = self.frame.read32(regs::EVTQ_PROD);
        self.memory.observe();
        // More than the queue holds cannot be; if it is, each slot is read once.
        let there = (produced.wrapping_sub(self.next) & mask).min(slots);
        let taken = there.min(limit);
        for n in 0..taken {
            each(Event::decode(self.memory.read(self.next.wrapping_add(n) & (slots - 1))));
        }
        self.memory.observe();
        let lost = (produced ^ self.acknowledged) & OVERFLOW != 0;
        self.acknowledged = produced & OVERFLOW;
        if taken != 0 || lost {
            self.next = (self.next + taken) & mask;
            self.frame.write32(regs::EVTQ_CONS, self.next | self.acknowledged);
        }
        Drained { taken, left: there - taken, lost }
    }
}
