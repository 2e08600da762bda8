//! A vPE's redistributor: its SGIs and PPIs, and what waits for a list register.
//!
//! The registers of IHI 0069H 12.10 (GICR_*, RD and SGI frames; no VLPI frames). Any vPE of the VM may access any
//! redistributor of the VM; what lies in another CPU's list registers is not read, and follows a write after a kick.
//! GICR_SETLPIR, CLRLPIR, INVLPIR and INVALLR do not exist (GICR_TYPER.DirectLPI and GICR_CTLR.IR are 0) and are ignored.

use super::{
    IIDR, PIDR2, PRIORITY_BITS,
    distributor::TRIES,
    inject, place,
    view::{self, View},
    withdraw::{self, Change},
};
use crate::{Guest, Platform, guest::affinity_of};
use core::sync::atomic::{
    AtomicU8, AtomicU16, AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
};
use plan::Masked;

/// SGIs.
const SGIS: u32 = 0xffff;
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

const ENABLE_LPIS: u32 = 1;
const PROCESSOR_SLEEP: u32 = 1 << 1;

/// Registers and waiting interrupts of one vPE.
#[derive(Debug)]
pub struct Redistributor {
    /// Not 0: the short paths must not be taken. Set by any CPU, cleared by [`inject::flush`].
    pub(super) attention: AtomicU32,
    /// Enabled SGIs and PPIs while the distributor's group is on, else 0.
    pub(super) live: AtomicU32,
    /// Pending in software: SGIs (word 0), and SPIs that found no list register or came from another CPU.
    pub(super) waiting: Masked<AtomicU32, 32>,
    pub(super) priority: Masked<AtomicU8, 32>,
    /// Active interrupts of this vPE's in no list register. Changed by the own CPU only.
    pub(super) parked: Masked<AtomicU32, 32>,
    /// Those of them that the guest ends by priority (EOImode 0), by priority: INTID + 1. No two have the same one, as only a
    /// higher priority preempts. An entry that is not parked any more counts for nothing. Own CPU only.
    nested: [AtomicU16; PRIORITIES],
    /// Interrupts whose pending and whose active state another CPU cleared: to be taken out of list registers at the next flush.
    pub(super) cleared_pending: Masked<AtomicU32, 32>,
    pub(super) cleared_active: Masked<AtomicU32, 32>,
    /// SGIs and PPIs that another CPU made active: at the next flush, too.
    pub(super) made_active: AtomicU32,
    /// What other vPEs see of its list registers.
    pub(super) view: View,
    /// Maintenance enables as last set. Own CPU only.
    pub(super) maintenance: AtomicU32,
    enabled: AtomicU32,
    ctlr: AtomicU32,
    /// GICR_WAKER.ProcessorSleep, inverted: a redistributor in its first state is all zero.
    awake: AtomicU32,
    propbaser: AtomicU64,
    pendbaser: AtomicU64,
}

impl Redistributor {
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
            view: View::new(),
            maintenance: AtomicU32::new(0),
            enabled: AtomicU32::new(0),
            ctlr: AtomicU32::new(0),
            awake: AtomicU32::new(0),
            propbaser: AtomicU64::new(0),
            pendbaser: AtomicU64::new(0),
        }
    }

    /// As at power-up. The caller empties the list registers and clears ICH_HCR_EL2's maintenance enables.
    pub fn reset(&self) {
        for cell in [&self.live, &self.maintenance, &self.enabled, &self.ctlr, &self.made_active] {
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
        self.attention.load(Acquire) & RECHECK != 0
            || self.waiting[0].load(Acquire) & self.live.load(Relaxed) & !self.parked_word(0) != 0
    }

    /// Reads `bytes` at `offset` from the first redistributor; None: refused.
    pub fn read<P: Platform>(
        guest: &Guest,
        platform: &mut P,
        offset: u64,
        bytes: u32,
    ) -> Option<u64> {
        let number = (offset >> 17) as usize;
        let this = &guest.vpes.get(number)?.redistributor;
        let offset = offset as u32 & 0x1_ffff;
        if bytes == 8 {
            return match offset {
                0x08 => Some(type_register(guest, number)),
                0x70 => Some(this.propbaser.load(Relaxed)),
                0x78 => Some(this.pendbaser.load(Relaxed)),
                _ => None,
            };
        }
        if offset & !0x1f == 0x1_0400 {
            return this.read_priority(offset as usize & 0x1f, bytes);
        }
        if bytes != 4 {
            return None;
        }
        let value = match offset {
            0x00 => this.ctlr.load(Relaxed),
            0x04 => IIDR,
            0x08 => type_register(guest, number) as u32,
            0x0c => (type_register(guest, number) >> 32) as u32,
            0x14 => {
                // ChildrenAsleep follows ProcessorSleep at once.
                let sleep = !this.awake.load(Relaxed) & PROCESSOR_SLEEP;
                sleep | sleep << 1
            }
            0x70 => this.propbaser.load(Relaxed) as u32,
            0x74 => (this.propbaser.load(Relaxed) >> 32) as u32,
            0x78 => this.pendbaser.load(Relaxed) as u32,
            0x7c => (this.pendbaser.load(Relaxed) >> 32) as u32,
            0xffe8 => PIDR2,
            0x1_0080 => private(guest),
            0x1_0100 | 0x1_0180 => this.enabled.load(Relaxed),
            0x1_0200 | 0x1_0280 => {
                let (listed, _) = view::look(guest, platform, number)?;
                let lines = platform.pending_ppis(guest.vpe_index(number)) & guest.config.ppis;
                this.waiting[0].load(Relaxed) | listed | lines
            }
            0x1_0300 | 0x1_0380 => {
                let (_, listed) = view::look(guest, platform, number)?;
                listed | this.parked_word(0) | this.made_active.load(Relaxed)
            }
            // SGIs are edge-triggered, which reads as 0b10 in each field; PPIs are level-sensitive.
            0x1_0c00 => 0xaaaa_aaaa,
            _ => 0,
        };
        Some(u64::from(value))
    }

    /// Writes; false: refused.
    pub fn write<P: Platform>(
        guest: &Guest,
        platform: &mut P,
        offset: u64,
        bytes: u32,
        value: u64,
    ) -> bool {
        let number = (offset >> 17) as usize;
        let Some(vpe) = guest.vpes.get(number) else { return false };
        let this = &vpe.redistributor;
        guest.vpe.redistributor.view.forget_question();
        let offset = offset as u32 & 0x1_ffff;
        if bytes == 8 {
            match offset {
                0x70 => this.propbaser.store(value, Relaxed),
                0x78 => this.pendbaser.store(value, Relaxed),
                // GICR_SETLPIR, CLRLPIR, INVLPIR, INVALLR; TYPER is read-only.
                0x08 | 0x40 | 0x48 | 0xa0 | 0xb0 => {}
                _ => return false,
            }
            return true;
        }
        if offset & !0x1f == 0x1_0400 {
            return this.write_priority(
                private(guest),
                offset as usize & 0x1f,
                bytes,
                value as u32,
            );
        }
        if bytes != 4 {
            return false;
        }
        let value = value as u32;
        let low = u64::from(value);
        match offset {
            0x1_0100 => this.enable(guest, platform, number, value & private(guest)),
            0x1_0180 => this.disable(guest, platform, number, value & private(guest)),
            0x1_0200 => {
                this.waiting[0].fetch_or(value & SGIS, AcqRel);
                inject::notify(guest, platform, number);
            }
            0x1_0280 => {
                // A PPI's pending state is its line's.
                this.waiting[0].fetch_and(!(value & SGIS), AcqRel);
                withdraw::change_private(guest, platform, number, value & SGIS, Change::NotPending);
            }
            0x1_0300 => {
                let bits = value & private(guest);
                withdraw::change_private(guest, platform, number, bits, Change::Active);
            }
            0x1_0380 => {
                let bits = value & private(guest);
                this.made_active.fetch_and(!bits, AcqRel);
                withdraw::change_private(guest, platform, number, bits, Change::NotActive);
            }
            0x00 if P::VIRTUAL_ITS && guest.vm.distributor.lpis() => {
                this.ctlr.store(value & ENABLE_LPIS, Relaxed);
            }
            0x14 => this.awake.store(!value & PROCESSOR_SLEEP, Relaxed),
            0x70 => set_low(&this.propbaser, low),
            0x74 => set_high(&this.propbaser, low),
            0x78 => set_low(&this.pendbaser, low),
            0x7c => set_high(&this.pendbaser, low),
            _ => {}
        }
        true
    }

    /// What is live, and the physical enables of PPIs, become what the enables and the distributor's group say. Another vPE may
    /// change either meanwhile: then once more.
    pub(super) fn settle<P: Platform>(&self, guest: &Guest, platform: &mut P, number: usize) {
        let wanted = || {
            let enabled = self.enabled.load(SeqCst);
            if guest.vm.distributor.group_on() { enabled } else { 0 }
        };
        let mut live = wanted();
        let mut changed = 0;
        for _ in 0..TRIES {
            changed |= self.live.swap(live, SeqCst) ^ live;
            let ppis = changed & guest.config.ppis;
            let vpe = guest.vpe_index(number);
            if ppis & live != 0 {
                platform.enable_ppis(vpe, ppis & live, true);
            }
            if ppis & !live != 0 {
                platform.enable_ppis(vpe, ppis & !live, false);
            }
            let now = wanted();
            if now == live {
                return;
            }
            // The other one may have been before or behind this one anywhere.
            (live, changed) = (now, u32::MAX);
        }
    }

    /// Parked interrupts of a word.
    #[inline]
    pub(super) fn parked_word(&self, word: usize) -> u32 {
        self.parked[word].load(Relaxed)
    }

    /// An interrupt is active and leaves its list register, or never was in one. With `priority`: the guest will end it by
    /// that priority.
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

    fn enable<P: Platform>(&self, guest: &Guest, platform: &mut P, number: usize, bits: u32) {
        self.enabled.fetch_or(bits, SeqCst);
        self.settle(guest, platform, number);
        if self.waiting[0].load(Acquire) & bits != 0 {
            inject::notify(guest, platform, number);
        }
    }

    fn disable<P: Platform>(&self, guest: &Guest, platform: &mut P, number: usize, bits: u32) {
        let before = self.enabled.fetch_and(!bits, SeqCst);
        self.settle(guest, platform, number);
        let own = number == guest.number;
        if before & bits == 0 || own && inject::has_none(guest, platform, bits) {
            return;
        }
        if guest.vm.distributor.group_on() {
            inject::notify(guest, platform, number);
        }
    }

    fn read_priority(&self, first: usize, bytes: u32) -> Option<u64> {
        match bytes {
            1 => Some(u64::from(self.priority[first].load(Relaxed))),
            4 => Some(
                (0..4).map(|n| u64::from(self.priority[first + n].load(Relaxed)) << (8 * n)).sum(),
            ),
            _ => None,
        }
    }

    fn write_priority(&self, private: u32, first: usize, bytes: u32, value: u32) -> bool {
        if bytes != 1 && bytes != 4 {
            return false;
        }
        for n in 0..bytes as usize {
            let intid = (first + n) & 31;
            if private & 1 << intid != 0 {
                self.priority[intid].store((value >> (8 * n)) as u8 & PRIORITY_BITS, Relaxed);
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

/// Interrupts of the word 0 that a vPE has: all SGIs, and the VM's PPIs.
fn private(guest: &Guest) -> u32 {
    SGIS | guest.config.ppis
}

/// GICR_TYPER: affinity 63:32, processor number 23:8, Last 4, PLPIS 0; no VLPIS, so that a guest sees a GICv3.
fn type_register(guest: &Guest, number: usize) -> u64 {
    let last = number + 1 == guest.vpes.len();
    u64::from(affinity_of(number)) << 32
        | (number as u64) << 8
        | u64::from(last) << 4
        | u64::from(guest.vm.distributor.lpis())
}

fn set_low(cell: &AtomicU64, low: u64) {
    cell.store(cell.load(Relaxed) >> 32 << 32 | low, Relaxed);
}

fn set_high(cell: &AtomicU64, high: u64) {
    cell.store(cell.load(Relaxed) & u64::from(u32::MAX) | high << 32, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Cpu, Machine, TIMER, guests};

    const SGI_FRAME: u64 = 0x1_0000;
    const SECOND: u64 = 0x2_0000;

    fn read(guest: &Guest, cpu: &Cpu, offset: u64) -> u32 {
        Redistributor::read(guest, &mut { *cpu }, offset, 4).expect("a word") as u32
    }

    #[test]
    fn identification() {
        let machine = Machine::new(3);
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, _, other] = guests();
        assert_eq!(Redistributor::read(&guest, &mut cpu, 8, 8), Some(0));
        assert_eq!(
            Redistributor::read(&guest, &mut cpu, SECOND + 8, 8),
            Some(1 << 32 | 1 << 8 | 1 << 4),
            "the last one"
        );
        assert_eq!(read(&guest, &cpu, SECOND + 8), 1 << 8 | 1 << 4);
        assert_eq!(read(&guest, &cpu, SECOND + 12), 1);
        assert_eq!(
            Redistributor::read(&other, &mut cpu, 8, 8),
            Some(1 << 4 | 1),
            "PLPIS with a virtual ITS, never VLPIS"
        );
        assert_eq!(read(&guest, &cpu, 0xffe8) >> 4, 3);
        assert_eq!(
            Redistributor::read(&guest, &mut cpu, 2 * SECOND, 4),
            None,
            "beyond the last vPE"
        );
        assert_eq!(Redistributor::read(&guest, &mut cpu, u64::MAX, 4), None);
    }

    #[test]
    fn wakes_up() {
        let machine = Machine::new(3);
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, ..] = guests();
        assert_eq!(read(&guest, &cpu, 0x14), 6);
        assert!(Redistributor::write(&guest, &mut cpu, 0x14, 4, 0));
        assert_eq!(read(&guest, &cpu, 0x14), 0);
    }

    #[test]
    fn all_ones_and_widths() {
        let machine = Machine::new(3);
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, ..] = guests();
        for bank in [0x80, 0x100, 0x180, 0x280, 0x380, 0xc00, 0xc04, 0xd00] {
            assert!(Redistributor::write(&guest, &mut cpu, SGI_FRAME + bank, 4, u64::MAX));
        }
        assert_eq!(read(&guest, &cpu, SGI_FRAME + 0x80), 0x00d0_ffff);
        assert_eq!(read(&guest, &cpu, SGI_FRAME + 0x100), 0);
        assert!(Redistributor::write(&guest, &mut cpu, SGI_FRAME + 0x417, 1, 0xff));
        assert_eq!(read(&guest, &cpu, SGI_FRAME + 0x414), 0xf800_0000);
        assert!(!Redistributor::write(&guest, &mut cpu, SGI_FRAME + 0x100, 1, 0));
        assert!(!Redistributor::write(&guest, &mut cpu, SGI_FRAME + 0x410, 2, 0));
        assert!(!Redistributor::write(&guest, &mut cpu, 0, 8, 0));
    }

    /// A guest's GICR_INVLPIR is a number of its own, and nothing of the hypervisor's is looked up by it.
    #[test]
    fn invalidations_are_ignored() {
        let machine = Machine::new(3);
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, ..] = guests();
        for offset in [0x40, 0x48, 0xa0, 0xb0] {
            assert!(Redistributor::write(&guest, &mut cpu, offset, 8, u64::MAX));
            assert!(Redistributor::write(&guest, &mut cpu, offset, 4, u64::MAX));
        }
        assert_eq!(read(&guest, &cpu, 0xc0), 0, "SYNCR is never busy");
    }

    #[test]
    fn lpi_tables_in_halves() {
        let machine = Machine::new(3);
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, _, other] = guests();
        for (offset, value) in [(0x70, 0x1234_5678), (0x74, 0x9abc), (0x78, 0x10), (0x7c, 0x20)] {
            assert!(Redistributor::write(&guest, &mut cpu, offset, 4, value));
        }
        Redistributor::write(&guest, &mut cpu, 0, 4, 1);
        let tables = (0x9abc_1234_5678, 0x20_0000_0010, false);
        assert_eq!(
            guest.vpe.redistributor.lpi_tables(),
            tables,
            "no EnableLPIs without a virtual ITS"
        );
        Redistributor::write(&other, &mut cpu, 0, 4, 1);
        assert!(other.vpe.redistributor.lpi_tables().2);
    }

    #[test]
    fn the_timer_follows_enable_and_group() {
        let machine = Machine::new(3);
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, second, _] = guests();
        let enabled = |cpu: usize| machine.borrow().cpus[cpu].timer.enabled;
        Redistributor::write(&guest, &mut cpu, SECOND + SGI_FRAME + 0x100, 4, 1 << TIMER);
        assert!(!enabled(1), "the group is off");
        super::super::Distributor::write(&guest, &mut cpu, 0, 4, 2);
        assert!(enabled(1) && !enabled(0) && second.enabled_ppis() == 1 << TIMER);
        Redistributor::write(&guest, &mut cpu, SECOND + SGI_FRAME + 0x180, 4, 1 << TIMER);
        assert!(!enabled(1));
    }
}
