// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A vPE's redistributor: its SGIs and PPIs, and what waits for a list register.
//!
//! [`super::gicr`] has the registers.

use super::{
    bank::{four_priorities, place},
    view::View,
};
use core::mem::offset_of;
use core::sync::atomic::{
    AtomicU8, AtomicU16, AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use plan::Masked;

/// Priorities that an interrupt can have.
const PRIORITIES: usize = 32;

/// Bit of `attention`: somebody changed what this vPE must look at.
pub(super) const RECHECK: u32 = 1;
/// Bit of `attention`: list registers or waiting interrupts need more than the short paths do.
pub(super) const UNUSUAL: u32 = 2;
/// Bit of `attention`: another CPU changed pending or active state.
pub(super) const CHANGED: u32 = 4;
/// Bit of `attention`: another vPE wants to see what is in the list registers.
pub(super) const SHOW: u32 = 8;
/// Bit of `attention`: an event that EL2 raised waits, and `rung` says which.
const RUNG: u32 = 16;
/// Bit of `attention`: another vPE dropped an event that may be listed here.
pub(crate) const STALE: u32 = 32;

pub(super) const ENABLE_LPIS: u32 = 1;
pub(super) const PROCESSOR_SLEEP: u32 = 1 << 1;

/// Registers and waiting interrupts of one vPE.
#[derive(Debug)]
pub struct Redistributor {
    /// Not 0: the short paths must not be taken. Set by any CPU, cleared by [`super::flush`].
    pub(super) attention: AtomicU32,
    /// Enabled SGIs and PPIs while the distributor's group is on, else 0.
    pub(super) live: AtomicU32,
    /// Pending in software: SGIs (word 0), and SPIs that found no list register or came from
    /// another CPU.
    pub(super) waiting: Masked<AtomicU32, 32>,
    pub(super) priority: Masked<AtomicU8, 32>,
    /// Active interrupts of this vPE's in no list register. Changed by the own CPU only.
    pub(super) parked: Masked<AtomicU32, 32>,
    /// Those of them that the guest ends by priority (EOImode 0), by priority: INTID + 1. No two
    /// have the same one, as only a higher priority preempts. An entry that is not parked any more
    /// counts for nothing. Own CPU only.
    nested: [AtomicU16; PRIORITIES],
    /// Interrupts whose pending and whose active state another CPU cleared: to be taken out of list
    /// registers at the next flush.
    pub(super) cleared_pending: Masked<AtomicU32, 32>,
    pub(super) cleared_active: Masked<AtomicU32, 32>,
    /// SGIs and PPIs that another CPU made active: at the next flush, too.
    pub(super) made_active: AtomicU32,
    /// The event that rang last, plus one; 0: none. With those before it `attention` says more.
    rung: AtomicU32,
    /// What other vPEs see of its list registers.
    pub(super) view: View,
    /// Maintenance enables as last set. Own CPU only.
    pub(super) maintenance: AtomicU32,
    pub(super) enabled: AtomicU32,
    pub(super) ctlr: AtomicU32,
    /// GICR_WAKER.ProcessorSleep, inverted: a redistributor in its first state is all zero.
    pub(super) awake: AtomicU16,
    /// SGIs that are enabled in the GIC ([`super::vsgi`]): no register of the guest's, and put back
    /// with the GIC's copy.
    pub(super) in_gic: AtomicU16,
    pub(super) propbaser: AtomicU64,
    pub(super) pendbaser: AtomicU64,
}

impl Redistributor {
    /// Where in it `attention` is.
    pub const ATTENTION: usize = offset_of!(Self, attention);

    pub const fn new() -> Self {
        Self {
            attention: AtomicU32::new(0),
            live: AtomicU32::new(0),
            waiting: Masked::new([const { AtomicU32::new(0) }; 32]),
            priority: Masked::new([const { AtomicU8::new(0) }; 32]),
            parked: Masked::new([const { AtomicU32::new(0) }; 32]),
            nested: [const { AtomicU16::new(0) }; PRIORITIES],
            cleared_pending: Masked::new([const { AtomicU32::new(0) }; 32]),
            cleared_active: Masked::new([const { AtomicU32::new(0) }; 32]),
            made_active: AtomicU32::new(0),
            rung: AtomicU32::new(0),
            view: View::new(),
            maintenance: AtomicU32::new(0),
            enabled: AtomicU32::new(0),
            ctlr: AtomicU32::new(0),
            awake: AtomicU16::new(0),
            in_gic: AtomicU16::new(0),
            propbaser: AtomicU64::new(0),
            pendbaser: AtomicU64::new(0),
        }
    }

    /// As at power-up. The caller empties the list registers and clears ICH_HCR_EL2's maintenance
    /// enables.
    pub fn reset(&self) {
        let cells = [&self.live, &self.maintenance, &self.enabled, &self.ctlr];
        for cell in cells.into_iter().chain([&self.made_active, &self.rung]) {
            cell.store(0, Relaxed);
        }
        let words = self.waiting.iter().chain(&self.parked);
        for cell in words.chain(&self.cleared_pending).chain(&self.cleared_active) {
            cell.store(0, Relaxed);
        }
        for cell in &self.priority {
            cell.store(0, Relaxed);
        }
        for cell in &self.nested {
            cell.store(0, Relaxed);
        }
        self.view.reset();
        // The first flush says which traps the vPE wants.
        self.attention.store(RECHECK, Relaxed);
        self.awake.store(0, Relaxed);
        self.propbaser.store(0, Relaxed);
        self.pendbaser.store(0, Release);
    }

    /// Which of `ppis` the guest wants.
    pub fn enabled_ppis(&self, ppis: u32) -> u32 {
        self.live.load(Relaxed) & ppis
    }

    /// GICR_PROPBASER, GICR_PENDBASER and GICR_CTLR.EnableLPIs as the guest wrote them.
    pub fn lpi_tables(&self) -> (u64, u64, bool) {
        (
            self.propbaser.load(Relaxed),
            self.pendbaser.load(Relaxed),
            self.ctlr.load(Relaxed) & ENABLE_LPIS != 0,
        )
    }

    /// An interrupt waits that could be delivered: the vPE must not sleep.
    #[inline(always)]
    pub fn has_waiting(&self) -> bool {
        self.attention.load(Acquire) & (RECHECK | RUNG) != 0
            || self.waiting[0].load(Acquire) & self.live.load(Relaxed) & !self.parked_word(0) != 0
    }

    /// Event `event`, which is EL2's own, waits.
    pub(super) fn ring(&self, event: usize) {
        let before = self.rung.swap(event as u32 + 1, AcqRel);
        // One that is not known by `rung` any more is found by a flush.
        self.attention.fetch_or(if before == 0 { RUNG } else { RECHECK }, AcqRel);
    }

    /// Nothing but one such event wants to be looked at.
    #[inline(always)]
    pub(crate) fn is_only_rung(&self) -> bool {
        self.attention.load(Relaxed) == RUNG
    }

    /// That event. None: there is more, or none; the vPE flushes.
    #[inline(always)]
    pub(super) fn take_rung(&self) -> Option<usize> {
        self.attention.compare_exchange(RUNG, 0, AcqRel, Relaxed).ok()?;
        self.rung.swap(0, AcqRel).checked_sub(1).map(|event| event as usize)
    }

    /// A flush looks at all that wait.
    #[inline(always)]
    pub(crate) fn forget_rung(&self) {
        self.rung.swap(0, AcqRel);
    }

    /// Parked interrupts of a word.
    #[inline]
    pub(super) fn parked_word(&self, word: usize) -> u32 {
        self.parked[word].load(Relaxed)
    }

    /// An interrupt is active and leaves its list register, or never was in one. With `priority`:
    /// the guest will end it by that priority.
    pub(super) fn park(&self, intid: u32, priority: Option<u8>) {
        let (word, bit) = place(intid);
        self.parked[word].fetch_or(bit, Relaxed);
        if let Some(cell) =
            priority.and_then(|priority| self.nested.get(usize::from(priority >> 3)))
        {
            cell.store(intid as u16 + 1, Relaxed);
        }
    }

    /// The parked interrupt that the guest ended, as it is the one with the highest priority.
    pub(super) fn innermost(&self) -> Option<u32> {
        self.nested.iter().find_map(|cell| {
            let intid = u32::from(cell.swap(0, Relaxed)).checked_sub(1)?;
            let (word, bit) = place(intid);
            (self.parked_word(word) & bit != 0).then_some(intid)
        })
    }

    pub(super) fn read_priority(&self, intid: usize) -> u8 {
        self.priority[intid].load(Relaxed)
    }

    /// Those of four interrupts, as a word.
    pub(super) fn read_priorities(&self, first: usize) -> u32 {
        four_priorities(&self.priority, first)
    }

    pub(super) fn write_priority(
        &self,
        private: u32,
        first: usize,
        bytes: u32,
        value: u32,
        bits_of: impl Fn(usize) -> u8,
    ) -> bool {
        if bytes != 1 && bytes != 4 {
            return false;
        }
        for n in 0..bytes as usize {
            let intid = (first + n) & 31;
            if private & 1 << intid != 0 {
                self.priority[intid].store((value >> (8 * n)) as u8 & bits_of(intid), Relaxed);
            }
        }
        true
    }
}

impl Default for Redistributor {
    fn default() -> Self {
        Self::new()
    }
}
