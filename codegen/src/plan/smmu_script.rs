// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What EL2 does to an SMMU, written down while its driver does it to a software SMMU.
//!
//! The driver is EL2's own (the crate `smmu`), with the plan's tables, so that the scripts are what
//! boot and VMs' starts and stops do. Two things depend on the hardware: SMMU_CR0.ATSCHK is set
//! where SMMU_IDR0 has ATS, and global errors of an earlier user are acknowledged.

use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;

use smmu::command::{Command, Encoded};
use smmu::model::{Config, ModelCommands, ModelFrame, ModelTable, Smmu as Model};
use smmu::regs;
use smmu::ste::Stage2;
use smmu::stream::Streams;
use smmu::table::{Leaf, Shape, StreamTable};
use smmu::unit::{Ring, Setup, Unit};
use smmu::{CommandMemory, Frame, StreamId, StreamMemory, Vmid};

use ::plan::{Hex, Master, Pa, Smmu, SmmuScript, SmmuStep};

/// The software SMMU follows at once.
const POLLS: u32 = 8;

/// Takes each step down, and passes it on.
#[derive(Clone)]
struct Recorded<T> {
    inner: T,
    steps: Rc<RefCell<Vec<SmmuStep>>>,
}

impl<T> Recorded<T> {
    fn new(inner: T, steps: &Rc<RefCell<Vec<SmmuStep>>>) -> Self {
        Self { inner, steps: Rc::clone(steps) }
    }

    fn step(&self, step: SmmuStep) {
        self.steps.borrow_mut().push(step);
    }

    fn register(&self, offset: usize, value: u64, bytes: u8) {
        // A command is posted by its place in the queue.
        let posted = matches!(self.steps.borrow().last(), Some(SmmuStep::Command { .. }));
        if offset != regs::CMDQ_PROD || !posted {
            let name = regs::name(offset).unwrap_or_default().to_owned();
            let offset = Hex(offset as u64);
            self.step(SmmuStep::Register { name, offset, value: Hex(value), bytes });
        }
    }
}

impl Frame for Recorded<ModelFrame> {
    fn read32(&self, offset: usize) -> u32 {
        self.inner.read32(offset)
    }
    fn read64(&self, offset: usize) -> u64 {
        self.inner.read64(offset)
    }
    fn write32(&self, offset: usize, value: u32) {
        self.register(offset, value.into(), 4);
        self.inner.write32(offset, value);
    }
    fn write64(&self, offset: usize, value: u64) {
        self.register(offset, value, 8);
        self.inner.write64(offset, value);
    }
}

impl CommandMemory for Recorded<ModelCommands> {
    fn store(&mut self, slot: u32, command: &Encoded) {
        let text = Command::decode(*command).map_or_else(|no| no.to_string(), |it| it.to_string());
        self.step(SmmuStep::Command { text, words: command.map(Hex) });
        self.inner.store(slot, command);
    }
    fn publish(&mut self) {
        self.inner.publish();
    }
}

impl StreamMemory for Recorded<ModelTable> {
    fn store(&mut self, address: u64, value: u64) {
        self.step(SmmuStep::Entry { address: Pa::new(address), value: Hex(value) });
        self.inner.store(address, value);
    }
    fn publish(&mut self) {
        self.inner.publish();
    }
}

/// The scripts of an SMMU and of the devices that it holds.
pub fn scripts<'a>(
    own: &Smmu,
    masters: impl Iterator<Item = &'a Master>,
) -> Result<Vec<SmmuScript>, Box<dyn Error>> {
    let model = Model::new(Config {
        coherent: own.coherent,
        two_level: own.split.is_some(),
        gerror: 0,
        ack_polls: 0,
        command_polls: 0,
        ..Config::STRICT
    });
    let steps = Rc::<RefCell<Vec<SmmuStep>>>::default();
    let script =
        |when: String| SmmuScript { when, steps: std::mem::take(&mut *steps.borrow_mut()) };
    let mut all = Vec::new();

    let leaf = |leaf: &::plan::Leaf| Leaf {
        index: leaf.index,
        bits: leaf.bits,
        address: leaf.table.base.value(),
    };
    let leaves: Vec<Leaf> = own.leaves.iter().map(leaf).collect();
    let shape = match own.split {
        None => Shape::linear(own.table_bits)?,
        Some(split) => Shape::two_level(own.table_bits, split)?,
    };
    let table = StreamTable::new(own.table.base.value(), shape, &leaves)?;
    // They come with the image.
    for (address, descriptor) in table.descriptors() {
        model.write(address, descriptor);
    }
    let commands = Ring::commands(own.commands.base.value(), own.command_bits)?;
    let events = Ring::events(own.events.base.value(), own.event_bits)?;

    let unit = Unit::new(Recorded::new(model.frame(), &steps));
    unit.abort_all(POLLS)?;
    let setup = Setup { table, commands, events, coherent: own.coherent };
    let queue = unit.enable(&setup, Recorded::new(model.commands(commands), &steps), POLLS)?;
    all.push(script("boot".to_owned()));

    let mut streams = Streams::new(table, Recorded::new(model.table(), &steps), queue);
    for master in masters {
        let stage2 = Stage2::from_registers(master.vttbr.0, master.vtcr.0)?;
        for &id in &master.streams {
            streams.attach(StreamId::new(id), &stage2)?;
        }
        all.push(script(format!("{} starts", master.name)));
        let ids = master.streams.iter().map(|&id| StreamId::new(id));
        streams.detach(ids, Vmid::new((master.vttbr.0 >> 48) as u16))?;
        all.push(script(format!("{} stops", master.name)));
    }
    Ok(all)
}
