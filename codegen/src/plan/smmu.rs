// SPDX-License-Identifier: Apache-2.0 OR MIT
//! SMMUs: their stream tables and queues, and what each device reaches.
//!
//! A VM's devices have a stage 2 of their own beside the CPUs': its memory and channels, and the
//! ITS's translation page, which no CPU may write (the ITS would take that for another device's
//! message). They reach no device registers. All SMMUs use the same one.

use smmu::StreamId;
use smmu::account::MOST;
use smmu::table::{BUS_BITS, Leaf, Shape, StreamTable};

use ::plan::{ClosedSmmu, CpuIndex, Hex, Master, Pa, Smmu, VmIndex};

use super::make::Maker;
use super::own::Placed;
use super::tables::{Id, Tables};
use crate::emit::stage2::{self, Access, Stage2};
use crate::emit::translation::{Refused, Tree};
use crate::model::{self, DmaFault, MemoryRole, System, Trigger};

/// 64 commands: a VM with many functions uses the ring several times at a start.
const COMMAND_BITS: u8 = 6;
/// 128 records wait for EL2; more are counted as lost.
const EVENT_BITS: u8 = 7;
/// A translation frame follows its ITS's control frame.
const TRANSLATION_FRAME: u64 = 64 << 10;
const PAGE: u64 = 4096;
/// VTCR_EL2's IRGN0, ORGN0 and SH0, all of the walk past caches, which counts as outer shareable.
const WALK: u64 = 0x3f << 8;
const OUTER: u64 = 2 << 12;

/// A VM's device that reaches memory by itself, or that is behind an SMMU.
#[derive(Clone, Debug)]
struct Behind<'a> {
    name: &'a str,
    vm: usize,
    /// The SMMU, as an index into the board's, and its StreamIDs. None: it reaches all memory.
    held: Option<(usize, Vec<u32>)>,
    /// The IOMMU that EL2 cannot drive.
    past: Option<String>,
}

/// Tables of SMMUs.
pub struct Asked {
    smmus: Vec<AskedSmmu>,
    /// By VM: its devices' stage 2.
    pub trees: Vec<(usize, Placed)>,
}

struct AskedSmmu {
    /// Index into the board's.
    number: usize,
    /// CPU of the first VM that has a device behind it, so that no other VM pays for its faults.
    cpu: usize,
    shape: Shape,
    table: Id,
    /// Index, bits and place of each leaf.
    leaves: Vec<(u32, u8, Id)>,
    commands: Id,
    events: Id,
}

/// In the order of VMs and their devices.
fn behind(system: &System) -> Vec<Behind<'_>> {
    let board = &system.board;
    let mut all = Vec::new();
    for (vm, owner) in system.vms.iter().enumerate() {
        for given in &owner.devices {
            let Some(device) = board.devices.get(given.device.value) else { continue };
            let held = board.streams(device);
            if device.dma || held.is_some() {
                let past = board.iommu(device);
                let past = past.map(|one| format!("{}, {}", one.name.value, one.kind.text()));
                all.push(Behind { name: &device.name.value, vm, held, past });
            }
        }
    }
    all
}

/// The SMMUs that EL2 drives, as indices into the board's.
pub fn used(system: &System) -> Vec<usize> {
    let all = behind(system);
    let used = |smmu: &usize| all.iter().any(|one| one.held.as_ref().is_some_and(|h| h.0 == *smmu));
    (0..system.board.smmus.len()).filter(used).collect()
}

/// The others, which abort everything.
pub fn closed(system: &System) -> Vec<ClosedSmmu> {
    let used = used(system);
    let others = system.board.smmus.iter().enumerate().filter(|(smmu, _)| !used.contains(smmu));
    let closed = |(_, smmu): (usize, &model::Smmu)| ClosedSmmu {
        name: smmu.name.value.clone(),
        base: Pa::new(smmu.region.start()),
    };
    others.map(closed).collect()
}

/// Leaves for these StreamIDs: the index and the bits of each, in order.
fn leaves(shape: Shape, streams: &[u32]) -> Vec<(u32, u8)> {
    let Some(split) = shape.split() else { return Vec::new() };
    let place = |&id: &u32| shape.leaf_and_entry(StreamId::new(id));
    let mut out: Vec<(u32, u8)> = Vec::new();
    let mut places: Vec<(u32, u32)> = streams.iter().filter_map(place).collect();
    places.sort_unstable();
    for (index, entry) in places {
        let bits = Leaf::bits_for(entry).min(split);
        match out.last_mut() {
            Some(last) if last.0 == index => last.1 = bits,
            _ => out.push((index, bits)),
        }
    }
    out
}

impl Maker<'_> {
    /// Asks for the tables of the SMMUs that VMs' devices are behind. None: there are none.
    pub fn ask_smmus(&self, tables: &mut Tables) -> Result<Option<Asked>, (usize, Refused)> {
        let behind = behind(self.system);
        let used = used(self.system);
        if used.is_empty() {
            return Ok(None);
        }
        let smmus = used.iter().map(|&number| self.ask_smmu(number, &behind, tables)).collect();
        let mut trees = Vec::new();
        for (vm, owner) in self.system.vms.iter().enumerate() {
            if behind.iter().any(|one| one.vm == vm && one.held.is_some()) {
                let tree = self.device_stage2(vm).map_err(|refused| (vm, refused))?;
                let what = format!("stage-2 tables of {}'s devices", owner.name.value);
                trees.push((vm, Placed::ask(&what, tree, tables)));
            }
        }
        Ok(Some(Asked { smmus, trees }))
    }

    fn ask_smmu(&self, number: usize, behind: &[Behind], tables: &mut Tables) -> AskedSmmu {
        let smmu = &self.system.board.smmus[number];
        let name = &smmu.name.value;
        let held = behind.iter().filter_map(|one| one.held.as_ref());
        let streams: Vec<u32> =
            held.filter(|held| held.0 == number).flat_map(|held| &held.1).copied().collect();
        // A whole bus at least, so that devices of nobody's there are told.
        let bus = (1 << smmu.stream_id_bits.value.min(BUS_BITS)) - 1;
        let highest = streams.iter().copied().max().unwrap_or(0).max(bus);
        let shape = Shape::smallest(StreamId::new(highest));
        let of = |one: &&Behind| one.held.as_ref().is_some_and(|held| held.0 == number);
        let first = behind.iter().find(of).and_then(|one| self.system.vms[one.vm].vpes.first());
        let cpu = first.map_or(0, |vpe| vpe.cpu.value);
        let shape = match smmu.two_level {
            true => shape,
            false => Shape::linear(shape.bits()).unwrap_or(shape),
        };
        let what = format!("stream table of {name}");
        let table = match shape.split() {
            None => tables.zeros(&what, shape.bytes(), shape.align()),
            Some(_) => tables.content(&what, shape.bytes(), shape.align()),
        };
        let leaves = leaves(shape, &streams).into_iter().map(|(index, bits)| {
            let bytes = Leaf { index, bits, address: 0 }.bytes();
            (index, bits, tables.zeros(format!("{what}, leaf {index:#x}"), bytes, bytes))
        });
        let leaves = leaves.collect();
        let (commands, events) = (16 << COMMAND_BITS, 32 << EVENT_BITS);
        AskedSmmu {
            number,
            cpu,
            shape,
            table,
            leaves,
            commands: tables.zeros(format!("command queue of {name}"), commands, commands),
            events: tables.zeros(format!("event queue of {name}"), events, events),
        }
    }

    /// What a VM's devices reach.
    fn device_stage2(&self, vm: usize) -> Result<Tree, Refused> {
        let bits = self.system.board.address_bits.value;
        let mut space = Stage2::new(self.guest_end(vm), bits);
        for piece in &self.placed.memory[vm] {
            let access = match piece.role {
                MemoryRole::Ram | MemoryRole::Hidden => Access::SharedReadWrite,
                MemoryRole::Rom | MemoryRole::Flash => Access::SharedReadOnly,
            };
            space.map(piece.ipa.value(), piece.pa.value(), piece.bytes, access)?;
        }
        for end in self.channel_ends().filter(|end| end.vm == VmIndex::at(vm)) {
            let access = match end.writable {
                true => Access::SharedReadWrite,
                false => Access::SharedReadOnly,
            };
            space.map(end.ipa.value(), end.pa.value(), end.bytes, access)?;
        }
        if let Some(its) = &self.system.board.gic.its {
            let page = its.region.start() + TRANSLATION_FRAME;
            space.map(page, page, PAGE, Access::Messages)?;
        }
        Ok(space.tree)
    }

    /// The SMMUs, their tables placed.
    pub fn made_smmus(&self, asked: &Asked, tables: &Tables) -> Vec<Smmu> {
        let mut first_leaf = 0;
        let mut made = |one: &AskedSmmu| {
            let smmu = &self.system.board.smmus[one.number];
            let leaf = |&(index, bits, id): &(u32, u8, Id)| ::plan::Leaf {
                index,
                bits,
                table: tables.span(id),
            };
            let leaf_count = one.leaves.len() as u16;
            first_leaf += leaf_count;
            Smmu {
                name: smmu.name.value.clone(),
                base: Pa::new(smmu.region.start()),
                event_intid: smmu.event_intid.value,
                error_intid: smmu.error_intid.value,
                edge: smmu.trigger == Trigger::Edge,
                cpu: CpuIndex::at(one.cpu),
                coherent: smmu.coherent,
                table: tables.span(one.table),
                table_bits: one.shape.bits(),
                split: one.shape.split(),
                first_leaf: first_leaf - leaf_count,
                leaf_count,
                leaves: one.leaves.iter().map(leaf).collect(),
                commands: tables.span(one.commands),
                command_bits: COMMAND_BITS,
                events: tables.span(one.events),
                event_bits: EVENT_BITS,
                scripts: Vec::new(),
            }
        };
        asked.smmus.iter().map(&mut made).collect()
    }

    /// Who reaches memory without the CPUs, those that no SMMU holds included.
    pub fn masters(&self, asked: Option<&Asked>, tables: &Tables) -> Vec<Master> {
        let made = |one: Behind| {
            let owner = &self.system.vms[one.vm];
            let held = one.held.zip(asked).and_then(|((number, streams), asked)| {
                let (_, tree) = asked.trees.iter().find(|tree| tree.0 == one.vm)?;
                let smmu = asked.smmus.iter().position(|smmu| smmu.number == number)?;
                let mut stage2 = tree.stage2(tables, self.system);
                if !self.system.board.smmus[number].coherent {
                    stage2.vtcr = stage2.vtcr & !WALK | OUTER;
                }
                Some((smmu as u8, streams, stage2))
            });
            let trusted = held.is_none();
            let (smmu, streams, stage2) = held.unwrap_or_default();
            Master {
                name: one.name.to_owned(),
                vm: VmIndex::at(one.vm),
                trusted,
                past: one.past,
                smmu,
                streams,
                on_fault: owner.on_dma_fault.as_ref().map_or(DmaFault::Record, |at| at.value),
                most_faults: owner.key(|vm| &vm.dma_faults).map_or(MOST, |at| at.value),
                vttbr: Hex(stage2::vttbr(one.vm as u16 + 1, stage2.root)),
                vtcr: Hex(stage2.vtcr),
            }
        };
        behind(self.system).into_iter().map(made).collect()
    }
}

/// The level-1 descriptors of a stream table of two levels; nothing of a linear one.
pub fn descriptors(asked: &Asked, tables: &Tables) -> Vec<(Id, Vec<u8>)> {
    let of = |one: &AskedSmmu| {
        one.shape.split()?;
        let leaf =
            |&(index, bits, id): &(u32, u8, Id)| Leaf { index, bits, address: tables.address(id) };
        let leaves: Vec<Leaf> = one.leaves.iter().map(leaf).collect();
        let base = tables.address(one.table);
        let table = StreamTable::new(base, one.shape, &leaves).ok()?;
        let mut bytes = vec![0; one.shape.bytes() as usize];
        for (place, descriptor) in table.descriptors() {
            let at = (place - base) as usize;
            bytes[at..at + 8].copy_from_slice(&descriptor.to_le_bytes());
        }
        Some((one.table, bytes))
    };
    asked.smmus.iter().filter_map(of).collect()
}
