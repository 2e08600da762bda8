// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The whole state, and what happens to interrupts in it: becoming pending, ringing, being cleared.

use super::dist::Dist;
use super::its::Its;
use super::late::LateVirtual;
use super::memory::Memory;
use super::redist::Redist;
use super::report::{Cause, CommandError, Violation};
use super::{Config, Version};
use crate::intid::{CollectionId, DeviceId, EventId, IntId, RdBase, VpeId};
use crate::lpi::LpiConfig;
use std::collections::BTreeMap;
use std::vec::Vec;

#[derive(Debug)]
pub(super) struct State {
    pub(super) config: Config,
    pub(super) memory: Memory,
    pub(super) dist: Dist,
    pub(super) redists: Vec<Redist>,
    pub(super) its: Its,
    pub(super) devices: BTreeMap<u32, Device>,
    /// To a CPU.
    pub(super) collections: BTreeMap<u16, usize>,
    pub(super) vpes: BTreeMap<u16, Vpe>,
    /// Sequence number of the last VMOVP.
    pub(super) its_sequence: u16,
    pub(super) errors: Vec<CommandError>,
    pub(super) violations: Vec<Violation>,
}

#[derive(Debug)]
pub(super) struct Device {
    pub(super) event_bits: u8,
    pub(super) events: BTreeMap<u32, Target>,
}

/// What an event is mapped to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    Physical { intid: u32, collection: CollectionId },
    Virtual { vintid: u32, vpe: u16, doorbell: IntId },
}

#[derive(Debug)]
pub(super) struct Vpe {
    /// Where VMAPP or VMOVP put it.
    pub(super) cpu: usize,
    pub(super) vpt: u64,
    pub(super) bits: u8,
    /// GICv4.0: IDAI as it was when the vPE left.
    pub(super) idai: bool,
    /// What has no effect yet.
    pub(super) late: Vec<LateVirtual>,
    /// GICv4.1: what VMAPP gave, and the configuration bytes as last read.
    pub(super) v41: Option<VpeV41>,
}

#[derive(Debug)]
pub(super) struct VpeV41 {
    pub(super) config: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) doorbell: IntId,
    /// VMAPP promised a pending table of zeros.
    pub(super) zeroed: bool,
    /// The doorbell was asked for when it left, and has not rung since.
    pub(super) armed: bool,
    pub(super) sgis: [Sgi; 16],
}

/// A virtual SGI.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sgi {
    pub(super) enabled: bool,
    pub(super) priority: u8,
    pub(super) group1: bool,
    pub(super) pending: bool,
}

impl Sgi {
    /// After VMAPP: nothing says that it is disabled before the first VSGI.
    pub(super) const UNKNOWN: Self =
        Self { enabled: true, priority: 0, group1: true, pending: false };
}

impl Vpe {
    pub(super) const fn holds(&self, vintid: u32) -> bool {
        vintid >= 8192 && (vintid as u64) < 1 << self.bits
    }
    pub(super) const fn table_bytes(&self) -> u64 {
        (1 << self.bits) / 8
    }
}

impl State {
    pub(super) fn new(config: Config) -> Self {
        Self {
            memory: Memory::default(),
            dist: Dist::new(&config),
            redists: (0..config.cpus).map(|_| Redist::new(&config)).collect(),
            its: Its::new(&config),
            devices: BTreeMap::new(),
            collections: BTreeMap::new(),
            vpes: BTreeMap::new(),
            its_sequence: 0,
            errors: Vec::new(),
            violations: Vec::new(),
            config,
        }
    }

    pub(super) fn is_v41(&self) -> bool {
        self.config.version == Version::V4_1
    }

    pub(super) fn violate(&mut self, violation: Violation) {
        self.violations.push(violation);
    }

    /// CPU whose redistributor a command names.
    pub(super) fn cpu_of(&self, redistributor: RdBase) -> Result<usize, Cause> {
        (0..self.config.cpus)
            .find(|cpu| self.config.redistributor(*cpu) == redistributor)
            .map(usize::from)
            .ok_or(Cause::RedistributorOutOfRange)
    }

    pub(super) fn lpi_in_range(&self, intid: u32) -> bool {
        intid >= 8192 && u64::from(intid) < 1 << self.config.intid_bits
    }

    // Events
    // ---------------------------------------------------------------------------------------------

    pub(super) fn target(&self, device: DeviceId, event: EventId) -> Result<Target, Cause> {
        if !self.device_in_range(device) {
            return Err(Cause::DeviceOutOfRange);
        }
        let entry = self.devices.get(&device.value()).ok_or(Cause::UnmappedDevice)?;
        if u64::from(event.value()) >= 1 << entry.event_bits {
            return Err(Cause::EventOutOfRange);
        }
        entry.events.get(&event.value()).copied().ok_or(Cause::UnmappedInterrupt)
    }

    /// An event, by a device's write or by INT.
    pub(super) fn translate(&mut self, device: DeviceId, event: EventId) -> Result<(), Cause> {
        if !self.its.enabled {
            return Err(Cause::Disabled);
        }
        match self.target(device, event)? {
            Target::Physical { intid, collection } => {
                let cpu =
                    *self.collections.get(&collection.value()).ok_or(Cause::UnmappedCollection)?;
                self.raise(cpu, intid);
            }
            Target::Virtual { vintid, vpe, doorbell } => {
                self.raise_virtual(vpe, vintid, doorbell)?
            }
        }
        Ok(())
    }

    /// Takes an event's pending state away; tells whether there was any.
    pub(super) fn lower(&mut self, target: Target) -> bool {
        match target {
            Target::Physical { intid, collection } => {
                match self.collections.get(&collection.value()) {
                    Some(cpu) => self.redists[*cpu].lpis.remove(&intid),
                    None => false,
                }
            }
            Target::Virtual { vintid, vpe, .. } => self.lower_virtual(vpe, vintid),
        }
    }

    // Physical LPIs
    // ---------------------------------------------------------------------------------------------

    /// Makes a physical LPI pending at a CPU. It stays so, enabled or not.
    pub(super) fn raise(&mut self, cpu: usize, intid: u32) {
        self.sync(cpu);
        if !self.redists[cpu].lpis_enabled() {
            self.violate(Violation::LpiWhileDisabled { cpu: cpu as u16, intid: IntId::new(intid) });
            return;
        }
        if u64::from(intid) < 1 << self.redists[cpu].intid_bits() {
            self.cache_lpi(cpu, intid);
            self.redists[cpu].lpis.insert(intid);
        }
    }

    /// The configuration byte that the redistributor works with; it is read once, then only after
    /// INV.
    pub(super) fn cache_lpi(&mut self, cpu: usize, intid: u32) -> LpiConfig {
        let Self { redists, memory, .. } = self;
        let redist = &mut redists[cpu];
        let address = redist.config_address(intid);
        *redist.configs.entry(intid).or_insert_with(|| LpiConfig::from_byte(memory.read(address)))
    }

    pub(super) fn invalidate_lpi(&mut self, cpu: usize, intid: u32) {
        self.redists[cpu].configs.remove(&intid);
        self.cache_lpi(cpu, intid);
    }

    pub(super) fn invalidate_lpis(&mut self, cpu: usize) {
        let known: Vec<u32> = self.redists[cpu].configs.keys().copied().collect();
        known.into_iter().for_each(|intid| self.invalidate_lpi(cpu, intid));
    }

    // Virtual LPIs
    // ---------------------------------------------------------------------------------------------

    /// CPU on which the GIC finds the vPE resident. GICv4.0 looks only where VMAPP or VMOVP put it.
    pub(super) fn residence(&self, vpe: u16) -> Option<usize> {
        let entry = self.vpes.get(&vpe)?;
        if entry.v41.is_some() {
            self.redists.iter().position(|redist| redist.resident == Some(vpe))
        } else {
            (self.redists[entry.cpu].resident == Some(vpe)).then_some(entry.cpu)
        }
    }

    pub(super) fn raise_virtual(
        &mut self,
        vpe: u16,
        vintid: u32,
        doorbell: IntId,
    ) -> Result<(), Cause> {
        self.vsync(vpe);
        let entry = self.vpes.get(&vpe).ok_or(Cause::UnmappedVpe)?;
        if !entry.holds(vintid) {
            return Err(Cause::IntIdOutOfRange);
        }
        let (home, vpt) = (entry.cpu, entry.vpt);
        match self.residence(vpe) {
            Some(cpu) => {
                self.redists[cpu].vlpis.insert(vintid);
            }
            // A GICv4.0 redistributor compares with what its VPROPBASER says, whoever used it last.
            None if !self.is_v41() && vintid >> self.redists[home].virtual_bits() != 0 => {
                let (vpe, vintid) = (VpeId::new(vpe), IntId::new(vintid));
                self.violate(Violation::VlpiBeyondIdBits { vpe, vintid });
            }
            None => {
                self.memory.set_bit(vpt, vintid, true);
                if self.is_v41() {
                    self.ring_default(vpe);
                } else if doorbell != IntId::NONE {
                    self.raise(home, doorbell.value());
                }
            }
        }
        Ok(())
    }

    pub(super) fn lower_virtual(&mut self, vpe: u16, vintid: u32) -> bool {
        let residence = self.residence(vpe);
        match (self.vpes.get(&vpe), residence) {
            (Some(_), Some(cpu)) => self.redists[cpu].vlpis.remove(&vintid),
            (Some(entry), None) if entry.holds(vintid) => {
                let was = self.memory.bit(entry.vpt, vintid);
                self.memory.set_bit(entry.vpt, vintid, false);
                was
            }
            _ => false,
        }
    }

    pub(super) fn is_virtual_pending(&self, vpe: u16, vintid: u32) -> bool {
        match (self.vpes.get(&vpe), self.residence(vpe)) {
            (Some(Vpe { v41: Some(v41), .. }), _) if vintid < 16 => {
                v41.sgis[vintid as usize].pending
            }
            (Some(_), Some(cpu)) => self.redists[cpu].vlpis.contains(&vintid),
            (Some(entry), None) => entry.holds(vintid) && self.memory.bit(entry.vpt, vintid),
            (None, _) => false,
        }
    }

    /// GICv4.1: rings the default doorbell, once, if it was asked for and something enabled is
    /// pending.
    pub(super) fn ring_default(&mut self, vpe: u16) {
        if self.residence(vpe).is_some() || !self.has_work(vpe) {
            return;
        }
        let Some(entry) = self.vpes.get_mut(&vpe) else { return };
        let home = entry.cpu;
        if let Some(v41) = entry.v41.as_mut().filter(|v41| v41.armed && v41.doorbell != IntId::NONE)
        {
            v41.armed = false;
            let doorbell = v41.doorbell.value();
            self.raise(home, doorbell);
        }
    }

    /// GICv4.1: something enabled is pending for a vPE that is not resident.
    fn has_work(&self, vpe: u16) -> bool {
        let Some(entry) = self.vpes.get(&vpe) else { return false };
        let Some(v41) = &entry.v41 else { return false };
        let enabled =
            |vintid: u32| v41.bytes.get(vintid as usize - 8192).is_some_and(|byte| byte & 1 != 0);
        v41.sgis.iter().any(|sgi| sgi.enabled && sgi.pending)
            || self.memory.bits(entry.vpt, entry.table_bytes(), 8192).any(enabled)
    }
}

/// The virtual configuration bytes of a table in memory.
pub(super) fn read_configs(memory: &Memory, table: u64, bits: u8) -> Vec<u8> {
    memory.read_range(table, (1u64 << bits).saturating_sub(8192))
}
