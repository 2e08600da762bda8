// SPDX-License-Identifier: Apache-2.0 OR MIT
//! GICD_*: the distributor's registers (IHI 0069H 12.9).
//!
//! All of word 0 (SGIs and PPIs live in the redistributors with affinity routing on), INTIDs beyond
//! GICD_TYPER, reserved registers, GICD_ITARGETSR and GICD_SGIR read as zero and ignore writes. An
//! access of a width that a register does not have is refused.

use super::{
    Distributor,
    bank::{PIDR2, place},
    distributor::{ENABLE_GROUP1, ENABLES, NO_ACTIVE_SGIS, TRIES},
    flush::notify,
    list::listed,
    physical, set_clear, vsgi,
};
use crate::{
    Guest, Platform,
    bits::Bits,
    mmio::{Access, Device, Written},
};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

impl Device for Distributor {
    #[inline(always)]
    fn peek(guest: &Guest, offset: u64) -> Option<u32> {
        guest.vm.distributor.peek_register(offset as u32)
    }

    #[inline(always)]
    fn read<P: Platform>(guest: &Guest, platform: &mut P, access: Access) -> Option<u64> {
        Self::read(guest, platform, access.offset as u32, access.bytes)
    }

    #[inline(always)]
    fn write<P: Platform>(guest: &Guest, platform: &mut P, access: Access, value: u64) -> Written {
        if P::VIRTUAL_SGIS
            && access.offset == 0
            && let later @ Written::Later(_) = vsgi::wait(guest, platform)
        {
            return later;
        }
        Written::of(Self::write(guest, platform, access.offset as u32, access.bytes, value))
    }
}

impl Distributor {
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

    /// The registers of its beginning, which a guest reads most; None: another one.
    #[inline(always)]
    pub(crate) fn quick_read(&self, offset: u64) -> Option<u32> {
        self.head(offset)
    }

    /// GICD_ISENABLER<n>; false: another one.
    #[inline(always)]
    pub(crate) fn quick_write<P: Platform>(
        guest: &Guest,
        platform: &mut P,
        offset: u64,
        value: u32,
    ) -> bool {
        if offset & !0x7c != 0x100 {
            return false;
        }
        Self::enable(guest, platform, word_of(offset as u32), value);
        true
    }

    fn read_register<P: Platform>(
        &self,
        guest: &Guest,
        platform: &P,
        offset: u32,
        bytes: u32,
    ) -> Option<u64> {
        if bytes != 4 {
            return self.read_other_width(offset, bytes);
        }
        let word = word_of(offset);
        let value = self.peek_register(offset).unwrap_or_else(|| match offset >> 7 {
            0x04 | 0x05 => self.pending(guest, platform, word),
            0x06 | 0x07 => self.active(guest, platform, word),
            _ => self.config(platform, config_index(offset)),
        });
        Some(u64::from(value))
    }

    /// What needs no hardware: all but pending and active state and triggers.
    #[inline(never)]
    fn peek_register(&self, offset: u32) -> Option<u32> {
        let word = word_of(offset);
        Some(match offset >> 7 {
            0x00 => self.head(offset.into()).unwrap_or(0),
            // Group 1, all of them.
            0x01 => self.admitted(word),
            0x02 | 0x03 => self.enabled[word].load(Relaxed),
            0x04..0x08 | 0x18 | 0x19 => return None,
            0x08..0x10 => self.read_priorities(offset as usize - 0x400),
            0xc0..0x100 => self.read_route(offset, 4) as u32,
            _ if offset == 0xffe8 => PIDR2,
            _ => 0,
        })
    }

    fn read_other_width(&self, offset: u32, bytes: u32) -> Option<u64> {
        match (offset, bytes) {
            (0x400..0x800, 1) => Some(self.read_priority(offset as usize - 0x400).into()),
            (0x6000..0x8000, 8) => Some(self.read_route(offset, 8)),
            // GICD_ITARGETSR and the SGI pending registers have bytes too.
            (0x800..0xc00 | 0xf10..0xf30, 1) => Some(0),
            _ => None,
        }
    }

    /// GICD_ISPENDR<word>, as far as this CPU can see.
    fn pending<P: Platform>(&self, guest: &Guest, platform: &P, word: usize) -> u32 {
        let (emulated, line) = self.emulated_line();
        let (line_word, bit) = place(emulated);
        let level = if line && line_word == word { bit } else { 0 };
        let software = self.waiting(guest, word) | listed(platform, word).0 | level;
        (self.hardware_word(word) & platform.pending(word) | software) & self.owned(word)
    }

    /// GICD_ISACTIVER<word>, as far as this CPU can see.
    fn active<P: Platform>(&self, guest: &Guest, platform: &P, word: usize) -> u32 {
        let (listed, active) = listed(platform, word);
        let waiting = self.waiting(guest, word) | listed & !active;
        let parked = guest.vpes.iter().map(|vpe| vpe.redistributor.parked_word(word));
        let parked = parked.fold(0, |sum, parked| sum | parked);
        let physical = self.hardware_word(word) & platform.active(word) & !waiting;
        (physical | active | parked) & self.owned(word)
    }

    /// GICD_ICFGR<index>.
    fn config<P: Platform>(&self, platform: &P, index: usize) -> u32 {
        let mask = Self::fields(self.hardware_word(index >> 1), index);
        let own = if mask == 0 { 0 } else { platform.config(index) & mask };
        own | Self::fields(self.edge[index >> 1].load(Relaxed), index)
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
            0x00 if offset == 0 => self.set_control(guest, platform, bits),
            0x02 => Self::enable(guest, platform, word, bits),
            0x03 => self.disable(guest, platform, word, bits),
            0x04 if hardware != 0 => platform.set_pending(word, hardware),
            0x05 if hardware != 0 => {
                platform.clear_pending(word, hardware);
                set_clear::clear_pending(guest, platform, word, hardware);
            }
            0x06 => set_clear::set_active(guest, platform, word, bits & self.owned(word)),
            0x07 => set_clear::clear_active(guest, platform, word, bits & self.owned(word)),
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
        if bits != hardware {
            this.tell_emulated(guest, platform, word, bits & !hardware);
        }
    }

    /// Emulated interrupts became enabled: those whose line is high come.
    #[inline(never)]
    fn tell_emulated<P: Platform>(&self, guest: &Guest, platform: &mut P, word: usize, bits: u32) {
        for bit in Bits(bits) {
            notify(guest, platform, self.route_of(word as u32 * 32 + bit));
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
                notify(guest, platform, number);
            }
        }
    }

    /// What waits for a list register anywhere goes back to the hardware: a vPE that is off does
    /// not look.
    fn return_waiting<P: Platform>(guest: &Guest, platform: &mut P, word: usize, bits: u32) {
        for vpe in guest.vpes {
            physical::return_waiting(platform, &vpe.redistributor, word, bits);
        }
    }

    /// GICD_CTLR. Whoever switches the group while another vPE does may pass it half-way: each
    /// looks again when it is through, so that the last one leaves everything as the register says.
    fn set_control<P: Platform>(&self, guest: &Guest, platform: &mut P, value: u32) {
        let before = if P::VIRTUAL_SGIS {
            let before = self.set_groups_and_sgis(value);
            if (before ^ self.groups()) & NO_ACTIVE_SGIS != 0 {
                vsgi::change(guest, platform);
            }
            before
        } else {
            self.set_groups(value & ENABLES)
        };
        let mut applied = value & ENABLE_GROUP1;
        if before & ENABLE_GROUP1 == applied {
            return;
        }
        for _ in 0..TRIES {
            self.switch_group(guest, platform, applied != 0);
            let now = self.groups() & ENABLE_GROUP1;
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
            notify(guest, platform, number);
        }
    }

    /// Waiting in software for any of the VM's vPEs.
    fn waiting(&self, guest: &Guest, word: usize) -> u32 {
        guest.vpes.iter().fold(0, |bits, vpe| bits | vpe.redistributor.waiting[word].load(Relaxed))
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
