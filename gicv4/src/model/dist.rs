//! The distributor's frame: identification, and the state of SPIs.

use super::report::Violation;
use super::state::State;
use super::{Config, Gic, Version};
use crate::frame::Frame;
use crate::intid::IntId;
use crate::regs::gicd::{self, GICD_CTLR, GICD_TYPER, GICD_TYPER2, PIDR2};
use std::boxed::Box;

#[derive(Debug)]
pub(super) struct Dist {
    typer: u32,
    typer2: u32,
    revision: u32,
    control: u32,
    /// Reads of CTLR for which RWP is set.
    busy: u32,
    enabled: [u32; 32],
    pending: [u32; 32],
    active: [u32; 32],
    group: [u32; 32],
    modifier: [u32; 32],
    config: [u32; 64],
    /// Extended SPIs that are enabled.
    extended: [u32; 32],
    extended_count: u32,
    priority: Box<[u8; 1024]>,
    route: Box<[u64; 1024]>,
}

impl Dist {
    pub(super) fn new(config: &Config) -> Self {
        let v41 = config.version == Version::V4_1;
        Self {
            typer: GICD_TYPER::ITLinesNumber.val(config.spis / 32).value
                | GICD_TYPER::LPIS::SET.value
                | GICD_TYPER::DVIS::SET.value
                | GICD_TYPER::IDbits.val(u32::from(config.intid_bits) - 1).value
                | GICD_TYPER::ESPI.val(u32::from(config.extended_spis > 0)).value
                | GICD_TYPER::ESPI_range.val((config.extended_spis / 32).saturating_sub(1)).value
                | GICD_TYPER::A3V::SET.value,
            typer2: if v41 {
                GICD_TYPER2::VIL::SET.value | GICD_TYPER2::VID.val(15).value
            } else {
                0
            },
            revision: PIDR2::ArchRev.val(4).value,
            control: GICD_CTLR::DS::SET.value,
            busy: 0,
            enabled: [0; 32],
            pending: [0; 32],
            active: [0; 32],
            group: [0; 32],
            modifier: [0; 32],
            config: [0; 64],
            extended: core::array::from_fn(|n| {
                if config.extended_spis > 32 * n as u32 { u32::MAX } else { 0 }
            }),
            extended_count: config.extended_spis,
            priority: Box::new([0; 1024]),
            route: Box::new([0; 1024]),
        }
    }

    fn read_control(&mut self) -> u32 {
        let busy = self.busy > 0;
        self.busy = self.busy.saturating_sub(1);
        self.control | if busy { GICD_CTLR::RWP::SET.value } else { 0 }
    }
}

/// Index of a register of a bank of `count` four-byte registers.
pub(super) fn of(offset: usize, bank: usize, count: usize) -> Option<usize> {
    let index = offset.checked_sub(bank)? / 4;
    (index < count && offset.is_multiple_of(4)).then_some(index)
}

impl State {
    fn dist_read(&mut self, offset: usize) -> Option<u32> {
        let dist = &mut self.dist;
        let bank = |bank| of(offset, bank, 32);
        Some(match offset {
            gicd::CTLR => dist.read_control(),
            gicd::TYPER => dist.typer,
            gicd::TYPER2 => dist.typer2,
            gicd::IIDR => 0,
            gicd::PIDR2 => dist.revision,
            _ if let Some(n) = bank(gicd::ISENABLER).or(bank(gicd::ICENABLER)) => dist.enabled[n],
            _ if let Some(n) = bank(gicd::ISPENDR).or(bank(gicd::ICPENDR)) => dist.pending[n],
            _ if let Some(n) = bank(gicd::ISACTIVER).or(bank(gicd::ICACTIVER)) => dist.active[n],
            _ if let Some(n) = bank(gicd::IGROUPR) => dist.group[n],
            _ if let Some(n) = bank(gicd::IGRPMODR) => dist.modifier[n],
            _ if let Some(n) = of(offset, gicd::ICENABLER_E, 32)
                .filter(|n| dist.extended_count > 32 * *n as u32) =>
            {
                dist.extended[n]
            }
            _ if let Some(n) = of(offset, gicd::ICFGR, 64) => dist.config[n],
            _ if let Some(n) = of(offset, gicd::IPRIORITYR, 256) => {
                u32::from_le_bytes(core::array::from_fn(|byte| dist.priority[4 * n + byte]))
            }
            _ => return None,
        })
    }

    fn dist_write(&mut self, offset: usize, value: u32) -> Option<()> {
        let write_polls = self.config.write_polls;
        let dist = &mut self.dist;
        let bank = |bank| of(offset, bank, 32);
        match offset {
            gicd::CTLR => {
                dist.control = value & 0x13 | GICD_CTLR::DS::SET.value;
                dist.busy = write_polls;
            }
            _ if let Some(n) = bank(gicd::ISENABLER) => {
                dist.enabled[n] |= value & self.config.open(n);
            }
            _ if let Some(n) = bank(gicd::ICENABLER) => {
                dist.enabled[n] &= !value;
                dist.busy = write_polls;
            }
            _ if let Some(n) = bank(gicd::ISPENDR) => dist.pending[n] |= value,
            _ if let Some(n) = bank(gicd::ICPENDR) => dist.pending[n] &= !value,
            _ if let Some(n) = bank(gicd::ISACTIVER) => dist.active[n] |= value,
            _ if let Some(n) = bank(gicd::ICACTIVER) => dist.active[n] &= !value,
            _ if let Some(n) = bank(gicd::IGROUPR) => dist.group[n] = value,
            _ if let Some(n) = bank(gicd::IGRPMODR) => dist.modifier[n] = value,
            _ if let Some(n) = of(offset, gicd::ICENABLER_E, 32)
                .filter(|n| dist.extended_count > 32 * *n as u32) =>
            {
                dist.extended[n] &= !value;
                dist.busy = write_polls;
            }
            _ if let Some(n) = of(offset, gicd::ICFGR, 64) => {
                let value = value & 0xaaaa_aaaa;
                let changed = core::mem::replace(&mut dist.config[n], value) ^ value;
                let (busy, enabled) = (dist.busy != 0, dist.enabled[n / 2]);
                for bit in (0..16).filter(|bit| changed >> (2 * bit) & 2 != 0) {
                    let intid = 16 * n as u32 + bit;
                    if busy || enabled >> (intid % 32) & 1 != 0 {
                        self.violate(Violation::TriggerOfEnabled { intid: IntId::new(intid) });
                    }
                }
            }
            _ if let Some(n) = of(offset, gicd::IPRIORITYR, 256) => {
                dist.priority[4 * n..4 * n + 4].copy_from_slice(&value.to_le_bytes());
            }
            _ => return None,
        }
        Some(())
    }

    fn dist_unknown(&mut self, offset: usize) {
        self.violate(Violation::UnknownRegister { frame: "GICD", offset });
    }
}

/// The model's GICD frame.
#[derive(Clone, Debug)]
pub struct DistFrame(pub(super) Gic);

impl Frame for DistFrame {
    fn read32(&self, offset: usize) -> u32 {
        let mut state = self.0.state();
        state.dist_read(offset).unwrap_or_else(|| {
            state.dist_unknown(offset);
            0
        })
    }
    fn read64(&self, offset: usize) -> u64 {
        let mut state = self.0.state();
        match offset.checked_sub(gicd::IROUTER).map(|bytes| bytes / 8) {
            Some(n @ 32..1020) => state.dist.route[n],
            _ => {
                state.dist_unknown(offset);
                0
            }
        }
    }
    fn write32(&self, offset: usize, value: u32) {
        let mut state = self.0.state();
        if state.dist_write(offset, value).is_none() {
            state.dist_unknown(offset);
        }
    }
    fn write64(&self, offset: usize, value: u64) {
        let mut state = self.0.state();
        match offset.checked_sub(gicd::IROUTER).map(|bytes| bytes / 8) {
            Some(n @ 32..1020) => state.dist.route[n] = value,
            _ => state.dist_unknown(offset),
        }
    }
    fn write8(&self, offset: usize, value: u8) {
        let mut state = self.0.state();
        match offset.checked_sub(gicd::IPRIORITYR) {
            Some(n @ 0..1020) => state.dist.priority[n] = value,
            _ => state.dist_unknown(offset),
        }
    }
}
