// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Random commands and register writes, on both vPEs, then a reset and a look at what it left
//! behind.
//!
//! 1. vPE 0 fills the queue with commands, most of them nearly right, and moves GITS_CWRITER; now
//!    and then it turns the ITS off and on, writes random registers of it, of the redistributors
//!    and of the distributor.
//! 2. vPE 1, if there is one, writes the same registers at the same time, GITS_CWRITER most of all.
//! 3. After half of `mischief=` seconds and a thousand commands SYSTEM_RESET, and the same with
//!    another seed. Then SYSTEM_RESET again: the third life only maps its event as planned and
//!    rings it, which must work as if nothing had been.
//!
//! Whether the neighbours noticed is theirs to say. Arguments: `seed=` (1).

use core::fmt;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rt::dma::Arena;
use rt::interrupts::{self, IntId};
use rt::its::{self, Its, command};
use rt::mmio::Registers;
use rt::random::Random;
use rt::{Machine, cpu, figure, gic, println, psci, smp, timer};

const CWRITER: u64 = 0x88;
const FRAME: u64 = 0x1_0000;
/// Attempts between looks at the clock.
const BATCH: u32 = 64;
/// Commands of one life at least, however slow the host is.
const COMMANDS: u64 = 1000;
/// Lives of mischief before the one that looks.
const LIVES: u64 = 2;
const PATIENCE_US: u64 = 2_000_000;

static SEED: AtomicU64 = AtomicU64::new(0);
static TAKEN: AtomicU32 = AtomicU32::new(0);

pub enum Failure {
    Missing(&'static str),
    Its(its::Stuck),
    /// After the resets the event came so often.
    Taken(u32),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Missing(what) => write!(f, "there is no {what}"),
            Failure::Its(stuck) => write!(f, "the ITS is stuck: {stuck:x?}"),
            Failure::Taken(count) => write!(f, "the event came {count} times, not once"),
        }
    }
}

pub fn run(machine: &'static Machine, seconds: u64) -> Result<(), Failure> {
    timer::init(machine);
    cpu::disable_interrupts();
    let began = timer::now();
    let mut arena = Arena::take(machine).ok_or(Failure::Missing("memory"))?;
    let lived = arena.allocate_kept(8).ok_or(Failure::Missing("memory"))?;
    let life = lived.read64(0);
    lived.write64(0, life + 1);
    let mut its = Its::new(machine, &mut arena).ok_or(Failure::Missing("ITS"))?;
    if life == LIVES {
        return look(machine, &mut its);
    }
    let seed = machine.number("seed").unwrap_or(1) ^ life << 32;
    println!("mischief from {} ms on, seed {seed:#x}", timer::nanoseconds(began) / 1_000_000);
    SEED.store(!seed, Ordering::Release);
    if machine.vpes() > 1 {
        smp::start(1, second).map_err(|_| Failure::Missing("second vPE"))?;
    }
    let until = began + seconds * timer::frequency() / LIVES;
    let mut random = Random::new(seed);
    let mut registers = Registry::of(machine)?;
    let least = if seconds == 0 { 0 } else { COMMANDS };
    let mut commands = 0u64;
    for vpe in 0..2 {
        its.enable_lpis(vpe, None);
    }
    while timer::now() < until || commands < least {
        for _ in 0..BATCH {
            match random.below(16) {
                0 => its.restart(),
                1..4 => registers.write(&mut random),
                4 => its.configure(8192 + random.below(4) as u32, random.draw() as u8, true),
                _ => {
                    let count = 1 + random.below(100);
                    (0..count).for_each(|_| its.give(any_command(machine, &mut random)));
                    commands += count;
                    its.kick();
                }
            }
        }
    }
    println!("{commands} commands, {} writes; resetting myself", registers.writes);
    psci::system_reset()
}

/// The last life: everything is as the plan has it.
fn look(machine: &'static Machine, its: &mut Its) -> Result<(), Failure> {
    let event = machine.events().next().ok_or(Failure::Missing("event"))?;
    interrupts::set_handler(IntId::new(event.vintid), |_| {
        TAKEN.fetch_add(1, Ordering::Release);
    });
    cpu::enable_interrupts();
    its.enable_lpis(0, None).ok_or(Failure::Missing("redistributor"))?;
    its.configure(event.vintid, 0xa0, true);
    let (device, id) = (event.device_id, event.event_id);
    its.give(command::mapc(0, 0, true));
    its.give(command::mapd(device, 2, its.table(), true));
    its.give(command::mapti(device, id, event.vintid, 0));
    its.give(command::inv(device, id));
    its.run(command::int(device, id)).map_err(Failure::Its)?;
    let deadline = timer::now() + timer::microseconds(PATIENCE_US);
    while TAKEN.load(Ordering::Acquire) == 0 && timer::now() < deadline {
        cpu::relax();
    }
    timer::sleep(2_000);
    figure!("unexpected", interrupts::unexpected());
    match TAKEN.load(Ordering::Acquire) {
        1 if interrupts::unexpected() == 0 => {
            println!("mapped and rung as if nothing had been");
            Ok(())
        }
        count => Err(Failure::Taken(count)),
    }
}

/// vPE 1, until the reset.
fn second() {
    let Some(mut registers) = Machine::get().and_then(|machine| Registry::of(machine).ok()) else {
        return;
    };
    let mut random = Random::new(SEED.load(Ordering::Acquire));
    loop {
        registers.write(&mut random);
    }
}

/// Everything with registers.
struct Registry {
    its: Registers,
    distributor: Registers,
    redistributors: Registers,
    redistributor_bytes: u64,
    writes: u64,
}

impl Registry {
    fn of(machine: &'static Machine) -> Result<Self, Failure> {
        let (distributor, redistributors) = gic::frames(machine).ok_or(Failure::Missing("GIC"))?;
        let its = its::frame(machine).ok_or(Failure::Missing("ITS"))?;
        let redistributor_bytes = u64::from(machine.vpes()) * 2 * FRAME;
        Ok(Self { its, distributor, redistributors, redistributor_bytes, writes: 0 })
    }

    fn write(&mut self, random: &mut Random) {
        self.writes += 1;
        let value = match random.below(4) {
            0 => random.draw(),
            1 => random.below(0x1000) & !31,
            2 => u64::MAX,
            _ => 0,
        };
        match random.below(8) {
            0..3 => self.its.write64(CWRITER, random.below(0x1000) & !31),
            3 => self.its.write64(random.below(0x30) * 8, value),
            4 => self.its.write32(random.below(FRAME / 4) * 4, value as u32),
            5 => {
                let frame = random.below(self.redistributor_bytes / FRAME) * FRAME;
                self.redistributors.write32(frame + random.below(0x40) * 4, value as u32);
            }
            6 => {
                let word = random.below(self.redistributor_bytes / 4);
                self.redistributors.write32(word * 4, value as u32);
            }
            _ => self.distributor.write32(random.below(0x300) * 4, value as u32),
        }
    }
}

/// Mostly of the own event, sometimes of anybody's, sometimes just words.
fn any_command(machine: &Machine, random: &mut Random) -> [u64; 4] {
    let own = machine.events().next().map_or(0, |event| event.device_id);
    let device = match random.below(8) {
        0 => random.below(64) as u32,
        1 => random.draw() as u32,
        _ => own,
    };
    let event = if random.below(8) == 0 { random.draw() as u32 } else { random.below(4) as u32 };
    let collection = if random.below(8) == 0 { random.draw() } else { random.below(3) } as u16;
    let vpe = if random.below(8) == 0 { random.draw() as u32 } else { random.below(3) as u32 };
    let intid = match random.below(8) {
        0 => random.draw() as u32,
        1 => 8192 + random.below(8192) as u32,
        _ => 8190 + random.below(6) as u32,
    };
    let valid = random.below(4) != 0;
    match random.below(16) {
        0 => command::mapd(device, 1 + random.below(32) as u32, 0x1000, valid),
        1 => command::mapd(own, 4, 0x1000, true),
        2 | 3 => command::mapc(collection, vpe, valid),
        4..7 => command::mapti(device, event, intid, collection),
        7 => command::movi(device, event, collection),
        8 => command::int(device, event),
        9 => command::clear(device, event),
        10 => command::inv(device, event),
        11 => command::discard(device, event),
        12 => command::invall(collection),
        13 => command::sync(vpe),
        _ => {
            let words = [0; 4].map(|_: u64| random.draw());
            [words[0] & !0xff | random.below(0x30), words[1], words[2], words[3]]
        }
    }
}
