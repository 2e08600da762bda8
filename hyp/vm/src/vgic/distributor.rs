// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A VM's distributor: the SPIs that it owns, and no others.
//!
//! INTIDs that the VM does not own cannot be enabled, pending or active; their priority,
//! configuration and route are stored and mean nothing, for guests that try what a register has.
//! [`super::gicd`] has the registers.

use super::bank::{IIDR, PRIORITY_BITS, four_priorities, place};
use crate::{
    affinity::{affinity_of, number_of},
    platform::PhysicalGic,
};
use core::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
};
use plan::{ItsPolicy, Masked, Plan};

/// Times that a change is carried out again because another vPE made one meanwhile: a guest whose
/// vPEs never agree gets something.
pub(super) const TRIES: u32 = 8;
pub(super) const ENABLE_GROUP1: u32 = 0b10;
/// GICD_CTLR: enables of both groups; only Group 1 means anything.
pub(super) const ENABLES: u32 = 0b11;
/// GICD_CTLR.nASSGIreq, and GICD_TYPER2.nASSGIcap.
pub(super) const NO_ACTIVE_SGIS: u32 = 1 << 8;
/// GICD_TYPER: No1N and A3V.
const TYPER_FIXED: u32 = 1 << 25 | 1 << 24;
const TYPER_LPIS: u32 = 1 << 17;
/// GICD_CTLR.DS and ARE, always set.
const CTLR_FIXED: u32 = 1 << 6 | 1 << 4;
/// Places in the head.
const CTLR: usize = 0;
const TYPER: usize = 1;
const IDENTIFICATION: usize = 2;
const TYPER2: usize = 3;

/// SPI state of one VM. In this order, as what an interrupt needs is near the start, where one
/// instruction reaches it.
#[derive(Debug)]
#[repr(C)]
pub struct Distributor {
    /// Its first registers: GICD_CTLR, GICD_TYPER, GICD_IIDR, GICD_TYPER2.
    head: Masked<AtomicU32, 4>,
    /// INTID of the emulated UART's interrupt; 0: none.
    pub(super) emulated: AtomicU32,
    /// Level of the emulated UART's interrupt line.
    pub(super) line: AtomicBool,
    /// vPE that has its interrupt in a list register or parked, plus 1; 0: none.
    holder: AtomicU32,
    /// The VM's interrupts, by word; word 0 is always 0.
    pub(super) owned: Masked<AtomicU32, 32>,
    /// Those of them that the hardware has.
    pub(super) hardware: Masked<AtomicU32, 32>,
    pub(super) enabled: Masked<AtomicU32, 32>,
    /// Edge-triggered ones of those that are not the VM's, as the guest wrote them.
    pub(super) edge: Masked<AtomicU32, 32>,
    /// SPIs whose line was high when they were given to a vPE that cannot take them yet: looked at
    /// again before it does.
    pub(super) doubtful: Masked<AtomicU32, 32>,
    pub(super) priority: Masked<AtomicU8, 1024>,
    /// Affinity that each goes to: Aff3 31:24, Aff2, Aff1, Aff0.
    pub(super) route: Masked<AtomicU32, 1024>,
}

impl Distributor {
    pub const fn new() -> Self {
        Self {
            head: Masked::new([const { AtomicU32::new(0) }; 4]),
            emulated: AtomicU32::new(0),
            line: AtomicBool::new(false),
            holder: AtomicU32::new(0),
            owned: Masked::new([const { AtomicU32::new(0) }; 32]),
            hardware: Masked::new([const { AtomicU32::new(0) }; 32]),
            enabled: Masked::new([const { AtomicU32::new(0) }; 32]),
            edge: Masked::new([const { AtomicU32::new(0) }; 32]),
            doubtful: Masked::new([const { AtomicU32::new(0) }; 32]),
            priority: Masked::new([const { AtomicU8::new(0) }; 1024]),
            route: Masked::new([const { AtomicU32::new(0) }; 1024]),
        }
    }

    /// Words that the board has SPIs in, and word 0. All others are zero for ever.
    pub fn words(plan: &Plan) -> usize {
        plan.spis.len().div_ceil(32).wrapping_add(1).min(32)
    }

    /// One word as at power-up, for the VM `config`: all of them take longer than an interrupt may
    /// wait. Physical SPIs are [`Distributor::quiesce`]'s.
    pub fn reset_word(&self, plan: &Plan, config: &plan::Vm, word: usize) {
        let word = word & 31;
        let vm = plan.vpes.get(usize::from(config.first_vpe)).map(|vpe| vpe.vm);
        let first = 32 * word;
        for intid in first..first + 32 {
            self.priority[intid].store(0, Relaxed);
            self.route[intid].store(0, Relaxed);
        }
        let spis = plan.spis.get(first.saturating_sub(32)..).unwrap_or(&[]);
        let mut owned = 0;
        for (intid, spi) in (first.max(32)..(first + 32).min(1020)).zip(spis) {
            if let Some(spi) = spi
                && Some(spi.vm) == vm
            {
                owned |= place(intid as u32).1;
                let number = spi.vpe.value().wrapping_sub(config.first_vpe);
                self.route[intid].store(affinity_of(number.into()), Relaxed);
            }
        }
        self.owned[word].store(owned, Relaxed);
        self.hardware[word].store(owned, Relaxed);
        for cells in [&self.enabled, &self.edge, &self.doubtful] {
            cells[word].store(0, Relaxed);
        }
    }

    /// The rest, when all words are reset.
    pub fn reset_control(&self, plan: &Plan, config: &plan::Vm) {
        self.head[CTLR].store(CTLR_FIXED, Relaxed);
        let capable = if plan.has_virtual_sgis(config) { NO_ACTIVE_SGIS } else { 0 };
        self.head[TYPER2].store(capable, Relaxed);
        self.head[IDENTIFICATION].store(IIDR, Relaxed);
        self.line.store(false, Relaxed);
        self.holder.store(0, Relaxed);
        let emulated = config.uart_intid.filter(|intid| (32..1020).contains(intid)).unwrap_or(0);
        self.emulated.store(emulated, Relaxed);
        if emulated != 0 {
            let (word, bit) = place(emulated);
            self.owned[word].fetch_or(bit, Relaxed);
            self.hardware[word].fetch_and(!bit, Relaxed);
        }
        if let Some(watchdog) = &config.watchdog {
            let (word, bit) = place(watchdog.intid);
            self.owned[word].fetch_or(bit, Relaxed);
        }
        let highest = (1..32).rev().find(|&word| self.owned[word].load(Relaxed) != 0);
        let lpis = if config.its == ItsPolicy::None { 0 } else { TYPER_LPIS };
        // 10 bits hold every SPI; vLPIs need what the plan says.
        let id_bits = u32::from(config.vintid_bits).max(10) - 1;
        let words = highest.unwrap_or(0) as u32;
        self.head[TYPER].store(TYPER_FIXED | lpis | id_bits << 19 | words, Release);
    }

    /// Makes the VM's physical SPIs disabled, inactive and not pending: before it starts and after
    /// it stops.
    pub fn quiesce<P: PhysicalGic>(&self, platform: &mut P) {
        for word in 1..32 {
            let bits = self.hardware[word].load(Relaxed);
            if bits != 0 {
                platform.disable(word, bits);
                platform.clear_pending(word, bits);
                platform.clear_active(word, bits);
            }
        }
    }

    /// One of the first registers, by its offset; None: it is none.
    #[inline(always)]
    pub(super) fn head(&self, offset: u64) -> Option<u32> {
        // What is no multiple of 4 is far outside.
        let index = offset.rotate_right(2);
        (index < 4).then(|| self.head[index as usize].load(Relaxed))
    }

    /// GICD_CTLR's enables of groups; what they were.
    pub(super) fn set_groups(&self, enables: u32) -> u32 {
        self.head[CTLR].swap(CTLR_FIXED | enables, SeqCst)
    }

    /// The same with nASSGIreq, which is read-only while a group is on (IHI 0069H 12.9.4).
    pub(super) fn set_groups_and_sgis(&self, value: u32) -> u32 {
        let capable = self.head[TYPER2].load(Relaxed);
        let set = |old: u32| {
            let asks = if old & ENABLES == 0 { value & capable } else { old };
            Some(CTLR_FIXED | value & ENABLES | asks & NO_ACTIVE_SGIS)
        };
        self.head[CTLR].fetch_update(SeqCst, SeqCst, set).unwrap_or(CTLR_FIXED)
    }

    /// The same, in one order with all changes of them.
    pub(super) fn groups(&self) -> u32 {
        self.head[CTLR].load(SeqCst)
    }

    /// The VM has a virtual ITS, and so LPIs of its own making.
    #[inline]
    pub fn lpis(&self) -> bool {
        self.head[TYPER].load(Relaxed) & TYPER_LPIS != 0
    }

    /// Group 1 is on.
    #[inline]
    pub(super) fn group_on(&self) -> bool {
        self.head[CTLR].load(Acquire) & ENABLE_GROUP1 != 0
    }

    /// Highest word that has an interrupt of the VM.
    #[inline]
    pub(super) fn last_word(&self) -> usize {
        (self.head[TYPER].load(Relaxed) & 31) as usize
    }

    /// Interrupts of a word that may be delivered now.
    #[inline]
    pub(super) fn live(&self, word: usize) -> u32 {
        if self.group_on() { self.enabled[word].load(Acquire) } else { 0 }
    }

    #[inline]
    pub(super) fn is_hardware(&self, intid: u32) -> bool {
        let (word, bit) = place(intid);
        self.hardware[word].load(Relaxed) & bit != 0
    }

    /// The VM's interrupts of a word.
    pub(super) fn owned(&self, word: usize) -> u32 {
        self.owned[word].load(Relaxed)
    }

    pub(super) fn hardware_word(&self, word: usize) -> u32 {
        self.hardware[word].load(Relaxed)
    }

    /// INTIDs of the VM's physical SPIs.
    pub fn spis(&self) -> impl Iterator<Item = u32> {
        let words = 1..=self.last_word() as u32;
        words.flat_map(|word| {
            let bits = self.hardware_word(word as usize);
            // Without any, the bits need not be looked at.
            let count = if bits == 0 { 0 } else { 32 };
            (0..count).filter(move |bit| bits >> bit & 1 != 0).map(move |bit| word * 32 + bit)
        })
    }

    /// The emulated interrupt's INTID, and whether its line is high.
    pub(super) fn emulated_line(&self) -> (u32, bool) {
        (self.emulated.load(Relaxed), self.line.load(Acquire))
    }

    /// vPE `number` is about to list the emulated interrupt. False: another one still has it, and
    /// looks at the line when it ends.
    pub(super) fn claim(&self, number: usize) -> bool {
        let own = number as u32 + 1;
        let before = self.holder.compare_exchange(0, own, AcqRel, Acquire);
        before.is_ok() || before == Err(own)
    }

    /// Nobody has it any more.
    pub(super) fn release(&self) {
        self.holder.store(0, Release);
    }

    /// Number of the vPE that interrupt `intid` goes to; more than the VM has: nobody, and it stays
    /// pending.
    pub fn route_of(&self, intid: u32) -> usize {
        number_of(self.route[intid as usize].load(SeqCst))
    }

    pub(super) fn read_priority(&self, intid: usize) -> u8 {
        self.priority[intid].load(Relaxed)
    }

    /// Those of four interrupts, as a word.
    pub(super) fn read_priorities(&self, first: usize) -> u32 {
        four_priorities(&self.priority, first)
    }

    pub(super) fn write_priority(&self, first: usize, bytes: u32, value: u32) {
        for n in 0..bytes as usize {
            let intid = (first + n) & 1023;
            let (word, bit) = place(intid as u32);
            if self.admitted(word) & bit != 0 {
                self.priority[intid].store((value >> (8 * n)) as u8 & PRIORITY_BITS, Relaxed);
            }
        }
    }

    /// The upper bits of the fields of GICD_ICFGR<index> for the interrupts `bits` of its word.
    #[inline(never)]
    pub(super) fn fields(bits: u32, index: usize) -> u32 {
        let bits = bits >> ((index & 1) * 16);
        (0..16).fold(0, |fields, n| fields | (bits >> n & 1) << (2 * n + 1))
    }

    /// GICD_ICFGR<index> of interrupts that are not the VM's.
    pub(super) fn store_config(&self, index: usize, value: u32) {
        let word = index >> 1 & 31;
        let half = 0xffff << ((index & 1) * 16);
        let edges = (0..16).fold(0, |bits, n| bits | (value >> (2 * n + 1) & 1) << n);
        let foreign = self.admitted(word) & !self.owned(word) & half;
        let edges = edges << ((index & 1) * 16) & foreign;
        self.edge[word].fetch_and(!foreign | edges, Relaxed);
        self.edge[word].fetch_or(edges, Relaxed);
    }

    /// SPIs of a word that GICD_TYPER admits.
    pub(super) fn admitted(&self, word: usize) -> u32 {
        match word & 31 {
            0 => 0,
            word if word > self.last_word() => 0,
            31 => 0x0fff_ffff,
            _ => u32::MAX,
        }
    }
}

impl Default for Distributor {
    fn default() -> Self {
        Self::new()
    }
}
