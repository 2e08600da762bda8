// SPDX-License-Identifier: Apache-2.0 OR MIT
//! VPROPBASER and VPENDBASER: who is resident, and the rules about it.

use super::Version;
use super::report::Violation;
use super::state::{State, read_configs};
use crate::intid::VpeId;
use crate::regs::vlpi::{GICR_VPENDBASER, GICR_VPENDBASER_V41, GICR_VPROPBASER, GICR_VSGIPENDR};
use tock_registers::LocalRegisterCopy;

const VALID: u64 = 1 << 63;
const DIRTY: u64 = 1 << 60;
const PENDING_LAST: u64 = 1 << 61;
/// GICv4.0; in the same place as GICv4.1's Doorbell.
const IDAI: u64 = GICR_VPENDBASER::IDAI.mask << GICR_VPENDBASER::IDAI.shift;
const DOORBELL: u64 = GICR_VPENDBASER_V41::Doorbell.mask << GICR_VPENDBASER_V41::Doorbell.shift;
/// What GICR_VPENDBASER of GICv4.1 has besides Dirty, which is read-only.
const DEFINED_V41: u64 = GICR_VPENDBASER_V41::VPEID::SET.value
    | GICR_VPENDBASER_V41::VGrp1En::SET.value
    | GICR_VPENDBASER_V41::VGrp0En::SET.value
    | DIRTY
    | PENDING_LAST
    | DOORBELL
    | VALID;

impl super::redist::Redist {
    pub(super) const fn virtual_config_address(&self) -> u64 {
        self.vpropbaser
            & GICR_VPROPBASER::PhysicalAddress.mask << GICR_VPROPBASER::PhysicalAddress.shift
    }
}

impl State {
    pub(super) fn write_vpropbaser(&mut self, cpu: usize, value: u64) {
        if self.is_v41() {
            return self.write_vpe_table(cpu, value);
        }
        if self.redists[cpu].vpendbaser & VALID != 0 {
            self.violate(Violation::WriteWhileValid {
                cpu: cpu as u16,
                register: "GICR_VPROPBASER",
            });
        } else {
            self.redists[cpu].vpropbaser = value;
        }
    }

    pub(super) fn read_vpendbaser(&mut self, cpu: usize) -> u64 {
        let redist = &mut self.redists[cpu];
        let value = redist.vpendbaser;
        if redist.dirty > 0 {
            redist.dirty -= 1;
            // PendingLast is UNKNOWN meanwhile; the wrong value finds out who believes it.
            (value ^ PENDING_LAST) | DIRTY
        } else {
            value
        }
    }

    pub(super) fn write_vpendbaser(&mut self, cpu: usize, value: u64) {
        if self.is_v41() {
            let bits = value & !DEFINED_V41;
            if bits != 0 {
                let (cpu, register) = (cpu as u16, "GICR_VPENDBASER");
                self.violate(Violation::ReservedRegisterBits { cpu, register, bits });
            }
        }
        let dirty = self.redists[cpu].dirty > 0;
        match (self.redists[cpu].vpendbaser & VALID != 0, value & VALID != 0) {
            (false, true) => {
                if dirty {
                    self.violate(Violation::SetValidWhileDirty { cpu: cpu as u16 });
                }
                self.enter(cpu, value);
            }
            (true, false) => {
                if dirty {
                    self.violate(Violation::ClearedValidWhileDirty { cpu: cpu as u16 });
                }
                self.leave(cpu, value);
            }
            (true, true) => {
                self.violate(Violation::WriteWhileValid {
                    cpu: cpu as u16,
                    register: "GICR_VPENDBASER",
                });
            }
            (false, false) => self.redists[cpu].vpendbaser = value & !DIRTY,
        }
    }

    /// The vPE that a value of VPENDBASER names.
    fn named(&self, value: u64) -> Option<u16> {
        if self.is_v41() {
            let vpe = value as u16;
            return self.vpes.contains_key(&vpe).then_some(vpe);
        }
        let table = LocalRegisterCopy::<u64, GICR_VPENDBASER::Register>::new(value);
        let address = table.read(GICR_VPENDBASER::PhysicalAddress) << 16;
        self.vpes.iter().find(|(_, vpe)| vpe.vpt == address).map(|(id, _)| *id)
    }

    fn enter(&mut self, cpu: usize, value: u64) {
        let number = cpu as u16;
        if !self.redists[cpu].lpis_enabled() {
            self.violate(Violation::ResidentWithoutLpis { cpu: number });
        }
        if !self.is_v41() && value & PENDING_LAST == 0 {
            self.violate(Violation::PendingLastNotSet { cpu: number });
        }
        let named = self.named(value);
        match named {
            Some(vpe) => self.check_residence(cpu, vpe, value),
            None => self.violate(Violation::ResidentUnmapped { cpu: number }),
        }
        let dirty_polls = self.config.dirty_polls;
        let Self { redists, memory, vpes, .. } = self;
        let redist = &mut redists[cpu];
        redist.vpendbaser = (value | PENDING_LAST) & !DIRTY;
        redist.dirty = dirty_polls;
        redist.resident = named;
        redist.vlpis.clear();
        let Some(vpe) = named.and_then(|vpe| vpes.get_mut(&vpe)) else { return };
        // As many INTIDs as both registers allow: the rest is lost, which `check_residence` has
        // reported.
        let bits = if vpe.v41.is_some() {
            vpe.bits
        } else {
            vpe.bits.min((redist.vpropbaser as u8 & 0x1f) + 1)
        };
        redist.vlpis.extend(memory.bits(vpe.vpt, (1 << bits) / 8, 8192));
        match &mut vpe.v41 {
            Some(v41) => {
                // GICv4.1 takes a stale doorbell back by itself.
                v41.armed = false;
                let (home, doorbell) = (vpe.cpu, v41.doorbell.value());
                redists[home].lpis.remove(&doorbell);
            }
            None => {
                let table = redists[cpu].virtual_config_address();
                redists[cpu].vconfigs = read_configs(memory, table, bits);
            }
        }
    }

    fn check_residence(&mut self, cpu: usize, id: u16, value: u64) {
        let vpe = VpeId::new(id);
        let number = cpu as u16;
        if self.redists.iter().any(|redist| redist.resident == Some(id)) {
            self.violate(Violation::ResidentTwice { vpe, cpu: number });
        }
        let (home, vpt_bits, v41) =
            (self.vpes[&id].cpu, self.vpes[&id].bits, self.vpes[&id].v41.is_some());
        if !v41 && self.vpes[&id].idai != (value & IDAI != 0) {
            self.violate(Violation::IdaiNotRestored { vpe });
        }
        if v41 {
            self.needs_vpe_table(cpu, vpe);
        }
        // On GICv4.1 any redistributor that shares the vPE table will do.
        if if v41 { !self.share_vpe_table(home, cpu) } else { home != cpu } {
            self.violate(Violation::ResidentElsewhere { vpe, cpu: number });
        }
        let vpropbaser_bits = (self.redists[cpu].vpropbaser as u8 & 0x1f) + 1;
        if !v41 && vpropbaser_bits != vpt_bits {
            self.violate(Violation::IdBitsDiffer { vpe, vpt_bits, vpropbaser_bits });
        }
    }

    /// The pending state goes back to memory, PendingLast says whether any of it is enabled.
    fn leave(&mut self, cpu: usize, value: u64) {
        let pending = self.virtual_signal(cpu).is_some();
        let (dirty_polls, idai) = (self.config.dirty_polls, self.config.idai);
        let Self { redists, memory, vpes, .. } = self;
        let redist = &mut redists[cpu];
        redist.vpendbaser = value & !(VALID | DIRTY | PENDING_LAST | DOORBELL);
        // GICv4.1: whoever sets it will be back, and wants neither the answer nor a doorbell.
        let returns = self.config.version == Version::V4_1 && value & PENDING_LAST != 0;
        if pending || returns {
            redist.vpendbaser |= PENDING_LAST;
        }
        redist.dirty = dirty_polls;
        redist.vconfigs.clear();
        let left = redist.resident.take();
        let vlpis = core::mem::take(&mut redist.vlpis);
        let Some(vpe) = left.and_then(|vpe| vpes.get_mut(&vpe)) else { return };
        for vintid in memory.bits(vpe.vpt, vpe.table_bytes(), 8192) {
            memory.set_bit(vpe.vpt, vintid, false);
        }
        for vintid in vlpis {
            memory.set_bit(vpe.vpt, vintid, true);
        }
        vpe.idai = idai;
        if idai && vpe.v41.is_none() {
            redists[cpu].vpendbaser |= IDAI;
        }
        if let Some(v41) = &mut vpe.v41 {
            v41.armed = value & DOORBELL != 0 && !pending && !returns;
        }
    }

    pub(super) fn write_vsgir(&mut self, cpu: usize, vpe: u16) {
        let busy_polls = self.config.dirty_polls;
        let number = cpu as u16;
        if self.redists[cpu].asking > 0 {
            self.violate(Violation::WriteWhileBusy { cpu: number, register: "GICR_VSGIR" });
        }
        match self.vpes.get(&vpe).map(|entry| entry.cpu) {
            Some(home) if home == cpu => {}
            Some(_) => {
                let vpe = VpeId::new(vpe);
                self.violate(Violation::AskedElsewhere { vpe, cpu: number });
            }
            None => {
                let vpe = VpeId::new(vpe);
                self.violate(Violation::NoSuchVpe { vpe, register: "GICR_VSGIR" });
            }
        }
        self.redists[cpu].asked = vpe;
        self.redists[cpu].asking = busy_polls;
    }

    /// GICv4.1: pending SGIs of the vPE that VSGIR named.
    pub(super) fn vsgipendr(&mut self, cpu: usize) -> Option<u32> {
        let redist = self.redists.get_mut(cpu)?;
        if redist.asking > 0 {
            redist.asking -= 1;
            // The wrong answer finds out who believes it.
            return Some(GICR_VSGIPENDR::Busy::SET.value | 0xffff);
        }
        let asked = redist.asked;
        let v41 = self.vpes.get(&asked).and_then(|vpe| vpe.v41.as_ref());
        let bits = v41
            .map_or(0, |v41| (0..).zip(v41.sgis).map(|(n, sgi)| u32::from(sgi.pending) << n).sum());
        self.config.virtual_sgis.then_some(bits)
    }
}
