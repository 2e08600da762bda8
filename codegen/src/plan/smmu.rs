//! The SMMU: its stream table and queues, and what each function behind it reaches.
//!
//! A VM's devices have a stage 2 of their own beside the CPUs': its memory and channels, and the
//! ITS's translation page, which no CPU may write (the ITS would take that for another device's
//! message). They reach no device registers.

use smmu::StreamId;
use smmu::table::Shape;

use super::decided::{Function, Hex, Smmu, Stream};
use super::make::Maker;
use super::own::Placed;
use super::tables::{Id, Tables};
use crate::emit::stage2::{self, Access, Stage2};
use crate::emit::translation::{Refused, Tree};
use crate::model::{self, MemoryRole, System};

/// 64 commands: a VM with many functions uses the ring several times at a start.
const COMMAND_BITS: u8 = 6;
/// 128 records wait for EL2; more are counted as lost.
const EVENT_BITS: u8 = 7;
/// A translation frame follows its ITS's control frame.
const TRANSLATION_FRAME: u64 = 64 << 10;
const PAGE: u64 = 4096;

/// A function behind an SMMU.
#[derive(Clone, Copy, Debug)]
struct Behind {
    smmu: usize,
    id: u32,
    function: usize,
    vm: usize,
}

/// Tables that an SMMU needs.
pub struct Asked {
    behind: Vec<Behind>,
    shape: Shape,
    table: Id,
    commands: Id,
    events: Id,
    /// By VM: its devices' stage 2.
    pub trees: Vec<(usize, Placed)>,
}

fn behind(system: &System, functions: &[Function]) -> Vec<Behind> {
    let board = &system.board;
    let all = functions.iter().enumerate().filter_map(|(n, function)| {
        let device = board.devices.iter().find(|device| device.name.value == function.name)?;
        let (smmu, id) = board.stream(device)?;
        Some(Behind { smmu, id, function: n, vm: function.vm })
    });
    all.collect()
}

/// The SMMU that EL2 drives.
pub fn used<'a>(system: &'a System, functions: &[Function]) -> Option<&'a model::Smmu> {
    let first = behind(system, functions).first().copied()?;
    system.board.smmus.get(first.smmu)
}

impl Maker<'_> {
    /// Asks for the SMMU's tables, if a device of some VM is behind one.
    pub fn ask_smmu(&self, tables: &mut Tables) -> Result<Option<Asked>, (usize, Refused)> {
        let behind = behind(self.system, &self.windows.functions);
        let Some(highest) = behind.iter().map(|one| one.id).max() else { return Ok(None) };
        let shape = Shape::smallest(StreamId::new(highest));
        let shape = Shape::linear(shape.bits()).unwrap_or(shape);
        let mut trees = Vec::new();
        for (vm, owner) in self.system.vms.iter().enumerate() {
            if behind.iter().any(|one| one.vm == vm) {
                let tree = self.device_stage2(vm).map_err(|refused| (vm, refused))?;
                let what = format!("stage-2 tables of {}'s devices", owner.name.value);
                trees.push((vm, Placed::ask(&what, tree, tables)));
            }
        }
        let (commands, events) = (16 << COMMAND_BITS, 32 << EVENT_BITS);
        Ok(Some(Asked {
            behind,
            shape,
            table: tables.zeros("stream table", shape.bytes(), shape.align()),
            commands: tables.zeros("SMMU command queue", commands, commands),
            events: tables.zeros("SMMU event queue", events, events),
            trees,
        }))
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
            space.map(piece.ipa.0, piece.pa.0, piece.bytes, access)?;
        }
        for end in self.channel_ends().filter(|end| end.vm == vm) {
            let access = match end.writable {
                true => Access::SharedReadWrite,
                false => Access::SharedReadOnly,
            };
            space.map(end.ipa.0, end.pa.0, end.bytes, access)?;
        }
        if let Some(its) = &self.system.board.gic.its {
            let page = its.region.start() + TRANSLATION_FRAME;
            space.map(page, page, PAGE, Access::Messages)?;
        }
        Ok(space.tree)
    }

    /// The SMMU, its tables placed.
    pub fn made_smmu(&self, asked: &Asked, tables: &Tables) -> Option<Smmu> {
        let smmu = used(self.system, &self.windows.functions)?;
        let streams = asked.behind.iter().filter_map(|one| {
            let (_, tree) = asked.trees.iter().find(|tree| tree.0 == one.vm)?;
            let stage2 = tree.stage2(tables, self.system);
            Some(Stream {
                id: one.id,
                function: one.function,
                vttbr: Hex(stage2::vttbr(one.vm as u16 + 1, stage2.root)),
                vtcr: Hex(stage2.vtcr),
            })
        });
        Some(Smmu {
            name: smmu.name.value.clone(),
            base: Hex(smmu.region.start()),
            event_intid: smmu.event_intid.value,
            error_intid: smmu.error_intid.value,
            table: tables.span(asked.table),
            table_bits: asked.shape.bits(),
            commands: tables.span(asked.commands),
            command_bits: COMMAND_BITS,
            events: tables.span(asked.events),
            event_bits: EVENT_BITS,
            streams: streams.collect(),
        })
    }
}
