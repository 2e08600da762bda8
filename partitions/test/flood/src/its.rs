// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Floods by way of the virtual ITS.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rt::dma::{Arena, Buffer};
use rt::interrupts::{self, IntId};
use rt::its::{self, Its, command};
use rt::machine::Event;
use rt::random::Random;
use rt::{Machine, cpu, figure, gic, smp, timer};

const DEVICE_BITS: u32 = 4;
const TABLE_BYTES: u64 = 0x1_0000;
/// Events that it looks after at most.
const EVENTS: usize = 16;
const PATIENCE_US: u64 = 2_000_000;

static TAKEN: AtomicU64 = AtomicU64::new(0);
static READY: AtomicBool = AtomicBool::new(false);
static STOP: AtomicBool = AtomicBool::new(false);

pub enum Failure {
    Missing(&'static str),
    Its(its::Stuck),
    Taken { taken: u64, wanted: u64 },
}

impl From<its::Stuck> for Failure {
    fn from(error: its::Stuck) -> Self {
        Failure::Its(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Missing(what) => write!(f, "there is no {what}"),
            Failure::Its(stuck) => write!(f, "the ITS is stuck: {stuck:x?}"),
            Failure::Taken { taken, wanted } => {
                write!(f, "{taken} interrupts came, not {wanted}")
            }
        }
    }
}

type Result<T = ()> = core::result::Result<T, Failure>;

struct Driver {
    its: Its,
    events: [Option<Event>; EVENTS],
}

impl Driver {
    /// All events mapped as planned to the collection of vPE 0, and enabled in the property table.
    fn new(machine: &'static Machine, arena: &mut Arena) -> Result<Self> {
        let its = Its::new(machine, arena).ok_or(Failure::Missing("ITS"))?;
        let mut driver = Self { its, events: [const { None }; EVENTS] };
        for (place, event) in driver.events.iter_mut().zip(machine.events()) {
            interrupts::set_handler(IntId::new(event.vintid), |_| {
                TAKEN.fetch_add(1, Ordering::AcqRel);
            });
            *place = Some(event);
        }
        if driver.count() == 0 {
            return Err(Failure::Missing("event"));
        }
        driver.its.run(command::mapc(0, 0, true))?;
        for n in 0..EVENTS {
            let Some(event) = driver.event(n) else { continue };
            let (device, id) = (event.device_id, event.event_id);
            driver.its.configure(event.vintid, 0xa0, true);
            // MAPD would take away what is mapped of the device already.
            let known = (0..n).filter_map(|n| driver.event(n)).any(|e| e.device_id == device);
            if !known {
                driver.its.run(command::mapd(device, DEVICE_BITS, driver.its.table(), true))?;
            }
            driver.its.run(command::mapti(device, id, event.vintid, 0))?;
        }
        cpu::enable_interrupts();
        Ok(driver)
    }

    fn event(&self, n: usize) -> Option<Event> {
        self.events.get(n).copied().flatten()
    }

    fn count(&self) -> u64 {
        self.events.iter().flatten().count() as u64
    }
}

fn arena(machine: &Machine) -> Result<Arena> {
    Arena::take(machine).ok_or(Failure::Missing("memory"))
}

/// The queue is full of INT all the time; the longest store to GITS_CWRITER is what one of them
/// took.
pub fn int(machine: &'static Machine) -> Result {
    let mut arena = arena(machine)?;
    let mut driver = Driver::new(machine, &mut arena)?;
    driver.its.enable_lpis(0, None).ok_or(Failure::Missing("redistributor"))?;
    let mut random = Random::new(machine.number("seed").unwrap_or(1));
    let (mut commands, mut longest, mut sum) = (0u64, 0, 0);
    let end = super::end(machine);
    while timer::now() < end {
        let pick = random.below(driver.count()) as usize;
        let Some(event) = driver.event(pick) else { continue };
        driver.its.give(command::int(event.device_id, event.event_id));
        let began = timer::now();
        driver.its.kick();
        let took = timer::now() - began;
        commands += 1;
        longest = longest.max(took);
        sum += took;
    }
    let settled = timer::now() + timer::microseconds(PATIENCE_US);
    while TAKEN.load(Ordering::Acquire) == 0 && timer::now() < settled {
        cpu::relax();
    }
    figure!("commands", commands);
    figure!("command-mean", sum / commands.max(1), "ticks");
    figure!("command-max", longest, "ticks");
    let taken = TAKEN.load(Ordering::Acquire);
    figure!("taken", taken);
    // One that is pending already is not pending twice.
    if taken != 0 && taken <= commands {
        Ok(())
    } else {
        Err(Failure::Taken { taken, wanted: commands })
    }
}

/// vPE 1 sleeps; an event of its becomes pending while it is disabled, and is enabled then.
pub fn enable(machine: &'static Machine) -> Result {
    let mut arena = arena(machine)?;
    let mut driver = Driver::new(machine, &mut arena)?;
    let event = driver.event(0).ok_or(Failure::Missing("event"))?;
    let (device, id) = (event.device_id, event.event_id);
    smp::start(1, sleeper).map_err(|_| Failure::Missing("second vPE"))?;
    while !READY.load(Ordering::Acquire) {
        cpu::relax();
    }
    for vpe in 0..2 {
        driver.its.enable_lpis(vpe, None).ok_or(Failure::Missing("redistributor"))?;
    }
    driver.its.run(command::mapc(1, 1, true))?;
    driver.its.run(command::movi(device, id, 1))?;
    let times = machine.number("times").unwrap_or(30);
    for n in 1..=times {
        driver.its.configure(event.vintid, 0xa0, false);
        driver.its.run(command::inv(device, id))?;
        driver.its.run(command::int(device, id))?;
        // Long enough for it to have looked, and to sleep again.
        timer::sleep(machine.number("gap-us").unwrap_or(200));
        driver.its.configure(event.vintid, 0xa0, true);
        match n % 3 {
            0 => driver.its.run(command::inv(device, id))?,
            1 => driver.its.run(command::invall(1))?,
            _ => {
                // While its collection is nowhere, the event is disabled.
                driver.its.run(command::mapc(1, 0, false))?;
                timer::sleep(machine.number("gap-us").unwrap_or(200));
                driver.its.run(command::mapc(1, 1, true))?;
            }
        }
        let deadline = timer::now() + timer::microseconds(PATIENCE_US);
        while TAKEN.load(Ordering::Acquire) < n {
            if timer::now() > deadline {
                return Err(Failure::Taken { taken: TAKEN.load(Ordering::Acquire), wanted: n });
            }
            cpu::relax();
        }
    }
    STOP.store(true, Ordering::Release);
    interrupts::send(0, 1);
    let taken = TAKEN.load(Ordering::Acquire);
    figure!("taken", taken);
    if taken == times { Ok(()) } else { Err(Failure::Taken { taken, wanted: times }) }
}

fn sleeper() {
    interrupts::enable(IntId::new(0));
    cpu::enable_interrupts();
    READY.store(true, Ordering::Release);
    cpu::wait_until(|| STOP.load(Ordering::Acquire));
}

/// Every bit of the pending table arrives, each time.
pub fn pending(machine: &'static Machine) -> Result {
    let mut arena = arena(machine)?;
    let driver = Driver::new(machine, &mut arena)?;
    let table = arena.allocate(2 * TABLE_BYTES).ok_or(Failure::Missing("memory"))?;
    let (_, redistributors) = gic::frames(machine).ok_or(Failure::Missing("redistributor"))?;
    let mut wanted = 0;
    for _ in 0..machine.number("times").unwrap_or(4) {
        // GICR_CTLR of vPE 0.
        redistributors.write32(0, 0);
        for event in driver.events.iter().flatten() {
            set(&table, event.vintid);
        }
        driver.its.enable_lpis(0, Some(&table)).ok_or(Failure::Missing("redistributor"))?;
        wanted += driver.count();
        let deadline = timer::now() + timer::microseconds(PATIENCE_US);
        while TAKEN.load(Ordering::Acquire) < wanted && timer::now() < deadline {
            cpu::relax();
        }
    }
    let taken = TAKEN.load(Ordering::Acquire);
    figure!("pending", wanted);
    figure!("taken", taken);
    if taken == wanted { Ok(()) } else { Err(Failure::Taken { taken, wanted }) }
}

/// The bit of an INTID in a pending table.
fn set(table: &Buffer, intid: u32) {
    let skew = table.address().next_multiple_of(TABLE_BYTES) - table.address();
    let word = skew + u64::from(intid / 32 * 4);
    table.write32(word, table.read32(word) | 1 << (intid % 32));
}
