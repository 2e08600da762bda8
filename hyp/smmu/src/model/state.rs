// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a software SMMU has: registers, memory, caches.

use super::{Config, Interrupts, Violation};
use crate::command::Command;
use crate::number::{StreamId, Vmid};
use crate::ste::STE_WORDS;
use std::collections::BTreeMap;
use std::vec::Vec;

/// Memory that reads as zero where nothing was written.
#[derive(Debug, Default)]
pub(super) struct Memory {
    words: BTreeMap<u64, u64>,
}

impl Memory {
    pub(super) fn read(&self, address: u64) -> u64 {
        self.words.get(&(address & !7)).copied().unwrap_or(0)
    }
    pub(super) fn write(&mut self, address: u64, value: u64) {
        self.words.insert(address & !7, value);
    }
}

/// A register that the SMMU follows some reads after it was written.
#[derive(Debug, Default)]
pub(super) struct Followed {
    /// As software wrote it.
    pub(super) written: u32,
    /// As the SMMU does it.
    pub(super) followed: u32,
    lag: u32,
}

impl Followed {
    pub(super) const fn new(value: u32) -> Self {
        Self { written: value, followed: value, lag: 0 }
    }
    pub(super) const fn is_pending(&self) -> bool {
        self.written != self.followed
    }
    pub(super) const fn write(&mut self, value: u32, lag: u32) {
        (self.written, self.lag) = (value, lag);
        if lag == 0 {
            self.followed = value;
        }
    }
    /// A read of the acknowledgement: the SMMU is one step further.
    pub(super) const fn read(&mut self) -> u32 {
        match self.lag {
            0 => self.followed = self.written,
            lag => self.lag = lag - 1,
        }
        self.followed
    }
}

/// A translation in the TLB.
#[derive(Clone, Copy, Debug)]
pub(super) struct Translation {
    pub(super) page: u64,
    pub(super) read: bool,
    pub(super) write: bool,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) config: Config,
    pub(super) memory: Memory,
    pub(super) cr0: Followed,
    pub(super) irq_ctrl: Followed,
    pub(super) gbpa: Followed,
    pub(super) cr1: u32,
    pub(super) cr2: u32,
    pub(super) gerror: u32,
    pub(super) gerrorn: u32,
    pub(super) strtab_base: u64,
    pub(super) strtab_config: u32,
    pub(super) cmdq_base: u64,
    pub(super) cmdq_prod: u32,
    pub(super) cmdq_cons: u32,
    /// Reads of CONS since a command was consumed.
    pub(super) cmdq_reads: u32,
    pub(super) evtq_base: u64,
    pub(super) evtq_prod: u32,
    pub(super) evtq_cons: u32,
    pub(super) msi: [u64; 2],
    /// Entries and descriptors as they were when they were read.
    pub(super) entries: BTreeMap<StreamId, [u64; STE_WORDS]>,
    pub(super) descriptors: BTreeMap<u32, u64>,
    pub(super) translations: BTreeMap<(Vmid, u64), Translation>,
    /// Caches as a reset leaves them: they may hold anything.
    pub(super) entries_unknown: bool,
    /// There is no entry left to read ahead.
    pub(super) all_read: bool,
    pub(super) translations_unknown: bool,
    /// What stood where something was stored since the last CMD_SYNC.
    pub(super) before: BTreeMap<u64, u64>,
    /// Invalidations that are complete at the next CMD_SYNC.
    pub(super) begun: Vec<Command>,
    pub(super) hung: bool,
    pub(super) frozen: bool,
    pub(super) interrupts: Interrupts,
    pub(super) violations: Vec<Violation>,
}

impl State {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            memory: Memory::default(),
            cr0: Followed::new(config.cr0),
            irq_ctrl: Followed::default(),
            gbpa: Followed::default(),
            cr1: 0,
            cr2: 0,
            gerror: config.gerror,
            gerrorn: 0,
            strtab_base: 0,
            strtab_config: 0,
            cmdq_base: 0,
            cmdq_prod: 5,
            cmdq_cons: 5,
            cmdq_reads: 0,
            evtq_base: 0,
            evtq_prod: 3,
            evtq_cons: 3,
            // Where an earlier user's MSIs went: interrupts do not come by wire until this is 0.
            msi: [u64::from(config.msi) * 0x1000; 2],
            entries: BTreeMap::new(),
            descriptors: BTreeMap::new(),
            translations: BTreeMap::new(),
            entries_unknown: true,
            all_read: false,
            translations_unknown: true,
            before: BTreeMap::new(),
            begun: Vec::new(),
            hung: false,
            frozen: false,
            interrupts: Interrupts::default(),
            violations: Vec::new(),
        }
    }

    /// A store that the SMMU can see.
    pub(super) fn write(&mut self, address: u64, value: u64) {
        if self.config.torn && self.is_enabled() {
            let old = self.memory.read(address);
            self.before.entry(address & !7).or_insert(old);
        }
        self.memory.write(address, value);
        if self.config.prefetch {
            self.prefetch_entries();
        }
    }

    pub(super) fn evict(&mut self) {
        self.entries.clear();
        self.descriptors.clear();
        self.translations.clear();
        self.all_read = false;
    }

    /// A global error: its bit is toggled, unless it is active already.
    pub(super) fn raise(&mut self, bit: u32) {
        if (self.gerror ^ self.gerrorn) & bit == 0 {
            self.gerror ^= bit;
            if self.irq_ctrl.followed & 1 != 0 && self.msi[0] == 0 {
                self.interrupts.global_error = true;
            }
        }
    }
}
