// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What commands do with pending state and configuration, as late as the architecture allows.
//!
//! The ITS consumes commands in order, but what they do at a redistributor is complete only after
//! SYNC of it, or VSYNC of the vPE (IHI 0069H 5.3). Here it happens just then, or when the next
//! event for the same redistributor or vPE follows, which comes behind it on the way there. With
//! `late_effects` off it happens at once, as on QEMU.

use super::state::State;
use crate::command::SgiChange;

/// At a redistributor.
#[derive(Clone, Copy, Debug)]
pub(super) enum Late {
    /// The configuration byte is read again.
    Reload(u32),
    ReloadAll,
    /// The LPI is not pending any more.
    Clear(u32),
    /// The LPI goes to another CPU's redistributor, pending or not.
    Move(u32, usize),
}

/// At a vPE, wherever it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum LateVirtual {
    /// The configuration byte of one vLPI, or all, is read again.
    Reload(Option<u32>),
    Clear(u32),
    /// The vPE belongs to another CPU's redistributor.
    Move(usize),
    /// GICv4.1: a virtual SGI is configured, or not pending any more. One that GITS_SGIR sends
    /// overtakes it.
    Sgi(u8, SgiChange),
}

impl State {
    pub(super) fn later(&mut self, cpu: usize, late: Late) {
        self.redists[cpu].late.push(late);
        if !self.config.late_effects {
            self.sync(cpu);
        }
    }

    pub(super) fn later_virtual(&mut self, vpe: u16, late: LateVirtual) {
        if let Some(entry) = self.vpes.get_mut(&vpe) {
            entry.late.push(late);
        }
        if !self.config.late_effects {
            self.vsync(vpe);
        }
    }

    /// Completes what commands did at a redistributor.
    pub(super) fn sync(&mut self, cpu: usize) {
        for late in core::mem::take(&mut self.redists[cpu].late) {
            match late {
                Late::Reload(intid) => self.invalidate_lpi(cpu, intid),
                Late::ReloadAll => self.invalidate_lpis(cpu),
                Late::Clear(intid) => {
                    self.redists[cpu].lpis.remove(&intid);
                }
                Late::Move(intid, to) => self.move_lpi(intid, cpu, to),
            }
        }
    }

    /// Completes what commands did at a vPE.
    pub(super) fn vsync(&mut self, vpe: u16) {
        let Some(entry) = self.vpes.get_mut(&vpe) else { return };
        for late in core::mem::take(&mut entry.late) {
            match late {
                LateVirtual::Reload(vintid) => self.invalidate_virtual(vpe, vintid),
                LateVirtual::Clear(vintid) => {
                    self.lower_virtual(vpe, vintid);
                }
                LateVirtual::Move(cpu) => self.move_vpe(vpe, cpu),
                LateVirtual::Sgi(sgi, change) => self.change_sgi(vpe, sgi, change),
            }
        }
    }

    fn move_vpe(&mut self, vpe: u16, cpu: usize) {
        let Some(entry) = self.vpes.get_mut(&vpe) else { return };
        let from = core::mem::replace(&mut entry.cpu, cpu);
        // GICv4.1: a default doorbell that has rung goes with its vPE.
        if let Some(doorbell) = entry.v41.as_ref().map(|v41| v41.doorbell.value()) {
            self.move_lpi(doorbell, from, cpu);
        }
    }

    /// All of it, as time would.
    pub(super) fn settle(&mut self) {
        (0..self.redists.len()).for_each(|cpu| self.sync(cpu));
        let vpes: std::vec::Vec<u16> = self.vpes.keys().copied().collect();
        vpes.into_iter().for_each(|vpe| self.vsync(vpe));
    }
}
