// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The distributor's frame: identification, and the state of SPIs.

use super::report::Violation;
use super::state::State;
use super::{Config, Gic, Version};
use crate::frame::{Distributor, Frame, Readable, Register, Width, Writable};
use crate::intid::IntId;
use crate::regs::gicd::{GICD_CTLR, GICD_TYPER, GICD_TYPER2, PIDR2, offset as at};
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
            at::CTLR => dist.read_control(),
            at::TYPER => dist.typer,
            at::TYPER2 => dist.typer2,
            at::IIDR => 0,
            at::PIDR2 => dist.revision,
            _ if let Some(n) = bank(at::ISENABLER).or(bank(at::ICENABLER)) => dist.enabled[n],
            _ if let Some(n) = bank(at::ISPENDR).or(bank(at::ICPENDR)) => dist.pending[n],
            _ if let Some(n) = bank(at::ISACTIVER).or(bank(at::ICACTIVER)) => dist.active[n],
            _ if let Some(n) = bank(at::IGROUPR) => dist.group[n],
            _ if let Some(n) = bank(at::IGRPMODR) => dist.modifier[n],
            _ if let Some(n) = of(offset, at::ICENABLER_E, 32)
                .filter(|n| dist.extended_count > 32 * *n as u32) =>
            {
                dist.extended[n]
            }
            _ if let Some(n) = of(offset, at::ICFGR, 64) => dist.config[n],
            _ if let Some(n) = of(offset, at::IPRIORITYR, 256) => {
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
            at::CTLR => {
                dist.control = value & 0x13 | GICD_CTLR::DS::SET.value;
                dist.busy = write_polls;
            }
            _ if let Some(n) = bank(at::ISENABLER) => {
                dist.enabled[n] |= value & self.config.open(n);
            }
            _ if let Some(n) = bank(at::ICENABLER) => {
                dist.enabled[n] &= !value;
                dist.busy = write_polls;
            }
            _ if let Some(n) = bank(at::ISPENDR) => dist.pending[n] |= value,
            _ if let Some(n) = bank(at::ICPENDR) => dist.pending[n] &= !value,
            _ if let Some(n) = bank(at::ISACTIVER) => dist.active[n] |= value,
            _ if let Some(n) = bank(at::ICACTIVER) => dist.active[n] &= !value,
            _ if let Some(n) = bank(at::IGROUPR) => dist.group[n] = value,
            _ if let Some(n) = bank(at::IGRPMODR) => dist.modifier[n] = value,
            _ if let Some(n) = of(offset, at::ICENABLER_E, 32)
                .filter(|n| dist.extended_count > 32 * *n as u32) =>
            {
                dist.extended[n] &= !value;
                dist.busy = write_polls;
            }
            _ if let Some(n) = of(offset, at::ICFGR, 64) => {
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
            _ if let Some(n) = of(offset, at::IPRIORITYR, 256) => {
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
    type Block = Distributor;

    fn read<W: Width, A: Readable, L>(&self, register: Register<Distributor, W, A, L>) -> W {
        let (mut state, offset) = (self.0.state(), register.offset());
        let value = match W::BYTES {
            4 => state.dist_read(offset).map(u64::from),
            8 => route_of(offset).map(|n| state.dist.route[n]),
            _ => priority_of(offset).map(|n| state.dist.priority[n].into()),
        };
        W::from_bits(value.unwrap_or_else(|| {
            state.dist_unknown(offset);
            0
        }))
    }
    fn write<W: Width, A: Writable<W, L>, L>(
        &self,
        register: Register<Distributor, W, A, L>,
        value: A::Value,
    ) {
        let (mut state, offset) = (self.0.state(), register.offset());
        let value = A::bits(value).bits();
        let done = match W::BYTES {
            4 => state.dist_write(offset, value as u32),
            8 => route_of(offset).map(|n| state.dist.route[n] = value),
            _ => priority_of(offset).map(|n| state.dist.priority[n] = value as u8),
        };
        if done.is_none() {
            state.dist_unknown(offset);
        }
    }
}

/// The SPI of a GICD_IROUTER.
fn route_of(offset: usize) -> Option<usize> {
    let n = offset.checked_sub(at::IROUTER)? / 8;
    (32..1020).contains(&n).then_some(n)
}

/// The INTID of a byte of GICD_IPRIORITYR.
fn priority_of(offset: usize) -> Option<usize> {
    offset.checked_sub(at::IPRIORITYR).filter(|n| *n < 1020)
}
