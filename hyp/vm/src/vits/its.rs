// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The state of a VM's ITS: its registers and collections.
//!
//! Each is an atomic of its own, so that reads need nothing; commands are executed by the vPE that
//! has the turn.

use super::Refusal;
use crate::counters::{Counter, Counters};
use core::sync::atomic::{
    AtomicU8, AtomicU16, AtomicU32, AtomicU64,
    Ordering::{Relaxed, Release},
};
use gicv4::regs::gits::offset as gits;
use spin::{Mutex, MutexGuard};

/// Bits of a collection's number.
const ICID_BITS: u64 = 6;
pub(super) const COLLECTIONS: usize = 1 << ICID_BITS;
// An event has one more in a byte.
const _: () = assert!(COLLECTIONS < 256);

/// GITS_CTLR.Enabled and Quiescent.
pub(super) const ENABLED: u64 = 1;
pub(super) const QUIESCENT: u64 = 1 << 31;

/// Bytes of an entry of a guest's table, which nobody writes.
const ENTRY_BYTES: u64 = 8;
/// GITS_BASERn: Type and Entry_Size are read-only; 64 KiB pages at reset.
pub(super) const BASER_FIXED: u64 = 7 << 56 | 0x1f << 48;
pub(super) const BASER_RESET: [u64; 2] =
    [1 << 56 | (ENTRY_BYTES - 1) << 48 | 2 << 8, 4 << 56 | (ENTRY_BYTES - 1) << 48 | 2 << 8];
/// Commands that name an event (IHI 0069, 5.3).
const INT: u64 = 0x03;
const MAPTI: u64 = 0x0a;
const MAPI: u64 = 0x0b;

/// A VM's ITS.
#[derive(Debug)]
pub struct Its {
    pub(super) ctlr: AtomicU64,
    pub(super) cbaser: AtomicU64,
    pub(super) cwriter: AtomicU64,
    pub(super) creadr: AtomicU64,
    pub(super) basers: [AtomicU64; 2],
    /// vPE that each collection goes to, by its number, plus one; 0: none.
    collections: [AtomicU16; COLLECTIONS],
    /// How far the command that waits has come, of those that touch many events; 0: it begins.
    pub(super) reached: AtomicU32,
    /// Held by the vPE that executes commands. Never waited for.
    turn: Mutex<()>,
    /// The last command that was ignored, and why; 0: none. They outlive a restart.
    refused: [AtomicU64; 4],
    refusal: AtomicU8,
    /// Event that the guest wanted and the plan does not have, device 63:32, plus one; 0: none. The
    /// highest of a device.
    unplanned: AtomicU64,
    /// Priority that the guest last enabled an event with, plus one: a multiple of 4 is never 255.
    /// 0: none.
    priority: AtomicU8,
}

impl Its {
    pub const fn new() -> Self {
        Self {
            ctlr: AtomicU64::new(0),
            cbaser: AtomicU64::new(0),
            cwriter: AtomicU64::new(0),
            creadr: AtomicU64::new(0),
            basers: [const { AtomicU64::new(0) }; 2],
            collections: [const { AtomicU16::new(0) }; COLLECTIONS],
            reached: AtomicU32::new(0),
            turn: Mutex::new(()),
            refused: [const { AtomicU64::new(0) }; 4],
            refusal: AtomicU8::new(0),
            unplanned: AtomicU64::new(0),
            priority: AtomicU8::new(0),
        }
    }

    /// As at power-up. While no vPE of the VM runs.
    pub fn reset(&self) {
        for cell in [&self.ctlr, &self.cbaser, &self.cwriter, &self.creadr] {
            cell.store(0, Relaxed);
        }
        for (baser, value) in self.basers.iter().zip(BASER_RESET) {
            baser.store(value, Relaxed);
        }
        for cell in &self.collections {
            cell.store(0, Relaxed);
        }
        self.reached.store(0, Relaxed);
    }

    /// The right to execute commands; None: another vPE has it now.
    pub(super) fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        self.turn.try_lock()
    }

    /// vPE that a collection goes to, by its number; None: it is not mapped.
    pub(super) fn target(&self, icid: u16) -> Option<u16> {
        self.collections.get(usize::from(icid))?.load(Relaxed).checked_sub(1)
    }

    pub(super) fn set_target(&self, icid: u16, vpe: Option<u16>) {
        if let Some(cell) = self.collections.get(usize::from(icid)) {
            cell.store(vpe.map_or(0, |vpe| vpe.wrapping_add(1)), Relaxed);
        }
    }

    /// Counts a command that is ignored, and keeps it for the report.
    pub(super) fn refuse(&self, counters: &Counters, words: [u64; 4], refusal: Refusal) {
        counters.count(Counter::ItsRefused);
        for (cell, word) in self.refused.iter().zip(words) {
            cell.store(word, Relaxed);
        }
        self.refusal.store(refusal as u8, Release);
        let [first, second, ..] = words;
        if matches!(refusal, Refusal::Event | Refusal::Device)
            && [INT, MAPTI, MAPI].contains(&(first & 0xff))
        {
            let event = (first & !0xffff_ffff | second & 0xffff_ffff).wrapping_add(1);
            let before = self.unplanned.load(Relaxed);
            let other = before.wrapping_sub(1) >> 32 != first >> 32;
            self.unplanned.store(if other { event } else { event.max(before) }, Relaxed);
        }
    }

    /// Device and event that the guest wanted last, of those that the plan does not have.
    pub(super) fn unplanned(&self) -> Option<(u32, u32)> {
        let event = self.unplanned.load(Relaxed).checked_sub(1)?;
        Some(((event >> 32) as u32, event as u32))
    }

    /// The guest enabled an event with this priority.
    pub(super) fn asked_priority(&self, priority: u8) {
        self.priority.store(priority.wrapping_add(1), Relaxed);
    }

    /// Priority that the guest last enabled an event with.
    pub(super) fn last_priority(&self) -> Option<u8> {
        self.priority.load(Relaxed).checked_sub(1)
    }

    /// The last command that was ignored, and why.
    pub fn last_refused(&self) -> Option<([u64; 4], Refusal)> {
        let refusal = Refusal::from_number(self.refusal.load(Relaxed))?;
        Some((self.refused.each_ref().map(|word| word.load(Relaxed)), refusal))
    }

    /// A register as it reads; `id_bits` are those of [`super::View`].
    pub(super) fn doubleword(&self, id_bits: (u8, u8), offset: u64) -> u64 {
        match offset as usize {
            gits::TYPER => type_register(id_bits),
            gits::CBASER => self.cbaser.load(Relaxed),
            gits::CWRITER => self.cwriter.load(Relaxed),
            gits::CREADR => self.creadr.load(Relaxed),
            gits::BASER..0x140 => {
                let n = (offset as usize - gits::BASER) / 8;
                self.basers.get(n).map_or(0, |baser| baser.load(Relaxed))
            }
            _ => 0,
        }
    }
}

impl Default for Its {
    fn default() -> Self {
        Self::new()
    }
}

/// GITS_TYPER: LPIs, the plan's ID bits, collections by number (CIL, CIDbits) in memory (HCC = 0),
/// redistributors by processor number (PTA = 0).
fn type_register((event_bits, device_bits): (u8, u8)) -> u64 {
    1 | (ENTRY_BYTES - 1) << 4
        | u64::from(event_bits.wrapping_sub(1) & 0x1f) << 8
        | u64::from(device_bits.wrapping_sub(1) & 0x1f) << 13
        | (ICID_BITS - 1) << 32
        | 1 << 36
}
