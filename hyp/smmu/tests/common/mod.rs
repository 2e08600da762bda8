// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A board with one software SMMU: addresses, tables of two VMs, and the driver on it.
#![allow(dead_code, reason = "each suite uses what it needs")]

use smmu::event::Event;
use smmu::event_queue::{Drained, EventQueue};
use smmu::model::{Config, Dma, ModelCommands, ModelEvents, ModelFrame, ModelTable, Outcome, Smmu};
use smmu::ste::Stage2;
use smmu::stream::Streams;
use smmu::table::{Leaf, Shape, StreamTable};
use smmu::unit::{Ring, Setup, Unit};
use smmu::{Error, StreamId, Vmid};

pub const POLLS: u32 = 40;
pub const TABLE: u64 = 0x4000_0000;
pub const COMMANDS: u64 = 0x4010_0000;
pub const EVENTS: u64 = 0x4010_1000;
pub const COMMAND_BITS: u8 = 2;
pub const EVENT_BITS: u8 = 3;
/// 39-bit IPAs, 4 KiB, from level 1, 40-bit PAs: VTCR_EL2 as the EL2 image has it.
pub const VTCR: u64 = 0x8002_3559;
/// AF, readable and writable, normal memory.
pub const READ_WRITE: u64 = 0x7fc;
pub const READ_ONLY: u64 = 0x77c;

pub fn stream(id: u32) -> StreamId {
    StreamId::new(id)
}

pub fn write(id: u32, address: u64) -> Dma {
    Dma { stream: stream(id), address, write: true }
}

pub fn read(id: u32, address: u64) -> Dma {
    Dma { write: false, ..write(id, address) }
}

pub fn rings() -> (Ring, Ring) {
    let commands = Ring::commands(COMMANDS, COMMAND_BITS).unwrap();
    (commands, Ring::events(EVENTS, EVENT_BITS).unwrap())
}

/// StreamIDs 0 to 255 in one piece.
pub fn linear() -> StreamTable<'static> {
    StreamTable::linear(TABLE, Shape::linear(8).unwrap()).unwrap()
}

/// StreamIDs 0 to 63, and 0x140 to 0x17f.
pub fn two_level() -> StreamTable<'static> {
    static LEAVES: [Leaf; 2] = [
        Leaf { index: 0, bits: 6, address: TABLE + 0x1000 },
        Leaf { index: 5, bits: 6, address: TABLE + 0x2000 },
    ];
    StreamTable::new(TABLE, Shape::two_level(16, 6).unwrap(), &LEAVES).unwrap()
}

/// A VM's stage 2: a root, a level-2 and a level-3 table, for the 2 MiB at 0x4020_0000.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    pub vmid: u16,
    pub root: u64,
}

pub const WINDOW: u64 = 0x4020_0000;

impl Space {
    pub const fn new(vmid: u16) -> Self {
        Self { vmid, root: 0x5000_0000 + 0x1_0000 * vmid as u64 }
    }
    pub fn build(self, smmu: &Smmu) {
        smmu.write(self.root + 8 * (WINDOW >> 30), (self.root + 0x1000) | 3);
        smmu.write(self.root + 0x1000 + 8 * (WINDOW >> 21 & 511), (self.root + 0x2000) | 3);
    }
    /// A page of the window; `None` unmaps it. No invalidation.
    pub fn page(self, smmu: &Smmu, page: u64, to: Option<(u64, u64)>) {
        let descriptor = to.map_or(0, |(pa, attributes)| pa | attributes | 3);
        smmu.write(self.root + 0x2000 + 8 * page, descriptor);
    }
    pub fn stage2(self) -> Stage2 {
        Stage2::from_registers((self.vmid as u64) << 48 | self.root, VTCR).unwrap()
    }
    pub fn vmid(self) -> Vmid {
        Vmid::new(self.vmid)
    }
}

pub type Driver = Streams<'static, ModelFrame, ModelCommands, ModelTable>;

pub struct Board {
    pub smmu: Smmu,
    pub unit: Unit<ModelFrame>,
    pub streams: Driver,
    pub events: EventQueue<ModelFrame, ModelEvents>,
}

/// StreamIDs from here on have entries of zeros, where the table has any: recorded each time.
pub const STRANGE: u32 = 0x80;

/// Every descriptor is there, and every entry below [`STRANGE`] is abort.
pub fn write_table(smmu: &Smmu, table: StreamTable<'_>) {
    for (address, descriptor) in table.descriptors() {
        smmu.write(address, descriptor);
    }
    for id in 0..STRANGE {
        if let Some(entry) = table.entry(stream(id)) {
            for (n, word) in (0..).zip(smmu::ste::Ste::Abort.words()) {
                smmu.write(entry + 8 * n, word);
            }
        }
    }
}

impl Board {
    pub fn new(config: Config, table: StreamTable<'static>) -> Self {
        let smmu = Smmu::new(config);
        write_table(&smmu, table);
        let unit = Unit::new(smmu.frame());
        unit.abort_all(POLLS).unwrap();
        let (commands, events) = rings();
        let setup = Setup { table, commands, events, coherent: true };
        let queue = unit.enable(&setup, smmu.commands(commands), POLLS).unwrap();
        let streams = Streams::new(table, smmu.table(), queue);
        let events = EventQueue::new(smmu.frame(), smmu.events(events), EVENT_BITS);
        assert_eq!(smmu.take_violations(), []);
        Self { smmu, unit, streams, events }
    }

    pub fn drain(&mut self, limit: u32) -> (Vec<Event>, Drained) {
        let mut events = Vec::new();
        let drained = self.events.drain(limit, |event| events.push(event));
        (events, drained)
    }
    pub fn arrives(&self, dma: Dma) -> Option<u64> {
        match self.smmu.dma(dma) {
            Outcome::Translated(address) => Some(address),
            Outcome::Aborted => None,
            Outcome::Untranslated(address) => panic!("{dma:?} passed to {address:#x}"),
        }
    }
    pub fn attach(&mut self, id: u32, space: Space) -> Result<(), Error> {
        self.streams.attach(stream(id), &space.stage2())
    }
}
