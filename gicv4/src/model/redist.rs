// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A redistributor: its registers, its LPIs, its CPU's SGIs and PPIs.

use super::dist::of;
use super::late::Late;
use super::report::Violation;
use super::state::State;
use super::{Config, Gic, Version};
use crate::frame::{Frame, Readable, Redistributor, Register, VirtualLpis, Width, Writable};
use crate::intid::VpeId;
use crate::lpi::LpiConfig;
use crate::redist::affinity_value;
use crate::regs::gicr::{
    GICR_CTLR, GICR_INVLPIR, GICR_PENDBASER, GICR_PROPBASER, GICR_SYNCR, GICR_TYPER, GICR_WAKER,
    offset as at,
};
use crate::regs::vlpi;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::MutexGuard;
use std::vec::Vec;
use tock_registers::LocalRegisterCopy;

#[derive(Debug)]
pub(super) struct Redist {
    /// Off: only GICR_TYPER, IIDR and PIDR2 answer.
    pub(super) powered: bool,
    control: u32,
    waker: u32,
    /// Reads of WAKER until ChildrenAsleep follows ProcessorSleep.
    waking: u32,
    /// Extended PPIs that are enabled: INTIDs 1056.. and 1088..
    extended: [u32; 2],
    /// What has no effect yet (`late`).
    pub(super) late: Vec<Late>,
    /// Reads of CTLR for which RWP is set.
    busy: u32,
    pub(super) propbaser: u64,
    pendbaser: u64,
    /// Pending physical LPIs, enabled or not.
    pub(super) lpis: BTreeSet<u32>,
    /// Physical configuration bytes as last read.
    pub(super) configs: BTreeMap<u32, LpiConfig>,
    private: Private,
    // Residency:
    pub(super) vpropbaser: u64,
    pub(super) vpendbaser: u64,
    /// Reads of VPENDBASER for which Dirty is set.
    pub(super) dirty: u32,
    pub(super) resident: Option<u16>,
    /// Pending vLPIs of the resident vPE, enabled or not.
    pub(super) vlpis: BTreeSet<u32>,
    /// GICv4.0: configuration bytes of the resident vPE as last read.
    pub(super) vconfigs: Vec<u8>,
    /// GICv4.1: whose SGIs VSGIPENDR tells.
    pub(super) asked: u16,
    /// Reads of VSGIPENDR for which Busy is set.
    pub(super) asking: u32,
    /// What INVLPIR or INVALLR was written, and reads of SYNCR for which Busy is set.
    invalidating: Option<(Invalidation, u32)>,
}

/// What GICR_INVLPIR (one INTID) or INVALLR (all) names: the physical LPIs, or those of a vPE.
#[derive(Clone, Copy, Debug)]
struct Invalidation {
    intid: Option<u32>,
    vpe: Option<u16>,
}

/// SGIs and PPIs.
#[derive(Debug, Default)]
struct Private {
    enabled: u32,
    pending: u32,
    active: u32,
    group: u32,
    modifier: u32,
    config: u32,
    priority: [u8; 32],
}

impl Redist {
    pub(super) fn new(config: &Config) -> Self {
        let extended = |n: u32| if config.extended_ppis > 32 * n { u32::MAX } else { 0 };
        Self {
            powered: !config.powered_off,
            late: Vec::new(),
            waking: 0,
            extended: [extended(0), extended(1)],
            control: 0,
            waker: GICR_WAKER::ProcessorSleep::SET.value | GICR_WAKER::ChildrenAsleep::SET.value,
            busy: 0,
            propbaser: 0,
            pendbaser: 0,
            lpis: BTreeSet::new(),
            configs: BTreeMap::new(),
            private: Private::default(),
            vpropbaser: match config.version {
                Version::V4_0 => 0,
                Version::V4_1 => config.vpe_entry(),
            },
            vpendbaser: 0,
            dirty: 0,
            resident: None,
            vlpis: BTreeSet::new(),
            vconfigs: Vec::new(),
            asked: 0,
            asking: 0,
            invalidating: None,
        }
    }

    /// Commands may name it: it is awake, and its LPIs are on.
    pub(super) const fn serves_commands(&self) -> bool {
        self.powered && self.waker == 0 && self.lpis_enabled()
    }

    /// GICR_ICENABLERnE and its like: n - 1 of the register.
    fn extended(offset: usize) -> Option<usize> {
        of(offset, at::ICENABLER + 4, 2)
    }

    pub(super) const fn lpis_enabled(&self) -> bool {
        self.control & 1 != 0
    }
    pub(super) const fn intid_bits(&self) -> u64 {
        (self.propbaser & 0x1f) + 1
    }
    /// vINTID bits by GICR_VPROPBASER of GICv4.0.
    pub(super) const fn virtual_bits(&self) -> u64 {
        (self.vpropbaser & 0x1f) + 1
    }
    pub(super) const fn config_address(&self, intid: u32) -> u64 {
        let table = self.propbaser
            & GICR_PROPBASER::PhysicalAddress.mask << GICR_PROPBASER::PhysicalAddress.shift;
        table + intid as u64 - 8192
    }
    const fn pending_table(&self) -> u64 {
        self.pendbaser
            & GICR_PENDBASER::PhysicalAddress.mask << GICR_PENDBASER::PhysicalAddress.shift
    }
}

impl State {
    fn typer(&self, cpu: usize) -> u64 {
        GICR_TYPER::PLPIS::SET.value
            | GICR_TYPER::VLPIS::SET.value
            | GICR_TYPER::Dirty::SET.value
            | GICR_TYPER::Last.val(u64::from(cpu + 1 == self.redists.len())).value
            | GICR_TYPER::RVPEID.val(u64::from(self.is_v41())).value
            | GICR_TYPER::VSGI.val(u64::from(self.config.virtual_sgis)).value
            | GICR_TYPER::CommonLPIAff.val(self.config.common_affinity.into()).value
            | GICR_TYPER::PPInum.val(u64::from(self.config.extended_ppis / 32)).value
            | GICR_TYPER::ProcessorNumber.val(self.config.processor(cpu as u16).into()).value
            | GICR_TYPER::AffinityValue
                .val(u64::from(affinity_value(self.config.mpidr(cpu as u16))))
                .value
    }

    fn redist_read32(&mut self, cpu: usize, offset: usize) -> Option<u32> {
        if offset == at::SYNCR && self.config.invalidation_registers {
            return Some(self.read_syncr(cpu));
        }
        let can_clear = self.config.clear_enable_lpis;
        let invalidation = self.config.invalidation_registers;
        let extended_ppis = self.config.extended_ppis;
        let redist = self.redists.get_mut(cpu)?;
        let private = &redist.private;
        Some(match offset {
            at::CTLR => {
                let busy = redist.busy > 0;
                redist.busy = redist.busy.saturating_sub(1);
                redist.control
                    | GICR_CTLR::CES.val(u32::from(can_clear)).value
                    | GICR_CTLR::IR.val(u32::from(invalidation)).value
                    | GICR_CTLR::RWP.val(u32::from(busy)).value
            }
            at::IIDR => 0,
            at::PIDR2 => 0x40,
            at::WAKER => {
                redist.waking = redist.waking.saturating_sub(1);
                if redist.waking == 0 {
                    let sleep = redist.waker & GICR_WAKER::ProcessorSleep::SET.value;
                    redist.waker = sleep | sleep << 1;
                }
                redist.waker
            }
            _ if let Some(n) = Redist::extended(offset).filter(|_| extended_ppis > 0) => {
                redist.extended[n]
            }
            at::ISENABLER0 | at::ICENABLER0 => private.enabled,
            at::ISPENDR0 | at::ICPENDR0 => private.pending,
            at::ISACTIVER0 | at::ICACTIVER0 => private.active,
            at::IGROUPR0 => private.group,
            at::IGRPMODR0 => private.modifier,
            at::ICFGR0 => 0xaaaa_aaaa,
            at::ICFGR1 => private.config,
            _ => {
                let n = of(offset, at::IPRIORITYR, 8)?;
                u32::from_le_bytes(core::array::from_fn(|byte| private.priority[4 * n + byte]))
            }
        })
    }

    fn redist_write32(&mut self, cpu: usize, offset: usize, value: u32) -> Option<()> {
        let (write_polls, open) = (self.config.write_polls, self.config.open(0));
        if offset == at::CTLR {
            self.write_control(cpu, value);
            return Some(());
        }
        let redist = self.redists.get_mut(cpu)?;
        let private = &mut redist.private;
        match offset {
            at::WAKER => {
                redist.waker = (redist.waker & !GICR_WAKER::ProcessorSleep::SET.value)
                    | (value & GICR_WAKER::ProcessorSleep::SET.value);
                redist.waking = write_polls;
            }
            at::ISENABLER0 => private.enabled |= value & open,
            at::ICENABLER0 => {
                private.enabled &= !value;
                redist.busy = write_polls;
            }
            at::ISPENDR0 => private.pending |= value,
            at::ICPENDR0 => private.pending &= !value,
            at::ISACTIVER0 => private.active |= value,
            at::ICACTIVER0 => private.active &= !value,
            at::IGROUPR0 => private.group = value,
            at::IGRPMODR0 => private.modifier = value,
            at::ICFGR1 => private.config = value & 0xaaaa_aaaa,
            _ if let Some(n) = Redist::extended(offset) => {
                redist.extended[n] &= !value;
                redist.busy = write_polls;
            }
            _ => {
                let n = of(offset, at::IPRIORITYR, 8)?;
                private.priority[4 * n..4 * n + 4].copy_from_slice(&value.to_le_bytes());
            }
        }
        Some(())
    }

    /// EnableLPIs: pending LPIs come from the table, or go back there; configuration bytes are read
    /// anew.
    fn write_control(&mut self, cpu: usize, value: u32) {
        let (can_clear, write_polls) = (self.config.clear_enable_lpis, self.config.write_polls);
        let Self { redists, memory, .. } = self;
        let Some(redist) = redists.get_mut(cpu) else { return };
        let (was, will) = (redist.lpis_enabled(), value & 1 != 0);
        let (table, bits) = (redist.pending_table(), redist.intid_bits());
        if was == will || (was && !can_clear) {
            return;
        }
        redist.control = u32::from(will);
        redist.late.clear();
        redist.configs.clear();
        if will {
            let zeroed = redist.pendbaser & GICR_PENDBASER::PTZ::SET.value != 0;
            let pending: BTreeSet<u32> =
                memory.bits(table, (1 << bits) / 8, 8192).filter(|_| !zeroed).collect();
            redist.lpis.clone_from(&pending);
            pending.into_iter().for_each(|intid| {
                self.cache_lpi(cpu, intid);
            });
        } else {
            redist.busy = write_polls;
            for intid in memory.bits(table, (1 << bits) / 8, 8192) {
                memory.set_bit(table, intid, false);
            }
            for intid in &redist.lpis {
                memory.set_bit(table, *intid, true);
            }
            redist.lpis.clear();
        }
    }

    fn redist_read64(&mut self, cpu: usize, offset: usize) -> Option<u64> {
        match offset {
            at::TYPER => Some(self.typer(cpu)),
            _ => {
                let redist = self.redists.get(cpu)?;
                match offset {
                    at::PROPBASER => Some(redist.propbaser),
                    // PTZ is write-only.
                    at::PENDBASER => Some(redist.pendbaser & !GICR_PENDBASER::PTZ::SET.value),
                    _ => None,
                }
            }
        }
    }

    fn redist_write64(&mut self, cpu: usize, offset: usize, value: u64) -> Option<()> {
        if matches!(offset, at::INVLPIR | at::INVALLR) && self.config.invalidation_registers {
            self.write_invalidation(cpu, offset, value);
            return Some(());
        }
        let incoherent = self.config.incoherent;
        let redist = self.redists.get_mut(cpu)?;
        let locked = redist.lpis_enabled();
        let value = match offset {
            at::PROPBASER if incoherent => value & !GICR_PROPBASER::Shareability::SET.value,
            at::PENDBASER if incoherent => value & !GICR_PENDBASER::Shareability::SET.value,
            _ => value,
        };
        match offset {
            at::PROPBASER if !locked => redist.propbaser = value,
            at::PENDBASER if !locked => redist.pendbaser = value,
            at::PROPBASER | at::PENDBASER => {
                let register =
                    if offset == at::PROPBASER { "GICR_PROPBASER" } else { "GICR_PENDBASER" };
                self.violate(Violation::WriteWhileLpisEnabled { cpu: cpu as u16, register });
            }
            _ => return None,
        }
        Some(())
    }

    /// GICR_INVLPIR and INVALLR: has its effect when SYNCR says so, at the latest.
    fn write_invalidation(&mut self, cpu: usize, offset: usize, value: u64) {
        let all = offset == at::INVALLR;
        let (number, register) = (cpu as u16, if all { "GICR_INVALLR" } else { "GICR_INVLPIR" });
        let fields = LocalRegisterCopy::<u64, GICR_INVLPIR::Register>::new(value);
        let intid = (!all).then(|| fields.read(GICR_INVLPIR::INTID) as u32);
        let vpe = fields.is_set(GICR_INVLPIR::V).then(|| fields.read(GICR_INVLPIR::VPEID) as u16);
        let defined = if all { 0 } else { GICR_INVLPIR::INTID::SET.value };
        let virtual_fields = GICR_INVLPIR::V::SET.value | GICR_INVLPIR::VPEID::SET.value;
        let bits = value & !(defined | if self.is_v41() { virtual_fields } else { 0 });
        if bits != 0 {
            self.violate(Violation::ReservedRegisterBits { cpu: number, register, bits });
        }
        if self.redists[cpu].invalidating.is_some() {
            self.violate(Violation::WriteWhileBusy { cpu: number, register });
        }
        if !self.redists[cpu].serves_commands() {
            self.violate(Violation::RedistributorNotReady { cpu: number });
        }
        if let Some(vpe) = vpe.filter(|vpe| !self.vpes.contains_key(vpe)) {
            let vpe = VpeId::new(vpe);
            return self.violate(Violation::NoSuchVpe { vpe, register });
        }
        let polls = self.config.write_polls;
        self.redists[cpu].invalidating = Some((Invalidation { intid, vpe }, polls));
    }

    fn read_syncr(&mut self, cpu: usize) -> u32 {
        match &mut self.redists[cpu].invalidating {
            Some((_, polls @ 1..)) => *polls -= 1,
            Some((invalidation, 0)) => {
                let Invalidation { intid, vpe } = *invalidation;
                self.redists[cpu].invalidating = None;
                match (vpe, intid) {
                    (Some(vpe), intid) => self.invalidate_virtual(vpe, intid),
                    (None, Some(intid)) => self.invalidate_lpi(cpu, intid),
                    (None, None) => self.invalidate_lpis(cpu),
                }
                return 0;
            }
            None => return 0,
        }
        GICR_SYNCR::Busy::SET.value
    }

    /// A byte of GICR_IPRIORITYR.
    fn priority_byte(&mut self, cpu: usize, offset: usize) -> Option<&mut u8> {
        let n = offset.checked_sub(at::IPRIORITYR)?;
        self.redists.get_mut(cpu)?.private.priority.get_mut(n)
    }

    fn vlpi_read(&mut self, cpu: usize, offset: usize) -> Option<u64> {
        use vlpi::offset as at;
        match offset {
            at::VPROPBASER => Some(self.redists.get(cpu)?.vpropbaser),
            at::VPENDBASER => Some(self.read_vpendbaser(cpu)),
            at::VSGIPENDR => self.vsgipendr(cpu).map(u64::from),
            _ => None,
        }
    }

    fn vlpi_write(&mut self, cpu: usize, offset: usize, value: u64) -> Option<()> {
        use vlpi::offset as at;
        match offset {
            at::VPROPBASER => self.write_vpropbaser(cpu, value),
            at::VPENDBASER => self.write_vpendbaser(cpu, value),
            at::VSGIR if self.config.virtual_sgis => self.write_vsgir(cpu, value as u16),
            _ => return None,
        }
        Some(())
    }

    fn redist_unknown(&mut self, offset: usize) {
        self.violate(Violation::UnknownRegister { frame: "GICR", offset });
    }
}

/// The model's RD and SGI frames of one CPU.
#[derive(Clone, Debug)]
pub struct RedistFrame {
    pub(super) gic: Gic,
    pub(super) cpu: usize,
}

/// Notes an access that a redistributor without power does not answer.
fn powered<'a>(gic: &'a Gic, cpu: usize, offset: usize) -> MutexGuard<'a, State> {
    let mut state = gic.state();
    let answers = matches!(offset, at::TYPER | at::IIDR | at::PIDR2);
    if !answers && state.redists.get(cpu).is_some_and(|redist| !redist.powered) {
        state.violate(Violation::AccessWithoutPower { cpu: cpu as u16, offset });
    }
    state
}

impl Frame for RedistFrame {
    type Block = Redistributor;

    fn read<W: Width, A: Readable, L>(&self, register: Register<Redistributor, W, A, L>) -> W {
        let (cpu, offset) = (self.cpu, register.offset());
        let mut state = powered(&self.gic, cpu, offset);
        let value = match W::BYTES {
            4 => state.redist_read32(cpu, offset).map(u64::from),
            8 => state.redist_read64(cpu, offset),
            _ => state.priority_byte(cpu, offset).map(|byte| u64::from(*byte)),
        };
        W::from_bits(value.unwrap_or_else(|| {
            state.redist_unknown(offset);
            0
        }))
    }
    fn write<W: Width, A: Writable<W, L>, L>(
        &self,
        register: Register<Redistributor, W, A, L>,
        value: A::Value,
    ) {
        let (cpu, offset) = (self.cpu, register.offset());
        let mut state = powered(&self.gic, cpu, offset);
        let value = A::bits(value).bits();
        let done = match W::BYTES {
            4 => state.redist_write32(cpu, offset, value as u32),
            8 => state.redist_write64(cpu, offset, value),
            _ => state.priority_byte(cpu, offset).map(|byte| *byte = value as u8),
        };
        if done.is_none() {
            state.redist_unknown(offset);
        }
    }
}

/// The model's VLPI frame of one CPU.
#[derive(Clone, Debug)]
pub struct VlpiFrame {
    pub(super) gic: Gic,
    pub(super) cpu: usize,
}

impl Frame for VlpiFrame {
    type Block = VirtualLpis;

    fn read<W: Width, A: Readable, L>(&self, register: Register<VirtualLpis, W, A, L>) -> W {
        let offset = vlpi::FROM_RD_BASE + register.offset();
        let mut state = powered(&self.gic, self.cpu, offset);
        W::from_bits(state.vlpi_read(self.cpu, register.offset()).unwrap_or_else(|| {
            state.redist_unknown(offset);
            0
        }))
    }
    fn write<W: Width, A: Writable<W, L>, L>(
        &self,
        register: Register<VirtualLpis, W, A, L>,
        value: A::Value,
    ) {
        let offset = vlpi::FROM_RD_BASE + register.offset();
        let mut state = powered(&self.gic, self.cpu, offset);
        if state.vlpi_write(self.cpu, register.offset(), A::bits(value).bits()).is_none() {
            state.redist_unknown(offset);
        }
    }
}
