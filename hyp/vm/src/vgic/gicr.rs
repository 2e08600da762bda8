// SPDX-License-Identifier: Apache-2.0 OR MIT
//! GICR_*: a redistributor's registers, RD and SGI frames; no VLPI frames (IHI 0069H 12.10).
//!
//! Any vPE of the VM may access any redistributor of the VM; what lies in another CPU's list
//! registers is asked for ([`super::look`]), and follows a write after a kick. GICR_SETLPIR,
//! CLRLPIR, INVLPIR and INVALLR do not exist (GICR_TYPER.DirectLPI and GICR_CTLR.IR are 0) and are
//! ignored.

use super::{
    Redistributor,
    bank::{IIDR, PIDR2},
    distributor::TRIES,
    flush::{has_none, notify},
    follow::Change,
    look,
    redistributor::{ENABLE_LPIS, PROCESSOR_SLEEP},
    set_clear,
    vsgi::{self, SGIS},
};
use crate::{
    Guest, Platform,
    affinity::affinity_of,
    bits::Bits,
    mmio::{Access, Device, Written},
    vits,
};
use core::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, SeqCst},
};

/// Bits of an offset in a redistributor: 128 KiB each.
const FRAME_BITS: u32 = 17;
const FRAME_MASK: u32 = (1 << FRAME_BITS) - 1;

impl Device for Redistributor {
    #[inline(always)]
    fn peek(guest: &Guest, offset: u64) -> Option<u32> {
        let number = (offset >> FRAME_BITS) as usize;
        let this = &guest.vpes.get(number)?.redistributor;
        this.peek_register(guest, number, offset as u32 & FRAME_MASK)
    }

    #[inline(always)]
    fn read<P: Platform>(guest: &Guest, platform: &mut P, access: Access) -> Option<u64> {
        Self::read(guest, platform, access.offset, access.bytes)
    }

    #[inline(always)]
    fn write<P: Platform>(guest: &Guest, platform: &mut P, access: Access, value: u64) -> Written {
        if P::VIRTUAL_ITS && access.bytes == 4 {
            match vits::before_enabling_lpis(guest, platform, access.offset, value) {
                Written::Done => {}
                wait => return wait,
            }
        }
        // All of the SGI frame that a guest writes, but what is active.
        if vsgi::on::<P>(guest)
            && matches!(access.offset as u32 & FRAME_MASK, 0x1_0100..0x1_0300 | 0x1_0400..0x1_0410)
            && let later @ Written::Later(_) = vsgi::wait(guest, platform)
        {
            return later;
        }
        Written::of(Self::write(guest, platform, access.offset, access.bytes, value))
    }
}

impl Redistributor {
    /// Reads `bytes` at `offset` from the first redistributor; None: refused.
    pub fn read<P: Platform>(
        guest: &Guest,
        platform: &mut P,
        offset: u64,
        bytes: u32,
    ) -> Option<u64> {
        let number = (offset >> FRAME_BITS) as usize;
        let this = &guest.vpes.get(number)?.redistributor;
        let offset = offset as u32 & FRAME_MASK;
        if bytes == 8 {
            let known = matches!(offset, 0x08 | 0x70 | 0x78);
            return known.then(|| this.doubleword(guest, number, offset));
        }
        if offset & !0x1f == 0x1_0400 && bytes == 1 {
            return Some(this.read_priority(offset as usize & 0x1f).into());
        }
        if bytes != 4 {
            return None;
        }
        let value = match this.peek_register(guest, number, offset) {
            Some(value) => value,
            None if offset < 0x1_0300 => {
                let (listed, _) = look::look(guest, platform, number)?;
                let lines = platform.pending_ppis(guest.vpe_index(number)) & guest.config.ppis;
                this.waiting[0].load(Relaxed)
                    | listed
                    | lines
                    | vsgi::pending(guest, platform, number)
            }
            None => {
                let (_, listed) = look::look(guest, platform, number)?;
                listed | this.parked_word(0) | this.made_active.load(Relaxed)
            }
        };
        Some(u64::from(value))
    }

    /// What needs no list register and no hardware: all but pending and active state.
    #[inline(never)]
    fn peek_register(&self, guest: &Guest, number: usize, offset: u32) -> Option<u32> {
        Some(match offset {
            0x00 => self.ctlr.load(Relaxed),
            0x04 => IIDR,
            0x14 => {
                // ChildrenAsleep follows ProcessorSleep at once.
                let sleep = !u32::from(self.awake.load(Relaxed)) & PROCESSOR_SLEEP;
                sleep | sleep << 1
            }
            0x08..0x80 => {
                (self.doubleword(guest, number, offset & !7) >> (8 * (offset & 4))) as u32
            }
            0xffe8 => PIDR2,
            0x1_0080 => private(guest),
            0x1_0100 | 0x1_0180 => self.enabled.load(Relaxed),
            0x1_0200 | 0x1_0280 | 0x1_0300 | 0x1_0380 => return None,
            0x1_0400..0x1_0420 => self.read_priorities(offset as usize & 0x1f),
            // SGIs are edge-triggered, which reads as 0b10 in each field; PPIs are level-sensitive.
            0x1_0c00 => 0xaaaa_aaaa,
            _ => 0,
        })
    }

    /// GICR_TYPER, GICR_PROPBASER or GICR_PENDBASER; others of 64 bits read as 0.
    fn doubleword(&self, guest: &Guest, number: usize, offset: u32) -> u64 {
        match (offset, self.table(offset)) {
            (_, Some(cell)) => cell.load(Relaxed),
            (0x08, None) => type_register(guest, number),
            _ => 0,
        }
    }

    /// GICR_PROPBASER, GICR_PENDBASER.
    fn table(&self, offset: u32) -> Option<&AtomicU64> {
        match offset {
            0x70 => Some(&self.propbaser),
            0x78 => Some(&self.pendbaser),
            _ => None,
        }
    }

    /// Writes; false: refused.
    pub fn write<P: Platform>(
        guest: &Guest,
        platform: &mut P,
        offset: u64,
        bytes: u32,
        value: u64,
    ) -> bool {
        let number = (offset >> FRAME_BITS) as usize;
        let Some(vpe) = guest.vpes.get(number) else { return false };
        let this = &vpe.redistributor;
        guest.vpe.redistributor.view.forget_question();
        let offset = offset as u32 & FRAME_MASK;
        if bytes == 8 {
            if let Some(cell) = this.table(offset) {
                cell.store(value, Relaxed);
                return true;
            }
            // GICR_SETLPIR, CLRLPIR, INVLPIR, INVALLR; TYPER is read-only.
            return matches!(offset, 0x08 | 0x40 | 0x48 | 0xa0 | 0xb0);
        }
        if offset & !0x1f == 0x1_0400 {
            let (private, first) = (private(guest), offset as usize & 0x1f);
            let bits_of = |intid| vsgi::priority_bits::<P>(guest, intid);
            let accepted = this.write_priority(private, first, bytes, value as u32, bits_of);
            if vsgi::on::<P>(guest) {
                vsgi::follow(guest, platform, number, ((1 << bytes) - 1) << first);
            }
            return accepted;
        }
        if bytes != 4 {
            return false;
        }
        let value = value as u32;
        match offset {
            0x1_0100 => this.enable(guest, platform, number, value & private(guest)),
            0x1_0180 => this.disable(guest, platform, number, value & private(guest)),
            0x1_0200 if vsgi::on::<P>(guest) => {
                for sgi in Bits(value & SGIS) {
                    platform.send_sgi(guest.vpe_index(number), sgi);
                }
            }
            0x1_0200 => {
                this.waiting[0].fetch_or(value & SGIS, AcqRel);
                notify(guest, platform, number);
            }
            0x1_0280 => {
                // A PPI's pending state is its line's.
                this.waiting[0].fetch_and(!(value & SGIS), AcqRel);
                vsgi::clear(guest, platform, number, value);
                set_clear::change_private(
                    guest,
                    platform,
                    number,
                    value & SGIS,
                    Change::NotPending,
                );
            }
            0x1_0300 => {
                let sgis = if vsgi::on::<P>(guest) { SGIS } else { 0 };
                let bits = value & private(guest) & !sgis;
                set_clear::change_private(guest, platform, number, bits, Change::Active);
            }
            0x1_0380 => {
                let bits = value & private(guest);
                this.made_active.fetch_and(!bits, AcqRel);
                set_clear::change_private(guest, platform, number, bits, Change::NotActive);
            }
            0x00 if P::VIRTUAL_ITS && guest.vm.distributor.lpis() => {
                this.ctlr.store(value & ENABLE_LPIS, Relaxed);
            }
            0x14 => this.awake.store((!value & PROCESSOR_SLEEP) as u16, Relaxed),
            _ => {
                if let Some(cell) = this.table(offset & !7) {
                    let (shift, old) = (8 * (offset & 4), cell.load(Relaxed));
                    cell.store(
                        old & !(u64::from(u32::MAX) << shift) | u64::from(value) << shift,
                        Relaxed,
                    );
                }
            }
        }
        true
    }

    /// What is live, and the physical enables of PPIs, become what the enables and the
    /// distributor's group say. Another vPE may change either meanwhile: then once more.
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
            if P::VIRTUAL_SGIS {
                vsgi::follow(guest, platform, number, 0);
            }
            let now = wanted();
            if now == live {
                return;
            }
            // The other one may have been before or behind this one anywhere.
            (live, changed) = (now, u32::MAX);
        }
    }

    fn enable<P: Platform>(&self, guest: &Guest, platform: &mut P, number: usize, bits: u32) {
        self.enabled.fetch_or(bits, SeqCst);
        self.settle(guest, platform, number);
        if self.waiting[0].load(Acquire) & bits != 0 {
            notify(guest, platform, number);
        }
    }

    fn disable<P: Platform>(&self, guest: &Guest, platform: &mut P, number: usize, bits: u32) {
        let before = self.enabled.fetch_and(!bits, SeqCst);
        self.settle(guest, platform, number);
        let own = number == guest.number;
        if before & bits == 0 || own && has_none(guest, platform, bits) {
            return;
        }
        if guest.vm.distributor.group_on() {
            notify(guest, platform, number);
        }
    }
}

/// Interrupts of the word 0 that a vPE has: all SGIs, and the VM's PPIs.
fn private(guest: &Guest) -> u32 {
    SGIS | guest.config.ppis
}

/// GICR_TYPER: affinity 63:32, processor number 23:8, Last 4, PLPIS 0; no VLPIS, so that a guest
/// sees a GICv3.
fn type_register(guest: &Guest, number: usize) -> u64 {
    let last = number + 1 == guest.vpes.len();
    u64::from(affinity_of(number)) << 32
        | (number as u64) << 8
        | u64::from(last) << 4
        | u64::from(guest.vm.distributor.lpis())
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

    /// A guest's GICR_INVLPIR is a number of its own, and nothing of the hypervisor's is looked up
    /// by it.
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
