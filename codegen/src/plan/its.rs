// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The ITS: its tables, the tables of CPUs and vPEs, and the script of commands that boot gives it.
//!
//! Tables are asked for first, because their addresses come with everybody else's; then the
//! register values and the scripts follow (IHI 0069, 5.2 and 5.3; `script`).
//!
//! Not supported: two-level tables, because no board so far has DeviceIDs that a flat table could
//! not hold.

mod script;

use std::time::Duration;

use gicv4::layout::{self, Attributes, LayoutError, PageSize, TableKind};
use gicv4::lpi::LpiConfig;
use gicv4::{VpeId, redist};

use super::interrupts::{FIRST_LPI, Interrupts};
use super::tables::{Id, Tables};
use crate::model::{self, ItsDesc, System};
use ::plan::{
    Doorbell, GicV41, Hex, ItsAllowance, ItsCommand, ItsDevice, ItsTable, Modes, Pa, Span,
    VpeTables,
};
use script::lines;

/// Priority of every LPI and vLPI at the start.
pub const PRIORITY: u8 = 0xa0;
/// Batches of commands that a VM may cause in a millisecond, if it does not say. A batch takes an
/// ITS about a microsecond, so that 16 VMs that use all of it leave it half of its time. Linux
/// causes about a dozen while it boots.
const ALLOWANCE: u32 = 32;

/// Tables of the ITS, with their names in the plan. Boot finds the GITS_BASERn of each.
const KINDS: [(TableKind, &str); 3] = [
    (TableKind::Devices, "devices"),
    (TableKind::Collections, "collections"),
    (TableKind::Vpes, "vPEs"),
];

/// Tables asked for, not yet placed.
#[derive(Debug)]
pub struct Asked {
    /// By `KINDS`: how many entries of how many bytes, and where.
    tables: Vec<(u32, u8, Id)>,
    queue: Id,
    pub lpi_config: Id,
    lpi_bits: u8,
    devices: Vec<(u32, String, u8, Id)>,
    /// Pending table of each CPU that takes LPIs.
    pending: Vec<Option<Id>>,
    /// Of each reachable vPE.
    vpts: Vec<Option<Id>>,
    /// Of each VM with vLPIs: its configuration table.
    vms: Vec<Option<Id>>,
    /// One width for all VMs: the GIC compares vLPIs of absent vPEs with what their CPU's
    /// GICR_VPROPBASER last said.
    vintid_bits: u8,
    /// CPU of each vPE in each mode.
    homes: Vec<Vec<usize>>,
    /// Events are physical LPIs, which EL2 puts into list registers.
    listed: bool,
    /// Commands and residency have GICv4.1's forms.
    v41: bool,
    /// GICv4.1: the vPE table of redistributors that do not have the ITS's.
    own_vpe_table: Option<(u32, u8, Id)>,
}

/// Register values and contents.
#[derive(Debug)]
pub struct Made {
    pub its: ::plan::Its,
    /// GICR_PROPBASER and GICR_PENDBASER of each CPU.
    pub cpus: Vec<(u64, u64)>,
    pub vpes: Vec<Option<VpeTables>>,
    /// Configuration table, its start, and vINTID bits, of each VM with vLPIs.
    pub vms: Vec<Option<(Span, Vec<u8>, u8)>>,
    /// The commands of each switch from one mode to another.
    pub switches: Vec<Vec<Vec<ItsCommand>>>,
}

/// VM of each vPE.
fn vms(system: &System) -> Vec<usize> {
    let vms = system.vms.iter().enumerate();
    vms.flat_map(|(n, vm)| std::iter::repeat_n(n, vm.vpes.len())).collect()
}

/// A flat table of pages of at least `least` bytes, and of larger ones where it must be.
fn flat(entries: u64, entry_bytes: u64, least: u64) -> Result<layout::Room, LayoutError> {
    let pages = [PageSize::Kib4, PageSize::Kib16, PageSize::Kib64];
    let mut result = Err(LayoutError::Empty);
    for page in pages.into_iter().filter(|page| page.bytes() >= least) {
        result = layout::flat_table(entries, entry_bytes, page);
        if result.is_ok() {
            break;
        }
    }
    result
}

/// Of a VM's vLPIs at the start.
pub fn priority(vm: &model::Vm) -> u8 {
    vm.key(|vm| &vm.event_priority).map_or(PRIORITY, |priority| priority.value)
}

/// What a VM may cause at the physical ITS.
pub fn allowance(vm: &model::Vm, timer: &model::Timer) -> ItsAllowance {
    let most = vm.key(|vm| &vm.its_allowance).map_or(ALLOWANCE, |allowance| allowance.value).max(1);
    let millisecond = timer.ticks(Duration::from_millis(1));
    ItsAllowance { most, interval: (millisecond / u64::from(most)).max(1) }
}

/// How the GIC accesses its tables.
fn attributes(system: &System) -> Attributes {
    if system.board.gic.coherent { Attributes::COHERENT } else { Attributes::UNCACHED }
}

/// Bits for numbers below `count`: at least 1.
fn bits_for(count: u32) -> u8 {
    (32 - count.saturating_sub(1).leading_zeros()).max(1) as u8
}

/// Asks for every table that interrupts need.
pub fn ask(
    system: &System,
    desc: &ItsDesc,
    interrupts: &Interrupts,
    homes: Vec<Vec<usize>>,
    tables: &mut Tables,
) -> Result<Asked, LayoutError> {
    let vpes = interrupts.reachable.len() as u32;
    let listed = !interrupts.direct;
    let v41 = system.board.gic.is_v41();
    let mut its_tables = Vec::new();
    for (kind, _) in KINDS.into_iter().filter(|(kind, _)| !listed || *kind != TableKind::Vpes) {
        let (name, entries, entry_size) = match kind {
            TableKind::Devices => {
                let own = if listed { 0 } else { 2 };
                ("ITS device table", interrupts.channel_device + own, &desc.device_entry_size)
            }
            TableKind::Collections => {
                let cpus = system.board.cpus.len() as u32;
                ("ITS collection table", cpus, &desc.collection_entry_size)
            }
            TableKind::Vpes => ("ITS vPE table", vpes, &desc.vpe_entry_size),
        };
        let room = flat(entries.into(), entry_size.value.into(), desc.table_page.value)?;
        its_tables.push((entries, entry_size.value, tables.zeros(name, room.bytes, room.align)));
    }
    let shares = desc.shared_vpe_table.as_ref().is_none_or(|shares| shares.value);
    let own_vpe_table = match v41 && !shares {
        true => {
            let entry_bytes = desc.vpe_entry_size.value;
            let room = flat(vpes.into(), entry_bytes.into(), desc.table_page.value)?;
            Some((
                vpes,
                entry_bytes,
                tables.zeros("vPE table of redistributors", room.bytes, room.align),
            ))
        }
        false => None,
    };
    let queue = layout::command_queue(1)?;
    let lpis = if listed { interrupts.translated().len() as u32 } else { vpes };
    let lpi_bits = layout::intid_bits_for(FIRST_LPI + lpis);
    let config = layout::lpi_config_table(lpi_bits)?;
    let mut asked = Asked {
        tables: its_tables,
        queue: tables.zeros("ITS command queue", queue.bytes, queue.align),
        lpi_config: tables.content("LPI configuration", config.bytes, 4096),
        lpi_bits,
        devices: Vec::new(),
        pending: vec![None; system.board.cpus.len()],
        vpts: vec![None; vpes as usize],
        vms: vec![None; system.vms.len()],
        vintid_bits: layout::intid_bits_for(
            (0..system.vms.len()).map(|vm| last_vintid(system, interrupts, vm)).max().unwrap_or(0),
        ),
        homes,
        listed,
        v41,
        own_vpe_table,
    };
    asked.ask_devices(desc, interrupts, tables)?;
    asked.ask_cpus_and_vpes(system, interrupts, tables)?;
    Ok(asked)
}

impl Asked {
    fn ask_devices(
        &mut self,
        desc: &ItsDesc,
        interrupts: &Interrupts,
        tables: &mut Tables,
    ) -> Result<(), LayoutError> {
        let doorbells = interrupts.reachable.len() as u32;
        let rings = interrupts.rings.iter().map(Vec::len).sum::<usize>() as u32;
        let mut devices = Vec::new();
        if !self.listed && !self.v41 {
            devices.push((interrupts.doorbell_device, "doorbells".to_owned(), doorbells));
        }
        if rings > 0 && !self.listed {
            devices.push((interrupts.channel_device, "channels".to_owned(), rings));
        }
        let real = interrupts.devices.iter();
        devices.extend(real.map(|(&id, (name, events))| (id, name.clone(), *events)));
        for (id, name, events) in devices {
            let bits = bits_for(events);
            let room = layout::itt(bits, u64::from(desc.entry_size.value))?;
            let table = tables.zeros(format!("ITT of {name}"), room.bytes, room.align);
            self.devices.push((id, name, bits, table));
        }
        Ok(())
    }

    fn ask_cpus_and_vpes(
        &mut self,
        system: &System,
        interrupts: &Interrupts,
        tables: &mut Tables,
    ) -> Result<(), LayoutError> {
        for (vpe, &vm) in vms(system).iter().enumerate() {
            if !interrupts.reachable[vpe] {
                continue;
            }
            let name = &system.vms[vm].name.value;
            let first = interrupts.first_vpe[vm];
            for &cpu in &self.homes[vpe] {
                if self.pending[cpu].is_some() {
                    continue;
                }
                let room = layout::pending_table(self.lpi_bits)?;
                let what = format!("LPI pending table of {}", system.board.cpus[cpu].name.value);
                self.pending[cpu] = Some(tables.zeros(what, room.bytes, room.align));
            }
            if self.listed {
                continue;
            }
            if self.vms[vm].is_none() {
                let room = match self.v41 {
                    true => layout::virtual_config_table_v41(self.vintid_bits)?,
                    false => layout::lpi_config_table(self.vintid_bits)?,
                };
                let what = format!("vLPI configuration of {name}");
                self.vms[vm] = Some(tables.zeros(what, room.bytes, room.align));
            }
            let room = layout::pending_table(self.vintid_bits)?;
            let what = format!("vLPI pending table of {name}/{}", vpe - first);
            self.vpts[vpe] = Some(tables.zeros(what, room.bytes, room.align));
        }
        Ok(())
    }
}

/// Highest vINTID of a VM.
fn last_vintid(system: &System, interrupts: &Interrupts, vm: usize) -> u32 {
    let first = interrupts.first_vpe[vm];
    let vpes = first..first + system.vms[vm].vpes.len();
    let own = interrupts.events.iter().filter(|event| vpes.contains(&event.vpe.index()));
    own.map(|event| event.vintid).max().unwrap_or(FIRST_LPI)
}

/// Register values, contents and script, once every table has its address.
pub fn make(
    system: &System,
    desc: &ItsDesc,
    interrupts: &Interrupts,
    asked: &Asked,
    tables: &Tables,
    modes: Option<&Modes>,
) -> Result<Made, LayoutError> {
    let maker = Maker { system, desc, interrupts, asked, tables };
    let its_tables = KINDS.into_iter().zip(&asked.tables);
    let its_tables = its_tables.map(|((kind, name), &(entries, entry_bytes, id))| ItsTable {
        name,
        kind: kind.field() as u8,
        memory: tables.span(id),
        entries,
        entry_bytes,
    });
    let queue = tables.span(asked.queue);
    let room = layout::Room { bytes: queue.bytes, align: 0x1_0000 };
    let vpes = maker.vpes()?;
    let lpi_config = tables.span(asked.lpi_config);
    // Doorbells begin masked: a vPE is off until somebody starts it, and whoever lets it go
    // unmasks. Events begin enabled, and so do GICv4.1's doorbells, which ring when a vPE asks.
    let mut start = vec![LpiConfig::new(PRIORITY, false).byte(); lpi_config.bytes as usize];
    if asked.listed {
        start[..interrupts.translated().len()].fill(LpiConfig::new(PRIORITY, true).byte());
    } else if asked.v41 {
        start[..vpes.len()].fill(LpiConfig::new(PRIORITY, true).byte());
    }
    let its = ::plan::Its {
        base: Pa::new(desc.region.start()),
        device_id_bits: desc.device_id_bits.value,
        event_id_bits: desc.event_id_bits.value,
        by_address: desc.rdbase == model::RdBase::Address,
        entry_bytes: desc.entry_size.value,
        moves: modes.is_some() && !asked.listed,
        collection_id_bits: bits_for(system.board.cpus.len() as u32),
        vintid_bits: asked.vintid_bits,
        v41: asked.v41.then(|| maker.v41()),
        tables: its_tables.collect(),
        cbaser: Hex(layout::cbaser(queue.base.value(), room, attributes(system))?),
        queue,
        lpi_config,
        lpi_config_start: start,
        devices: maker.devices(),
        script: lines(maker.script(&vpes)?),
    };
    let modes = modes.map_or(&[][..], |modes| &modes.modes);
    let switches = modes.iter().map(|mode| {
        let scripts = mode.switches.iter().map(|switch| maker.switch(&vpes, &switch.moves));
        scripts.map(|script| script.map(lines)).collect()
    });
    let switches = switches.collect::<Result<_, _>>()?;
    Ok(Made { its, cpus: maker.cpus()?, vpes, vms: maker.vms(), switches })
}

struct Maker<'a> {
    system: &'a System,
    desc: &'a ItsDesc,
    interrupts: &'a Interrupts,
    asked: &'a Asked,
    tables: &'a Tables,
}

impl Maker<'_> {
    /// vPEs of VMs that may have their SGIs from the GIC.
    fn virtual_sgis(&self) -> impl Iterator<Item = usize> {
        let vms = self.system.vms.iter().zip(&self.interrupts.first_vpe);
        let vms = vms.filter(|(vm, _)| self.system.board.gic.virtual_sgis() && vm.vpes.len() > 1);
        vms.flat_map(|(vm, first)| *first..first + vm.vpes.len())
    }

    fn v41(&self) -> GicV41 {
        let mpidrs =
            self.asked.homes.iter().flatten().map(|&cpu| self.system.board.cpus[cpu].mpidr.value);
        let first = self.asked.homes.iter().flatten().next();
        let first = first.map_or(0, |&cpu| self.system.board.cpus[cpu].mpidr.value);
        let gic = &self.system.board.gic;
        GicV41 {
            vpe_id_bits: bits_for(self.interrupts.reachable.len() as u32),
            common_affinity: mpidrs
                .map(|one| redist::common_affinity(first, one))
                .min()
                .unwrap_or(3),
            invalidates: gic.invalidation_registers.as_ref().is_none_or(|has| has.value),
            virtual_sgis: self.virtual_sgis().next().is_some(),
            vpe_table: self.asked.own_vpe_table.map(|(entries, entry_bytes, id)| ItsTable {
                name: "redistributors' vPEs",
                kind: TableKind::Vpes.field() as u8,
                memory: self.tables.span(id),
                entries,
                entry_bytes,
            }),
        }
    }

    fn devices(&self) -> Vec<ItsDevice> {
        let mut devices: Vec<ItsDevice> = self
            .asked
            .devices
            .iter()
            .map(|(device, name, event_bits, table)| ItsDevice {
                device: *device,
                name: name.clone(),
                event_bits: *event_bits,
                table: self.tables.span(*table),
            })
            .collect();
        devices.sort_by_key(|device| device.device);
        devices
    }

    fn cpus(&self) -> Result<Vec<(u64, u64)>, LayoutError> {
        let config = self.tables.address(self.asked.lpi_config);
        self.asked
            .pending
            .iter()
            .map(|pending| match pending {
                None => Ok((0, 0)),
                Some(id) => Ok((
                    layout::propbaser(config, self.asked.lpi_bits, attributes(self.system))?,
                    layout::pendbaser(self.tables.address(*id), true, attributes(self.system))?,
                )),
            })
            .collect()
    }

    fn vpes(&self) -> Result<Vec<Option<VpeTables>>, LayoutError> {
        let vm_of = vms(self.system);
        let mut out = Vec::new();
        for (vpe, vpt) in self.asked.vpts.iter().enumerate() {
            let bits = self.asked.vintid_bits;
            let (Some(vpt), Some(config)) = (vpt, self.asked.vms[vm_of[vpe]]) else {
                out.push(None);
                continue;
            };
            let pending = self.tables.address(*vpt);
            let config = self.tables.address(config);
            let (vpropbaser, vpendbaser) = match self.asked.v41 {
                true => (0, layout::vpendbaser_v41(VpeId::new(vpe as u16), false)),
                false => (
                    layout::vpropbaser(config, bits, attributes(self.system))?,
                    layout::vpendbaser(pending, attributes(self.system))?,
                ),
            };
            out.push(Some(VpeTables {
                vpropbaser: Hex(vpropbaser),
                vpendbaser: Hex(vpendbaser),
                pending: Pa::new(pending),
                doorbell: Doorbell {
                    intid: FIRST_LPI + vpe as u32,
                    device: self.interrupts.doorbell_device,
                    event: vpe as u32,
                },
            }));
        }
        Ok(out)
    }

    fn vms(&self) -> Vec<Option<(Span, Vec<u8>, u8)>> {
        let table = |(vm, asked): (usize, &Option<Id>)| {
            let bits = self.asked.vintid_bits;
            if self.asked.listed {
                return Some((Span { base: Pa::new(0), bytes: 0 }, Vec::new(), bits));
            }
            let id = (*asked)?;
            let last = last_vintid(self.system, self.interrupts, vm);
            let mut start = vec![0; (last - FIRST_LPI + 1) as usize];
            let first = self.interrupts.first_vpe[vm];
            let vpes = first..first + self.system.vms[vm].vpes.len();
            for event in &self.interrupts.events {
                if vpes.contains(&event.vpe.index()) {
                    let byte = &mut start[(event.vintid - FIRST_LPI) as usize];
                    *byte = LpiConfig::new(priority(&self.system.vms[vm]), true).byte();
                }
            }
            Some((self.tables.span(id), start, bits))
        };
        self.asked.vms.iter().enumerate().map(table).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_hold_every_number() {
        for (count, bits) in
            [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (65536, 16), (65537, 17)]
        {
            assert_eq!(bits_for(count), bits, "{count}");
        }
    }

    #[test]
    fn a_flat_table_takes_larger_pages_when_it_must() {
        let room = |bytes, align| Ok(layout::Room { bytes, align });
        assert_eq!(flat(18, 8, 0x1000), room(0x1000, 0x1000));
        assert_eq!(flat(18, 8, 0x1_0000), room(0x1_0000, 0x1_0000));
        assert_eq!(flat(1 << 18, 8, 0x1000), room(2 << 20, 0x4000));
        assert!(flat(1 << 24, 8, 0x1000).is_err());
    }
}
