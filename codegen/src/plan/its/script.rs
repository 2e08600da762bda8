// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The ITS's commands: at boot, and at a switch between modes. The order at boot:
//!
//! 1. MAPC of each CPU that takes doorbells;
//! 2. MAPD of `doorbells`, MAPTI of each doorbell;
//! 3. MAPD of `channels` and of each device with events;
//! 4. VMAPP of each reachable vPE, then VMAPTI of each event, with its vPE's doorbell;
//! 5. VINVALL and VSYNC of each vPE;
//! 6. INVALL and SYNC of each CPU.
//!
//! A switch has VMOVP and VSYNC of each vPE that moves, MOVI of its doorbell, SYNC of each CPU that
//! it leaves. What a command names is always mapped before it.
//!
//! Without direct injection (GICv3) each event is a physical LPI of its vPE's CPU, numbered by its
//! place in the plan: steps 2 and 5 fall away, step 4 is MAPTI of each event of a device, and a
//! switch moves those of a vPE by MOVI. Rings are EL2's own: the ITS does not know them.
//!
//! On GICv4.1 the GIC looks after doorbells itself, so that step 2 falls away, VMAPP of step 4
//! names the doorbell and the VM's configuration table, and INVDB follows each VINVALL. VSGI
//! disables each virtual SGI behind VMAPP, where guests may have them. A switch is VMOVP and VSYNC
//! of each vPE.

use std::collections::BTreeSet;

use gicv4::command::{Command, ConfigAddress, Itt, SgiChange, VpeMapping, VpeMappingV41, Vpt};
use gicv4::layout::LayoutError;
use gicv4::{CollectionId, DeviceId, EventId, IntId, RdBase, VpeId};

use super::{Maker, vms};
use crate::model::{self, quirk};
use crate::plan::interrupts::FIRST_LPI;
use ::plan::{Hex, ItsCommand, Move, VpeTables};

/// From RD_base to VLPI_base.
const VLPI_FRAME: u64 = 0x2_0000;

impl Maker<'_> {
    pub(super) fn redistributor(&self, cpu: usize) -> Result<RdBase, LayoutError> {
        let cpu = &self.system.board.cpus[cpu];
        match self.desc.rdbase {
            model::RdBase::ProcessorNumber => Ok(RdBase::processor(cpu.processor.value)),
            model::RdBase::Address => {
                let address = cpu.redistributor.value;
                RdBase::address(address).ok_or(LayoutError::AddressTooWide { address })
            }
        }
    }

    /// The same in VMAPP and VMOVP.
    fn virtual_redistributor(&self, cpu: usize) -> Result<RdBase, LayoutError> {
        if !self.system.board.gic.has(&quirk::HISILICON_161600802) {
            return self.redistributor(cpu);
        }
        let address = self.system.board.cpus[cpu].redistributor.value + VLPI_FRAME;
        RdBase::address(address).ok_or(LayoutError::AddressTooWide { address })
    }

    pub(super) fn script(&self, vpes: &[Option<VpeTables>]) -> Result<Vec<Command>, LayoutError> {
        let cpu_of = |vpe: usize| self.asked.homes[vpe][0];
        let collection = |cpu: usize| CollectionId::new(cpu as u16);
        let used: Vec<usize> = (0..self.system.board.cpus.len())
            .filter(|&cpu| self.asked.pending[cpu].is_some())
            .collect();
        let reachable = || vpes.iter().enumerate().filter_map(|(n, vpe)| Some((n, vpe.as_ref()?)));
        let mut script = Vec::new();
        for &cpu in &used {
            script.push(Command::Mapc {
                collection: collection(cpu),
                redistributor: Some(self.redistributor(cpu)?),
            });
        }
        for (device, _, bits, table) in &self.asked.devices {
            let address = self.tables.address(*table);
            let itt = Itt::new(address, *bits).ok_or(LayoutError::AddressTooWide { address })?;
            let device = DeviceId::new(*device);
            script.push(Command::Mapd { device, itt: Some(itt) });
            if device.value() == self.interrupts.doorbell_device && !self.asked.v41 {
                script.extend(reachable().map(|(vpe, tables)| Command::Mapti {
                    device,
                    event: EventId::new(tables.doorbell.event),
                    intid: IntId::new(tables.doorbell.intid),
                    collection: collection(cpu_of(vpe)),
                }));
            }
        }
        for (vpe, tables) in reachable() {
            script.push(self.vmapp(vpe, cpu_of(vpe), tables)?);
        }
        // Whatever VMAPP leaves there. What a guest enables is configured anew.
        let change = SgiChange::Configure { enabled: false, group1: true, priority: 0 };
        let sgis = |vpe| (0..16).map(move |sgi| Command::Vsgi { vpe, sgi, change });
        script.extend(self.virtual_sgis().flat_map(|vpe| sgis(VpeId::new(vpe as u16))));
        script.extend(self.interrupts.translated().iter().enumerate().map(|(n, event)| {
            if self.asked.listed {
                return Command::Mapti {
                    device: DeviceId::new(event.device),
                    event: EventId::new(event.event),
                    intid: IntId::new(FIRST_LPI + n as u32),
                    collection: collection(cpu_of(event.vpe.index())),
                };
            }
            Command::Vmapti {
                device: DeviceId::new(event.device),
                event: EventId::new(event.event),
                vintid: IntId::new(event.vintid),
                vpe: VpeId::new(event.vpe.value()),
                doorbell: vpes[event.vpe.index()]
                    .as_ref()
                    .filter(|_| !self.asked.v41)
                    .map_or(IntId::NONE, |tables| IntId::new(tables.doorbell.intid)),
            }
        }));
        for (vpe, _) in reachable() {
            let vpe = VpeId::new(vpe as u16);
            script.push(Command::Vinvall { vpe });
            script.extend(self.asked.v41.then_some(Command::Invdb { vpe }));
            script.push(Command::Vsync { vpe });
        }
        for &cpu in &used {
            script.push(Command::Invall { collection: collection(cpu) });
            script.push(Command::Sync { redistributor: self.redistributor(cpu)? });
        }
        Ok(script)
    }

    /// VMAPP of a vPE on `cpu`.
    fn vmapp(&self, vpe: usize, cpu: usize, tables: &VpeTables) -> Result<Command, LayoutError> {
        let bits = self.asked.vintid_bits;
        let address = tables.pending.value();
        let vpt = Vpt::new(address, bits).ok_or(LayoutError::AddressTooWide { address })?;
        let redistributor = self.virtual_redistributor(cpu)?;
        let id = VpeId::new(vpe as u16);
        if !self.asked.v41 {
            let mapping = Some(VpeMapping { redistributor, vpt });
            return Ok(Command::Vmapp { vpe: id, mapping });
        }
        let config = self.asked.vms[vms(self.system)[vpe]].map_or(0, |id| self.tables.address(id));
        let misaligned = LayoutError::Misaligned { address: config, align: 0x1_0000 };
        let config = ConfigAddress::new(config).ok_or(misaligned)?;
        let doorbell = IntId::new(tables.doorbell.intid);
        // Boot has cleared the pending table, and this is the vPE's first VMAPP.
        let mapping = VpeMappingV41 { redistributor, vpt, config, zeroed: true, doorbell };
        Ok(Command::VmappV41 { vpe: id, allocate: true, mapping: Some(mapping) })
    }

    /// The script of a switch. VMOVP before MOVI, so that a doorbell that rings in between is
    /// moved, too.
    pub(super) fn switch(
        &self,
        vpes: &[Option<VpeTables>],
        moves: &[Move],
    ) -> Result<Vec<Command>, LayoutError> {
        if self.asked.listed {
            return self.switch_listed(moves);
        }
        let moved =
            || moves.iter().filter_map(|step| Some((step, vpes[step.vpe.index()].as_ref()?)));
        let mut script = Vec::new();
        for (step, tables) in moved() {
            let vpe = VpeId::new(step.vpe.value());
            let redistributor = self.virtual_redistributor(step.to.index())?;
            let (sequence, its_list) = (0, 0);
            script.push(match self.asked.v41 {
                true => {
                    let doorbell = Some(IntId::new(tables.doorbell.intid));
                    Command::VmovpV41 { vpe, redistributor, sequence, its_list, doorbell }
                }
                false => Command::Vmovp { vpe, redistributor, sequence, its_list },
            });
        }
        if self.system.board.gic.has(&quirk::HISILICON_162100801) {
            script.extend(
                moved().map(|(step, _)| Command::Vinvall { vpe: VpeId::new(step.vpe.value()) }),
            );
        }
        script
            .extend(moved().map(|(step, _)| Command::Vsync { vpe: VpeId::new(step.vpe.value()) }));
        if self.asked.v41 {
            return Ok(script);
        }
        script.extend(moved().map(|(step, tables)| Command::Movi {
            device: DeviceId::new(tables.doorbell.device),
            event: EventId::new(tables.doorbell.event),
            collection: CollectionId::new(step.to.value()),
        }));
        let left: BTreeSet<usize> = moved().map(|(step, _)| step.from.index()).collect();
        for cpu in left {
            script.push(Command::Sync { redistributor: self.redistributor(cpu)? });
        }
        Ok(script)
    }
}

/// Without direct injection.
impl Maker<'_> {
    fn switch_listed(&self, moves: &[Move]) -> Result<Vec<Command>, LayoutError> {
        let mut script = Vec::new();
        let mut left = BTreeSet::new();
        for step in moves {
            let events = self.interrupts.translated().iter();
            for event in events.filter(|event| event.vpe == step.vpe) {
                script.push(Command::Movi {
                    device: DeviceId::new(event.device),
                    event: EventId::new(event.event),
                    collection: CollectionId::new(step.to.value()),
                });
                left.insert(step.from.index());
            }
        }
        for cpu in left {
            script.push(Command::Sync { redistributor: self.redistributor(cpu)? });
        }
        Ok(script)
    }
}

/// As the plan has them.
pub(super) fn lines(script: Vec<Command>) -> Vec<ItsCommand> {
    let line = |command: Command| ItsCommand {
        text: command.to_string(),
        words: command.encode().map(Hex),
    };
    script.into_iter().map(line).collect()
}
