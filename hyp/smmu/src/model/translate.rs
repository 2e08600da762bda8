// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A software SMMU translates: entry, stage 2, or a record (IHI 0070 3.3, 7.3).

use super::state::{State, Translation};
use crate::event::{Access, Class, EVENT_BYTES, Event, Kind, Stage};
use crate::gerror::GlobalError;
use crate::number::StreamId;
use crate::regs::*;
use crate::ste::{Granule, S2AA64, S2R, STE_BYTES, STE_WORDS, Stage2, VALID, address_bits};
use crate::table::DESCRIPTOR_BYTES;

const BASE: u64 = 0x000f_ffff_ffff_ffc0;
/// Streams below this are read ahead of need.
const PREFETCHED: u32 = 1 << 9;
/// Descriptors of stage 2 (DDI 0487 D8.3): AF, S2AP.
const ACCESS_FLAG: u64 = 1 << 10;
const READABLE: u64 = 1 << 6;
const WRITABLE: u64 = 1 << 7;

/// A device's access, of one page at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dma {
    pub stream: StreamId,
    pub address: u64,
    pub write: bool,
}

/// Where an access went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing translated it: it reached this physical address.
    Untranslated(u64),
    /// Stage 2 sent it to this physical address.
    Translated(u64),
    /// It reached nothing.
    Aborted,
}

/// Why an access is aborted: what to record.
enum Refusal {
    /// Nothing.
    Silent,
    Stream(Kind),
    Stage2(Kind),
}

impl State {
    pub(super) fn dma(&mut self, dma: Dma) -> Outcome {
        match self.translate(dma) {
            Ok(outcome) => outcome,
            Err(refusal) => {
                match refusal {
                    Refusal::Silent => {}
                    Refusal::Stream(kind) => self.record(Event::new(kind, dma.stream)),
                    Refusal::Stage2(kind) => self.record(stage2_event(kind, dma)),
                }
                Outcome::Aborted
            }
        }
    }

    pub(super) fn prefetch(&mut self, dma: Dma) {
        let _ = self.translate(dma);
    }

    /// Reads the entries that it has not cached.
    pub(super) fn prefetch_entries(&mut self) {
        if self.is_enabled() && !self.entries_unknown && !self.all_read {
            self.all_read = true;
            let bits = SMMU_STRTAB_BASE_CFG::LOG2SIZE.read(self.strtab_config).min(9);
            for id in 0..PREFETCHED.min(1 << bits) {
                let _ = self.entry(StreamId::new(id));
            }
        }
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.cr0.followed & SMMU_CR0::SMMUEN::SET.value != 0
    }

    fn translate(&mut self, dma: Dma) -> Result<Outcome, Refusal> {
        if !self.is_enabled() {
            let abort = self.gbpa.followed & SMMU_GBPA::ABORT::SET.value != 0;
            let passes = Outcome::Untranslated(dma.address);
            return if abort { Err(Refusal::Silent) } else { Ok(passes) };
        }
        if self.entries_unknown || self.translations_unknown {
            return Ok(Outcome::Untranslated(dma.address));
        }
        let words = self.entry(dma.stream)?;
        if words[0] & VALID == 0 {
            return Err(Refusal::Stream(Kind::BadSte));
        }
        match (words[0] >> 1) & 7 {
            0..=3 => Err(Refusal::Silent),
            4 => Ok(Outcome::Untranslated(dma.address)),
            6 => self.second_stage(dma, &words),
            _ => Err(Refusal::Stream(Kind::BadSte)),
        }
    }

    /// The stream's entry, from the cache or else from memory.
    fn entry(&mut self, stream: StreamId) -> Result<[u64; STE_WORDS], Refusal> {
        let id = stream.value();
        let bits = SMMU_STRTAB_BASE_CFG::LOG2SIZE.read(self.strtab_config);
        if u64::from(id) >> bits != 0 {
            return Err(self.bad_stream());
        }
        if let Some(words) = self.entries.get(&stream) {
            return Ok(*words);
        }
        let base = self.strtab_base & BASE;
        let at = if SMMU_STRTAB_BASE_CFG::FMT.read(self.strtab_config) == 0 {
            base + u64::from(id) * STE_BYTES
        } else {
            let split = SMMU_STRTAB_BASE_CFG::SPLIT.read(self.strtab_config);
            let (index, within) = (id >> split, id & ((1 << split) - 1));
            let place = base + u64::from(index) * DESCRIPTOR_BYTES;
            let read = self.memory.read(place);
            let descriptor = *self.descriptors.entry(index).or_insert(read);
            let span = (descriptor & 0x1f) as u32;
            if span == 0 || span > split + 1 || within >> (span - 1) != 0 {
                return Err(self.bad_stream());
            }
            (descriptor & BASE) + u64::from(within) * STE_BYTES
        };
        let words = core::array::from_fn(|n| {
            let place = at + 8 * n as u64;
            let old = self.before.get(&place).filter(|_| n != 0);
            old.copied().unwrap_or_else(|| self.memory.read(place))
        });
        self.entries.insert(stream, words);
        Ok(words)
    }

    fn bad_stream(&self) -> Refusal {
        match self.cr2 & SMMU_CR2::RECINVSID::SET.value {
            0 => Refusal::Silent,
            _ => Refusal::Stream(Kind::BadStreamId),
        }
    }

    fn second_stage(&mut self, dma: Dma, words: &[u64; STE_WORDS]) -> Result<Outcome, Refusal> {
        let bad = Refusal::Stream(Kind::BadSte);
        let Ok(stage2) = Stage2::from_words(words) else { return Err(bad) };
        let granule = match stage2.granule() {
            Granule::Kib4 => 0,
            Granule::Kib16 => 1,
            Granule::Kib64 => 2,
        };
        let oas = address_bits(self.config.oas.into()).unwrap_or(0);
        let wide = !self.config.vmid16 && stage2.vmid().value() > 0xff;
        let legal = words[2] & S2AA64 != 0 && self.config.granules[granule] && !wide;
        if !legal || stage2.root() >> oas != 0 {
            return Err(bad);
        }
        let silent = words[2] & S2R == 0;
        let refuse = |kind| if silent { Refusal::Silent } else { Refusal::Stage2(kind) };
        let key = (stage2.vmid(), dma.address >> 12);
        let translation = match self.translations.get(&key) {
            Some(translation) => *translation,
            None => {
                let found = self.walk(&stage2, dma.address, oas).map_err(refuse)?;
                self.translations.insert(key, found);
                found
            }
        };
        let allowed = if dma.write { translation.write } else { translation.read };
        if allowed {
            Ok(Outcome::Translated(translation.page | dma.address & 0xfff))
        } else {
            Err(refuse(Kind::Permission))
        }
    }

    fn walk(&self, stage2: &Stage2, ipa: u64, oas: u32) -> Result<Translation, Kind> {
        if ipa >> stage2.ipa_bits() != 0 {
            return Err(Kind::Translation);
        }
        let (granule, mut table) = (stage2.granule(), stage2.root());
        let mut within = ipa;
        for level in stage2.first_level()..=3 {
            let shift = granule.bits() + (3 - level) * granule.stride();
            let descriptor = self.memory.read(table + 8 * (within >> shift));
            within &= (1 << shift) - 1;
            let address = descriptor & 0xffff_ffff_f000 & !((1 << granule.bits()) - 1);
            let block = match granule {
                Granule::Kib4 => level == 1 || level == 2,
                Granule::Kib16 | Granule::Kib64 => level == 2,
            };
            let leaf = match descriptor & 3 {
                3 => level == 3,
                1 if block => true,
                _ => return Err(Kind::Translation),
            };
            if address >> stage2.pa_bits().min(oas) != 0 {
                return Err(Kind::AddressSize);
            }
            if !leaf {
                table = address;
                continue;
            }
            if descriptor & ACCESS_FLAG == 0 {
                return Err(Kind::AccessFlag);
            }
            let page = address & !((1 << shift) - 1) | within & !0xfff;
            let (read, write) = (descriptor & READABLE != 0, descriptor & WRITABLE != 0);
            return Ok(Translation { page, read, write });
        }
        Err(Kind::Translation)
    }

    fn record(&mut self, event: Event) {
        if self.cr0.followed & SMMU_CR0::EVTQEN::SET.value == 0 {
            return;
        }
        let slots = 1 << (self.evtq_base & 0x1f);
        let mask = 2 * slots - 1;
        let (prod, cons) = (self.evtq_prod, self.evtq_cons);
        let used = prod.wrapping_sub(cons) & mask;
        if used == slots {
            if (prod ^ cons) & OVERFLOW == 0 {
                self.evtq_prod ^= OVERFLOW;
            }
            if self.config.full_is_error {
                self.raise(GlobalError::EventQueueAbort.bit());
            }
            return;
        }
        let at =
            (self.evtq_base & 0x000f_ffff_ffff_ffe0) + u64::from(prod & (slots - 1)) * EVENT_BYTES;
        for (n, word) in (0..).zip(event.encode()) {
            self.memory.write(at + 8 * n, word);
        }
        self.evtq_prod = (prod & OVERFLOW) | (prod + 1) & mask;
        let enabled = self.irq_ctrl.followed & SMMU_IRQ_CTRL::EVENTQ_IRQEN::SET.value != 0;
        if used == 0 && enabled && self.msi[1] == 0 {
            self.interrupts.events = true;
        }
    }
}

fn stage2_event(kind: Kind, dma: Dma) -> Event {
    Event {
        address: Some(dma.address),
        access: Some(Access { write: dma.write, instruction: false, privileged: false }),
        stage: Some(Stage::Two { class: Class::Input, ipa: dma.address & !0xfff }),
        ..Event::new(kind, dma.stream)
    }
}
