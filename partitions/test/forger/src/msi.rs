// SPDX-License-Identifier: Apache-2.0 OR MIT
//! MSI, with QEMU's edu device: a store to RAISE sends its message at once.

use rt::machine::Event;
use rt::mmio::Registers;
use rt::pci::Function;
use rt::{Machine, cpu};

use crate::Forger;

const EDU_BYTES: u64 = 0x1000;
const EDU_STATUS: u64 = 0x24;
const EDU_RAISE: u64 = 0x60;
const EDU_ACKNOWLEDGE: u64 = 0x64;
/// The capability's registers; the edu device has a 64-bit address.
const CONTROL: u64 = 2;
const ADDRESS: u64 = 4;
const UPPER: u64 = 8;
const DATA: u64 = 12;
const BYTES: u64 = 16;
const ENABLE: u16 = 1;
const RANDOM: u64 = 2000;

struct Msi {
    device: Registers,
    capability: Registers,
}

impl Msi {
    /// Makes the device interrupt, and forgets that.
    fn raise(&self) {
        self.device.write32(EDU_RAISE, 1);
        // What the device wrote is there before its answer to a read.
        self.device.read32(EDU_STATUS);
        cpu::barrier();
        self.device.write32(EDU_ACKNOWLEDGE, 1);
    }

    fn set(&self, address: u64, data: u16) {
        self.capability.write32(ADDRESS, address as u32);
        self.capability.write32(UPPER, (address >> 32) as u32);
        self.capability.write16(DATA, data);
    }

    fn turn(&self, on: bool) {
        let control = self.capability.read16(CONTROL) & !ENABLE;
        self.capability.write16(CONTROL, control | u16::from(on));
    }

    fn is_on(&self) -> bool {
        self.capability.read16(CONTROL) & ENABLE != 0
    }

    fn address(&self) -> u64 {
        let upper = u64::from(self.capability.read32(UPPER));
        upper << 32 | u64::from(self.capability.read32(ADDRESS))
    }
}

pub fn run(machine: &Machine, event: &Event, forger: &mut Forger) -> Option<()> {
    let function = Function::at(machine, event.function?)?;
    let device = function.bar(0, EDU_BYTES)?;
    function.enable();
    let msi = Msi { device, capability: function.msi()? };
    for number in 0..forger.targets() {
        let target = forger.target(number);
        msi.set(target, event.event_id as u16);
        msi.turn(true);
        check(&msi, forger, "MSI turned on");
        // The other way round, and by halves of words.
        msi.set(forger.translater, event.event_id as u16);
        msi.turn(true);
        msi.capability.write32(ADDRESS, target as u32);
        check(&msi, forger, "MSI's address while it is on");
        msi.set(forger.translater, event.event_id as u16);
        msi.turn(true);
        msi.capability.write16(ADDRESS + 2, (target >> 16) as u16);
        msi.capability.write16(ADDRESS, target as u16);
        check(&msi, forger, "MSI's address by halves");
        msi.set(forger.translater, event.event_id as u16);
        msi.turn(true);
        msi.capability.write32(UPPER, 1 + target as u32);
        check(&msi, forger, "the upper half of MSI's address");
    }
    for data in [1, 2, 0x1ff, 0x8000, 0xffff] {
        msi.set(forger.translater, data);
        msi.turn(true);
        if msi.is_on() {
            forger.hole("MSI is on for an event of nobody's");
        }
        msi.raise();
    }
    for _ in 0..RANDOM {
        let at = forger.random.below(BYTES) & !3;
        let value = match forger.random.below(4) {
            0 => forger.translater,
            1 => forger.own.address(),
            2 => forger.random.below(8) << 16 | forger.random.below(4),
            _ => forger.random.draw(),
        };
        msi.capability.write32(at, value as u32);
        check(&msi, forger, "random words to MSI's registers");
    }
    msi.turn(false);
    msi.set(forger.translater, event.event_id as u16);
    msi.turn(true);
    if !msi.is_on() || !forger.interrupts(|| msi.raise()) {
        forger.hole("MSI does not work any more");
    }
    msi.turn(false);
    Some(())
}

fn check(msi: &Msi, forger: &mut Forger, what: &str) {
    msi.raise();
    forger.look(what);
    let address = msi.address();
    if address != 0 && address != forger.translater || msi.is_on() && address == 0 {
        forger.hole(what);
    }
}
