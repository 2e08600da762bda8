// SPDX-License-Identifier: Apache-2.0 OR MIT
//! MSI-X, with an NVMe disk: each block that is read sends its queue's message.

use nvme::{Controller, Queue};
use rt::dma::{Arena, Buffer};
use rt::machine::Event;
use rt::mmio::Registers;
use rt::pci::{Function, Msix};
use rt::{Machine, timer};

use crate::{Forger, PATIENCE_US};

/// Words of an entry.
const ENTRY: u64 = 16;
const UPPER: u64 = 4;
const DATA: u64 = 8;
const CONTROL: u64 = 12;
const MASKED: u32 = 1;
const RANDOM: u64 = 400;

struct Disk {
    controller: Controller,
    queue: Queue,
    buffer: Buffer,
    msix: Msix,
    vector: u64,
}

impl Disk {
    fn table(&self) -> &Registers {
        self.msix.table()
    }

    fn address(&self) -> u64 {
        let entry = self.vector * ENTRY;
        let upper = u64::from(self.table().read32(entry + UPPER));
        upper << 32 | u64::from(self.table().read32(entry))
    }

    fn is_masked(&self) -> bool {
        self.table().read32(self.vector * ENTRY + CONTROL) & MASKED != 0
    }

    /// Reads a block, which makes the queue's vector interrupt. False: no answer.
    fn read(&mut self) -> bool {
        let command = self.controller.read(0, &self.buffer);
        if self.controller.submit(&mut self.queue, command).is_none() {
            return false;
        }
        let end = timer::now() + timer::microseconds(PATIENCE_US);
        while timer::now() < end {
            if self.controller.take(&mut self.queue).is_some() {
                self.controller.settle();
                return true;
            }
        }
        false
    }
}

pub fn run(machine: &Machine, event: &Event, arena: &mut Arena, forger: &mut Forger) -> Option<()> {
    let mut controller = Controller::new(machine, arena, event, 1).ok()?;
    let queue = controller.create_queue(arena, event).ok()?;
    let function = Function::at(machine, event.function?)?;
    let msix = function.enable_msix()?;
    let buffer = arena.allocate(controller.block_bytes)?;
    let vector = event.event_id.into();
    let mut disk = Disk { controller, queue, buffer, msix, vector };
    let (number, translater) = (event.event_id, forger.translater);
    let entry = vector * ENTRY;
    for n in 0..forger.targets() {
        let target = forger.target(n);
        disk.msix.set(vector, target, number);
        check(&mut disk, forger, "a vector unmasked");
        disk.msix.set(vector, translater, number);
        disk.table().write32(entry, target as u32);
        check(&mut disk, forger, "a vector's address while it is not masked");
        disk.msix.set(vector, translater, number);
        disk.table().write64(entry, target);
        disk.table().write64(entry + DATA, number.into());
        check(&mut disk, forger, "a vector's address by pairs of words");
        disk.msix.set(vector, translater, number);
        disk.table().write32(entry + UPPER, 1 + target as u32);
        check(&mut disk, forger, "the upper half of a vector's address");
    }
    for data in [2, 3, 0xffff, u32::MAX] {
        disk.msix.mask(vector);
        disk.msix.set(vector, translater, data);
        if !disk.is_masked() {
            forger.hole("a vector is on for an event of nobody's");
        }
        disk.read();
    }
    for _ in 0..RANDOM {
        for _ in 0..8 {
            let at = forger.random.below(disk.msix.entries() * ENTRY) & !3;
            let value = match forger.random.below(4) {
                0 => translater,
                1 => forger.own.address(),
                2 => forger.random.below(4),
                _ => forger.random.draw(),
            };
            disk.table().write32(at, value as u32);
        }
        check(&mut disk, forger, "random words to the table");
    }
    disk.msix.mask(vector);
    disk.msix.set(vector, translater, number);
    if !forger.interrupts(|| _ = disk.read()) {
        forger.hole("MSI-X does not work any more");
    }
    Some(())
}

fn check(disk: &mut Disk, forger: &mut Forger, what: &str) {
    if !disk.read() {
        forger.hole("the disk does not answer any more");
    }
    forger.look(what);
    let address = disk.address();
    if address != 0 && address != forger.translater || !disk.is_masked() && address == 0 {
        forger.hole(what);
    }
}
