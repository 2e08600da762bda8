//! A VM's distributor: the SPIs that it owns, and no others.
//!
//! The registers of IHI 0069H 12.9 (GICD_*). INTIDs that the VM does not own cannot be enabled, pending or active; their
//! priority, configuration and route are stored and mean nothing, for guests that try what a register has. All of word 0 (SGIs
//! and PPIs live in the redistributors with affinity routing on), INTIDs beyond GICD_TYPER, reserved registers, GICD_ITARGETSR
//! and GICD_SGIR read as zero and ignore writes. An access of a width that a register does not have is refused.

use super::{
    IIDR, PIDR2, PRIORITY_BITS, inject, place, redistributor::RECHECK, surrender, withdraw,
};
use crate::{Guest, Platform, VpeState, bits::Bits, guest::affinity_of, platform::PhysicalGic};
use core::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
};
use plan::{ItsPolicy, Masked, Plan};

/// GICD_CTLR: enables of both groups; only Group 1 means anything.
const ENABLES: u32 = 0b11;
const ENABLE_GROUP1: u32 = 0b10;
/// Times that a change is carried out again because another vPE made one meanwhile: a guest whose vPEs never agree gets
/// something.
pub(super) const TRIES: u32 = 8;
/// GICD_CTLR.DS and ARE, always set.
const FIXED: u32 = 1 << 6 | 1 << 4;
/// GICD_TYPER: No1N and A3V.
const TYPER_FIXED: u32 = 1 << 25 | 1 << 24;
const TYPER_LPIS: u32 = 1 << 17;

/// SPI state of one VM. In this order, as what an interrupt needs is near the start, where one instruction reaches it.
#[derive(Debug)]
#[repr(C)]
pub struct Distributor {
    typer: AtomicU32,
    ctlr: AtomicU32,
    /// INTID of the emulated UART's interrupt; 0: none.
    emulated: AtomicU32,
    /// Level of the emulated UART's interrupt line.
    line: AtomicBool,
    /// vPE that has its interrupt in a list register or parked, plus 1; 0: none.
    holder: AtomicU32,
    /// The VM's interrupts, by word; word 0 is always 0.
    pub(super) owned: Masked<AtomicU32, 32>,
    /// Those of them that the hardware has.
    hardware: Masked<AtomicU32, 32>,
    enabled: Masked<AtomicU32, 32>,
    /// Edge-triggered ones of those that are not the VM's, as the guest wrote them.
    edge: Masked<AtomicU32, 32>,
    /// SPIs whose line was high when they were given to a vPE that cannot take them yet: looked at again before it does.
    pub(super) doubtful: Masked<AtomicU32, 32>,
    pub(super) priority: Masked<AtomicU8, 1024>,
    /// Affinity that each goes to: Aff3 31:24, Aff2, Aff1, Aff0.
    pub(super) route: Masked<AtomicU32, 1024>,
}

impl Distributor {
    pub const fn new() -> Self {
        Self {
            typer: AtomicU32::new(0),
            ctlr: AtomicU32::new(0),
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

    /// One word as at power-up, for the VM `config`: all of them take longer than an interrupt may wait. Physical SPIs are
    /// [`Distributor::quiesce`]'s.
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
    pub fn reset_control(&self, config: &plan::Vm) {
        self.ctlr.store(0, Relaxed);
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
        self.typer.store(TYPER_FIXED | lpis | id_bits << 19 | words, Release);
    }

    /// Makes the VM's physical SPIs disabled, inactive and not pending: before it starts and after it stops.
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

    /// Offset of GICD_TYPER.
    pub(crate) const TYPER: u64 = 4;

    /// GICD_TYPER.
    #[inline(always)]
    pub(crate) fn type_register(&self) -> u32 {
        self.typer.load(Relaxed)
    }

    /// The VM has a virtual ITS, and so LPIs of its own making.
    #[inline]
    pub fn lpis(&self) -> bool {
        self.typer.load(Relaxed) & TYPER_LPIS != 0
    }

    /// Group 1 is on.
    #[inline]
    pub(super) fn group_on(&self) -> bool {
        self.ctlr.load(Acquire) & ENABLE_GROUP1 != 0
    }

    /// Highest word that has an interrupt of the VM.
    #[inline]
    pub(super) fn last_word(&self) -> usize {
        (self.typer.load(Relaxed) & 31) as usize
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

    /// vPE `number` is about to list the emulated interrupt. False: another one still has it, and looks at the line when it ends.
    pub(super) fn claim(&self, number: usize) -> bool {
        let own = number as u32 + 1;
        let before = self.holder.compare_exchange(0, own, AcqRel, Acquire);
        before.is_ok() || before == Err(own)
    }

    /// Nobody has it any more.
    pub(super) fn release(&self) {
        self.holder.store(0, Release);
    }

    /// The emulated UART's interrupt line is now at `level`; `vpes` are the VM's. Answers the number of the vPE whose CPU
    /// must look: [`super::notify`], or a kick from outside the VM. Under the UART's lock.
    pub fn set_line(&self, vpes: &[VpeState], level: bool) -> Option<usize> {
        let intid = self.emulated.load(Relaxed);
        if self.line.load(Relaxed) == level || intid == 0 {
            return None;
        }
        self.line.store(level, Release);
        let number = if level { self.queue(vpes, intid)? } else { self.route_of(intid) };
        let redistributor = &vpes.get(number)?.redistributor;
        if !level {
            let (word, bit) = place(intid);
            redistributor.waiting[word].fetch_and(!bit, AcqRel);
        }
        redistributor.attention.fetch_or(RECHECK, AcqRel);
        Some(number)
    }

    /// Reads `bytes` at `offset`; None: refused.
    #[inline]
    pub fn read<P: Platform>(guest: &Guest, platform: &P, offset: u32, bytes: u32) -> Option<u64> {
        guest.vm.distributor.read_register(guest, platform, offset, bytes)
    }

    /// Writes; false: refused.
    #[inline]
    pub fn write<P: Platform>(
        guest: &Guest,
        platform: &mut P,
        offset: u32,
        bytes: u32,
        value: u64,
    ) -> bool {
        guest.vm.distributor.write_register(guest, platform, offset, bytes, value)
    }

    fn read_register<P: Platform>(
        &self,
        guest: &Guest,
        platform: &P,
        offset: u32,
        bytes: u32,
    ) -> Option<u64> {
        let word = word_of(offset);
        let owned = self.owned[word].load(Relaxed);
        let hardware = self.hardware[word].load(Relaxed);
        match (offset, bytes) {
            (0x400..0x800, 1 | 4) => {
                return Some(self.read_priority(offset as usize - 0x400, bytes));
            }
            (0x6000..0x8000, 4 | 8) => return Some(self.read_route(offset, bytes)),
            // GICD_ITARGETSR and the SGI pending registers have bytes too.
            (0x800..0xc00 | 0xf10..0xf30, 1) => return Some(0),
            (_, 4) => {}
            _ => return None,
        }
        let value = match offset >> 7 {
            0x00 => match offset {
                0x0 => FIXED | self.ctlr.load(Relaxed),
                0x4 => self.type_register(),
                0x8 => IIDR,
                _ => 0,
            },
            // Group 1, all of them.
            0x01 => self.admitted(word),
            0x02 | 0x03 => self.enabled[word].load(Relaxed),
            0x04 | 0x05 => {
                (hardware & platform.pending(word) | self.pending(guest, platform, word)) & owned
            }
            0x06 | 0x07 => {
                let (listed, active) = withdraw::listed(platform, word);
                let waiting = self.waiting(guest, word) | listed & !active;
                let parked = guest.vpes.iter().map(|vpe| vpe.redistributor.parked_word(word));
                let parked = parked.fold(0, |sum, parked| sum | parked);
                (hardware & platform.active(word) & !waiting | active | parked) & owned
            }
            0x18 | 0x19 => {
                let index = config_index(offset);
                let mask = Self::fields(self.hardware_word(index >> 1), index);
                let own = if mask == 0 { 0 } else { platform.config(index) & mask };
                own | Self::fields(self.edge[index >> 1].load(Relaxed), index)
            }
            _ if offset == 0xffe8 => PIDR2,
            _ => 0,
        };
        Some(u64::from(value))
    }

    fn write_register<P: Platform>(
        &self,
        guest: &Guest,
        platform: &mut P,
        offset: u32,
        bytes: u32,
        value: u64,
    ) -> bool {
        let word = word_of(offset);
        let bits = value as u32;
        let hardware = self.hardware[word].load(Relaxed) & bits;
        match (offset, bytes) {
            (0x400..0x800, 1 | 4) => {
                self.write_priority(offset as usize - 0x400, bytes, bits);
                return true;
            }
            (0x6000..0x8000, 4 | 8) => {
                self.write_route(guest, platform, offset, bytes, value);
                return true;
            }
            (0x800..0xc00 | 0xf10..0xf30, 1) => return true,
            (_, 4) => {}
            _ => return false,
        }
        match offset >> 7 {
            0x00 if offset == 0 => self.set_control(guest, platform, bits & ENABLES),
            0x02 => Self::enable(guest, platform, word, bits),
            0x03 => self.disable(guest, platform, word, bits),
            0x04 if hardware != 0 => platform.set_pending(word, hardware),
            0x05 if hardware != 0 => {
                platform.clear_pending(word, hardware);
                withdraw::clear_pending(guest, platform, word, hardware);
            }
            0x06 => withdraw::set_active(guest, platform, word, bits & self.owned(word)),
            0x07 => withdraw::clear_active(guest, platform, word, bits & self.owned(word)),
            0x18 | 0x19 => {
                let index = config_index(offset);
                let mask = Self::fields(self.hardware_word(index >> 1), index);
                if mask != 0 {
                    platform.set_config(index, mask, bits & mask);
                }
                self.store_config(index, bits);
            }
            _ => {}
        }
        true
    }

    /// GICD_ISENABLER<word>.
    #[inline(always)]
    pub(crate) fn enable<P: Platform>(guest: &Guest, platform: &mut P, word: usize, bits: u32) {
        let this = &guest.vm.distributor;
        let word = word & 31;
        let bits = bits & this.owned[word].load(Relaxed);
        if bits == 0 {
            return;
        }
        this.enabled[word].fetch_or(bits, AcqRel);
        if !this.group_on() {
            return;
        }
        let hardware = bits & this.hardware[word].load(Relaxed);
        if hardware != 0 {
            platform.enable(word, hardware);
        }
        for bit in Bits(bits & !hardware) {
            let intid = word as u32 * 32 + bit;
            inject::notify(guest, platform, this.route_of(intid));
        }
    }

    fn disable<P: Platform>(&self, guest: &Guest, platform: &mut P, word: usize, bits: u32) {
        let bits = bits & self.enabled[word].load(Relaxed);
        if bits == 0 {
            return;
        }
        self.enabled[word].fetch_and(!bits, AcqRel);
        if !self.group_on() {
            return;
        }
        let hardware = bits & self.hardware[word].load(Relaxed);
        if hardware != 0 {
            platform.disable(word, hardware);
            Self::return_waiting(guest, platform, word, hardware);
        }
        // Those already handed to a vPE are taken back where they are.
        for number in 0..guest.vpes.len() {
            if (0..32)
                .any(|bit| bits & 1 << bit != 0 && self.route_of(word as u32 * 32 + bit) == number)
            {
                inject::notify(guest, platform, number);
            }
        }
    }

    /// What waits for a list register anywhere goes back to the hardware: a vPE that is off does not look.
    fn return_waiting<P: Platform>(guest: &Guest, platform: &mut P, word: usize, bits: u32) {
        for vpe in guest.vpes {
            surrender::return_waiting(platform, &vpe.redistributor, word, bits);
        }
    }

    /// GICD_CTLR. Whoever switches the group while another vPE does may pass it half-way: each looks again when it is through,
    /// so that the last one leaves everything as the register says.
    fn set_control<P: Platform>(&self, guest: &Guest, platform: &mut P, enables: u32) {
        let before = self.ctlr.swap(enables, SeqCst);
        let mut applied = enables & ENABLE_GROUP1;
        if before & ENABLE_GROUP1 == applied {
            return;
        }
        for _ in 0..TRIES {
            self.switch_group(guest, platform, applied != 0);
            let now = self.ctlr.load(SeqCst) & ENABLE_GROUP1;
            if now == applied {
                return;
            }
            applied = now;
        }
    }

    /// Physical enables, and what is live in each redistributor, follow the group.
    fn switch_group<P: Platform>(&self, guest: &Guest, platform: &mut P, on: bool) {
        for word in 1..=self.last_word() {
            let bits = self.enabled[word].load(Acquire) & self.hardware_word(word);
            if bits == 0 {
                continue;
            }
            if on {
                platform.enable(word, bits);
            } else {
                platform.disable(word, bits);
                Self::return_waiting(guest, platform, word, bits);
            }
        }
        for (number, vpe) in guest.vpes.iter().enumerate() {
            vpe.redistributor.settle(guest, platform, number);
            inject::notify(guest, platform, number);
        }
    }

    /// Waiting in software for any of the VM's vPEs.
    fn waiting(&self, guest: &Guest, word: usize) -> u32 {
        guest.vpes.iter().fold(0, |bits, vpe| bits | vpe.redistributor.waiting[word].load(Relaxed))
    }

    /// Pending outside the physical distributor, as far as this CPU can see.
    fn pending<P: Platform>(&self, guest: &Guest, platform: &P, word: usize) -> u32 {
        let (emulated, line) = self.emulated_line();
        let (line_word, bit) = place(emulated);
        let level = if line && line_word == word { bit } else { 0 };
        self.waiting(guest, word) | withdraw::listed(platform, word).0 | level
    }

    fn read_priority(&self, first: usize, bytes: u32) -> u64 {
        let mut value = 0;
        for n in 0..bytes as usize {
            value |= u64::from(self.priority[first + n].load(Relaxed)) << (8 * n);
        }
        value
    }

    fn write_priority(&self, first: usize, bytes: u32, value: u32) {
        for n in 0..bytes as usize {
            let intid = (first + n) & 1023;
            let (word, bit) = place(intid as u32);
            if self.admitted(word) & bit != 0 {
                self.priority[intid].store((value >> (8 * n)) as u8 & PRIORITY_BITS, Relaxed);
            }
        }
    }

    /// The upper bits of the fields of GICD_ICFGR<index> for the interrupts `bits` of its word.
    fn fields(bits: u32, index: usize) -> u32 {
        let bits = bits >> ((index & 1) * 16);
        (0..16).fold(0, |fields, n| fields | (bits >> n & 1) << (2 * n + 1))
    }

    /// GICD_ICFGR<index> of interrupts that are not the VM's.
    fn store_config(&self, index: usize, value: u32) {
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

/// Word of a one-bit-each register.
#[inline(always)]
const fn word_of(offset: u32) -> usize {
    (offset >> 2 & 31) as usize
}

/// n of GICD_ICFGR<n>.
const fn config_index(offset: u32) -> usize {
    (offset >> 2 & 63) as usize
}

#[cfg(test)]
mod tests;
