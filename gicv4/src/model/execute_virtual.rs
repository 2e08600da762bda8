// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Commands of GICv4, executed.

use super::late::LateVirtual;
use super::report::{Cause, Violation};
use super::state::{Sgi, State, Target, Vpe, VpeV41, read_configs};
use crate::command::{Command, SgiChange, Vpt};
use crate::intid::{DeviceId, EventId, IntId, RdBase, VpeId};
use std::vec::Vec;

impl State {
    pub(super) fn execute_virtual(&mut self, command: Command) -> Result<(), Cause> {
        match command {
            Command::Vmapp { vpe, mapping: Some(m) } => {
                self.vmapp(vpe, m.redistributor, m.vpt, None)
            }
            Command::Vmapp { vpe, mapping: None } => self.unmap_vpe(vpe),
            Command::VmappV41 { vpe, allocate, mapping } => {
                if allocate != (self.vpes.contains_key(&vpe.value()) == mapping.is_none()) {
                    self.violate(Violation::WrongAlloc { vpe });
                }
                let Some(m) = mapping else { return self.unmap_vpe(vpe) };
                self.check_doorbell(m.doorbell)?;
                if m.zeroed && !allocate {
                    self.violate(Violation::PendingTableNotFirst { vpe });
                }
                let v41 = VpeV41 {
                    config: m.config.address(),
                    bytes: read_configs(&self.memory, m.config.address(), m.vpt.intid_bits()),
                    doorbell: m.doorbell,
                    zeroed: m.zeroed,
                    armed: false,
                    sgis: [Sgi::UNKNOWN; 16],
                };
                self.vmapp(vpe, m.redistributor, m.vpt, Some(v41))
            }
            Command::Vmapti { device, event, vintid, vpe, doorbell } => {
                self.vmapti(device, event, vintid, vpe, doorbell)
            }
            Command::Vmapi { device, event, vpe, doorbell } => {
                self.vmapti(device, event, IntId::new(event.value()), vpe, doorbell)
            }
            Command::Vmovi { device, event, vpe, doorbell } => {
                self.vmovi(device, event, vpe, doorbell)
            }
            Command::Vmovp { vpe, redistributor, sequence, its_list } => {
                self.coordinated(vpe, sequence, its_list);
                self.vmovp(vpe, redistributor, None)
            }
            Command::VmovpV41 { vpe, redistributor, doorbell, sequence, its_list } => {
                self.coordinated(vpe, sequence, its_list);
                self.vmovp(vpe, redistributor, doorbell)
            }
            Command::Vinvall { vpe } => {
                self.mapped(vpe)?;
                self.later_virtual(vpe.value(), LateVirtual::Reload(None));
                Ok(())
            }
            Command::Vsync { vpe } => {
                self.mapped(vpe)?;
                self.vsync(vpe.value());
                Ok(())
            }
            Command::Vsgi { vpe, sgi, change } => self.vsgi(vpe, sgi, change),
            Command::Invdb { vpe } => {
                let entry = self.mapped(vpe)?;
                let (cpu, doorbell) =
                    (entry.cpu, entry.v41.as_ref().map_or(IntId::NONE, |v41| v41.doorbell));
                if doorbell != IntId::NONE {
                    self.invalidate_lpi(cpu, doorbell.value());
                }
                Ok(())
            }
            // The physical commands, which `execute` has taken.
            _ => Err(Cause::Unknown),
        }
    }

    fn mapped(&mut self, vpe: VpeId) -> Result<&mut Vpe, Cause> {
        if !self.vpe_in_range(vpe.value()) {
            return Err(Cause::VpeOutOfRange);
        }
        self.vpes.get_mut(&vpe.value()).ok_or(Cause::UnmappedVpe)
    }

    fn check_doorbell(&self, doorbell: IntId) -> Result<(), Cause> {
        if doorbell == IntId::NONE || self.lpi_in_range(doorbell.value()) {
            Ok(())
        } else {
            Err(Cause::DoorbellOutOfRange)
        }
    }

    fn is_resident_anywhere(&self, vpe: VpeId) -> bool {
        self.redists.iter().any(|redist| redist.resident == Some(vpe.value()))
    }

    fn vmapp(
        &mut self,
        vpe: VpeId,
        redistributor: RdBase,
        vpt: Vpt,
        v41: Option<VpeV41>,
    ) -> Result<(), Cause> {
        if !self.vpe_in_range(vpe.value()) {
            return Err(Cause::VpeOutOfRange);
        }
        let cpu = self.ready(redistributor)?;
        if vpt.intid_bits() < 14 || vpt.intid_bits() > self.config.intid_bits {
            return Err(Cause::VptSizeOutOfRange);
        }
        let (vpt, bits) = (vpt.address(), vpt.intid_bits());
        let entry = Vpe { cpu, vpt, bits, idai: false, late: Vec::new(), v41 };
        let must_be_zero = entry.v41.as_ref().is_none_or(|v41| v41.zeroed);
        if must_be_zero && self.memory.bits(entry.vpt, entry.table_bytes(), 0).next().is_some() {
            self.violate(Violation::PendingTableNotZero { vpe });
        }
        self.needs_vpe_table(cpu, vpe);
        if self.vpes.insert(vpe.value(), entry).is_some() {
            self.violate(Violation::VpeAlreadyMapped { vpe });
        }
        Ok(())
    }

    fn unmap_vpe(&mut self, vpe: VpeId) -> Result<(), Cause> {
        self.mapped(vpe)?;
        if self.is_resident_anywhere(vpe) {
            self.violate(Violation::VpeResident { vpe });
        }
        self.vpes.remove(&vpe.value());
        Ok(())
    }

    fn vmapti(
        &mut self,
        device: DeviceId,
        event: EventId,
        vintid: IntId,
        vpe: VpeId,
        doorbell: IntId,
    ) -> Result<(), Cause> {
        self.mappable(device, event)?;
        if !self.mapped(vpe)?.holds(vintid.value()) {
            return Err(Cause::IntIdOutOfRange);
        }
        self.check_doorbell(doorbell)?;
        if self.is_v41() && doorbell != IntId::NONE {
            self.violate(Violation::EventDoorbell { device, event, doorbell });
        }
        self.map_event(
            device,
            event,
            Some(Target::Virtual { vintid: vintid.value(), vpe: vpe.value(), doorbell }),
        );
        Ok(())
    }

    fn vmovi(
        &mut self,
        device: DeviceId,
        event: EventId,
        to: VpeId,
        new: Option<IntId>,
    ) -> Result<(), Cause> {
        let old @ Target::Virtual { vintid, doorbell, .. } = self.reachable(device, event)? else {
            return Err(Cause::UnmappedInterrupt);
        };
        if !self.mapped(to)?.holds(vintid) {
            return Err(Cause::IntIdOutOfRange);
        }
        let doorbell = new.unwrap_or(doorbell);
        self.check_doorbell(doorbell)?;
        if self.is_v41() && doorbell != IntId::NONE {
            self.violate(Violation::EventDoorbell { device, event, doorbell });
        }
        self.map_event(device, event, Some(Target::Virtual { vintid, vpe: to.value(), doorbell }));
        if let Target::Virtual { vpe: from, .. } = old {
            self.vsync(from);
        }
        if self.lower(old) { self.raise_virtual(to.value(), vintid, doorbell) } else { Ok(()) }
    }

    /// Where one VMOVP is not enough it goes to each ITS of its list, with the number that follows
    /// the last one's.
    fn coordinated(&mut self, vpe: VpeId, sequence: u16, its_list: u16) {
        if self.config.single_vmovp {
            return;
        }
        let next = self.its_sequence.wrapping_add(1);
        if its_list & self.its.list_bit() == 0 || sequence != next {
            self.violate(Violation::VmovpNotCoordinated { vpe });
        }
        self.its_sequence = sequence;
    }

    fn vmovp(
        &mut self,
        vpe: VpeId,
        redistributor: RdBase,
        doorbell: Option<IntId>,
    ) -> Result<(), Cause> {
        self.mapped(vpe)?;
        let cpu = self.ready(redistributor)?;
        if let Some(doorbell) = doorbell {
            self.check_doorbell(doorbell)?;
        }
        if self.is_resident_anywhere(vpe) {
            self.violate(Violation::VpeResident { vpe });
        }
        self.needs_vpe_table(cpu, vpe);
        self.later_virtual(vpe.value(), LateVirtual::Move(cpu));
        let entry = self.mapped(vpe)?;
        if let (Some(v41), Some(doorbell)) = (&mut entry.v41, doorbell) {
            v41.doorbell = doorbell;
        }
        Ok(())
    }

    /// Reads the configuration byte of one vLPI again, or all of a vPE's.
    pub(super) fn invalidate_virtual(&mut self, vpe: u16, vintid: Option<u32>) {
        let residence = self.residence(vpe);
        let Self { vpes, redists, memory, .. } = self;
        let (table, bytes) = match (vpes.get_mut(&vpe).and_then(|vpe| vpe.v41.as_mut()), residence)
        {
            (Some(v41), _) => (v41.config, &mut v41.bytes),
            (None, Some(cpu)) => {
                (redists[cpu].virtual_config_address(), &mut redists[cpu].vconfigs)
            }
            // GICv4.0 has no copy of a vPE that is not resident.
            (None, None) => return,
        };
        for (n, byte) in (0u32..).zip(bytes.iter_mut()) {
            if vintid.is_none_or(|vintid| vintid == n + 8192) {
                *byte = memory.read(table + u64::from(n));
            }
        }
        self.ring_default(vpe);
    }

    fn vsgi(&mut self, vpe: VpeId, sgi: u8, change: SgiChange) -> Result<(), Cause> {
        if !self.config.virtual_sgis {
            return Err(Cause::Unknown);
        }
        self.mapped(vpe)?.v41.as_ref().ok_or(Cause::Unknown)?;
        self.later_virtual(vpe.value(), LateVirtual::Sgi(sgi, change));
        Ok(())
    }

    /// Nothing promises a doorbell for an SGI that was pending before it was enabled.
    pub(super) fn change_sgi(&mut self, vpe: u16, sgi: u8, change: SgiChange) {
        let entry = self.vpes.get_mut(&vpe).and_then(|vpe| vpe.v41.as_mut());
        let Some(sgi) = entry.and_then(|v41| v41.sgis.get_mut(usize::from(sgi))) else { return };
        match change {
            SgiChange::Clear => sgi.pending = false,
            SgiChange::Configure { enabled, priority, group1 } => {
                sgi.enabled = enabled;
                sgi.priority = priority;
                sgi.group1 = group1;
            }
        }
    }

    /// GITS_SGIR: a virtual SGI becomes pending.
    pub(super) fn send_sgi(&mut self, vpe: u16, sgi: u8) {
        if let Some(v41) = self.vpes.get_mut(&vpe).and_then(|vpe| vpe.v41.as_mut()) {
            v41.sgis[usize::from(sgi)].pending = true;
            self.ring_default(vpe);
        } else {
            let vpe = VpeId::new(vpe);
            self.violate(Violation::NoSuchVpe { vpe, register: "GITS_SGIR" });
        }
    }
}
