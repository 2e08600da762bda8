// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Drives the virtual ITS as an operating system would, with an NVMe disk behind it.
//!
//! 1. LPI tables, collections, MAPD, MAPTI of every event, enable and INV.
//! 2. `count=` (1000) reads, each of which waits for its interrupt: nothing but the physical GIC
//!    takes part.
//! 3. Masked by the property table and INV, a read's interrupt stays pending; unmasked, it arrives.
//! 4. INT and CLEAR; MOVI to the other vPE and back, also of a pending one.
//! 5. DISCARD: nothing comes any more, nor is anything pending when the event is mapped anew.
//!
//! With `mischief=` seconds it does none of this but what `mischief` says.
//!
//! With `unplanned=` it also maps that event of the disk, which the plan does not have, and waits
//! for ever.
//!
//! With `hang=` it disables the disk's event and waits for a read.
//!
//! Arguments: `offset=` is added to the planned vINTIDs (0: they are learned), `refused` expects
//! that such are refused. The counters say what all this cost; the scenario reads them.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod mischief;

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use nvme::{Controller, Queue};
use rt::dma::{Arena, Buffer};
use rt::hypercall::{Counter, counter};
use rt::interrupts::{self, IntId};
use rt::its::{self, Its, command};
use rt::machine::Event;
use rt::{Machine, Outcome, cpu, figure, println, smp, timer};

rt::entry!(main);

/// Events that the program uses: the admin queue's and one I/O queue's.
const EVENTS: usize = 2;
const IO: usize = 1;
const DEVICE_BITS: u32 = 4;
const PRIORITY: u8 = 0xa0;
const PATIENCE_US: u64 = 2_000_000;
/// How long to wait for an interrupt that must not come.
const QUIET_US: u64 = 2_000;

/// Interrupts of the I/O queue, by vPE.
static TAKEN: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
static READY: AtomicBool = AtomicBool::new(false);
static STOP: AtomicBool = AtomicBool::new(false);

enum Failure {
    Disk(nvme::Error),
    Its(its::Stuck),
    Missing(&'static str),
    Wrong { what: &'static str, taken: [u32; 2], wanted: [u32; 2] },
    Cost { what: &'static str, got: u64, wanted: u64 },
    Unexpected(u32),
}

impl From<nvme::Error> for Failure {
    fn from(error: nvme::Error) -> Self {
        Failure::Disk(error)
    }
}

impl From<its::Stuck> for Failure {
    fn from(error: its::Stuck) -> Self {
        Failure::Its(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Disk(error) => write!(f, "{error}"),
            Failure::Its(stuck) => write!(f, "the ITS is stuck: {stuck:x?}"),
            Failure::Missing(what) => write!(f, "there is no {what}"),
            Failure::Wrong { what, taken, wanted } => {
                write!(f, "{what}: taken {taken:?}, not {wanted:?}")
            }
            Failure::Cost { what, got, wanted } => write!(f, "{what}: {got}, not {wanted}"),
            Failure::Unexpected(count) => write!(f, "{count} interrupts without a handler"),
        }
    }
}

type Result<T = ()> = core::result::Result<T, Failure>;

fn main(machine: &'static Machine) -> Outcome {
    match machine.number("mischief") {
        Some(seconds) => mischief::run(machine, seconds).into(),
        None => run(machine).into(),
    }
}

fn run(machine: &'static Machine) -> Result {
    timer::init(machine);
    let mut arena = Arena::take(machine).ok_or(Failure::Missing("memory"))?;
    let offset = machine.number("offset").unwrap_or(0) as u32;
    let mut driver = Driver::new(machine, &mut arena, offset)?;
    if machine.argument("refused").is_some() {
        return refused(&mut driver);
    }
    if let Some(event) = machine.number("unplanned") {
        return unplanned(&mut driver, event as u32);
    }
    driver.set_up()?;
    let before = cost()?;
    println!("vLPIs from {} on; {before:?} so far", driver.intid(0));
    if offset == 0 {
        none(before)?;
    }
    let mut disk = Disk::new(machine, &mut arena, &driver)?;
    interrupts::set_handler(IntId::new(driver.intid(IO)), taken);
    interrupts::set_handler(IntId::new(driver.intid(0)), |_| ());
    cpu::enable_interrupts();

    if machine.argument("hang").is_some() {
        driver.enable(IO, false)?;
        println!("hangs: an event that is disabled");
        disk.reads(1)?;
    }
    let count = machine.number("count").unwrap_or(1000) as u32;
    let exits = counted(Counter::Exits)?;
    disk.reads(count)?;
    // The second question is an exit itself.
    let exits = counted(Counter::Exits)? - exits - 1;
    let after = cost()?;
    figure!("interrupts", count);
    figure!("interrupt-exits", exits);
    figure!("interrupt-commands", after.total() - before.total());
    cheap("commands of the physical ITS for reads", after.total() - before.total(), 0)?;
    println!("{count} reads, each by its interrupt");

    let mut expect = Expect([count, 0]);
    masked(&mut driver, &mut disk, &mut expect)?;
    rung(&mut driver, &mut expect)?;
    moved(&mut driver, &mut disk, &mut expect)?;
    discarded(&mut driver, &mut disk, &mut expect)?;
    let end = cost()?;
    println!("{end:?} in all");
    STOP.store(true, Ordering::Release);
    interrupts::send(0, 1);
    match interrupts::unexpected() {
        0 => Ok(()),
        count => Err(Failure::Unexpected(count)),
    }
}

/// The physical ITS was not told anything.
fn none(cost: Cost) -> Result {
    cheap("commands of the physical ITS", cost.total(), 0)
}

fn cheap(what: &'static str, got: u64, wanted: u64) -> Result {
    if got == wanted { Ok(()) } else { Err(Failure::Cost { what, got, wanted }) }
}

/// As a driver does that has more queues than the plan has events.
fn unplanned(driver: &mut Driver, event: u32) -> Result {
    driver.set_up()?;
    let device = driver.events[0].device_id;
    let intid = driver.intid(0) + event;
    driver.its.run(command::mapti(device, event, intid, 0))?;
    println!("waiting for event {event}");
    loop {
        cpu::wait_for_interrupt();
    }
}

/// With a fixed ITS and other vINTIDs, every MAPTI is refused and nothing happens.
fn refused(driver: &mut Driver) -> Result {
    driver.set_up()?;
    none(cost()?)?;
    let refused = counted(Counter::ItsRefused)?;
    // MAPTI and INV of each event.
    cheap("commands refused", refused, 2 * EVENTS as u64)?;
    println!("{refused} commands refused");
    STOP.store(true, Ordering::Release);
    interrupts::send(0, 1);
    Ok(())
}

/// Step 3.
fn masked(driver: &mut Driver, disk: &mut Disk, expect: &mut Expect) -> Result {
    driver.enable(IO, false)?;
    disk.read()?;
    expect.quiet("masked")?;
    driver.enable(IO, true)?;
    expect.one(0, "unmasked")?;
    println!("masked, rung, unmasked: arrived");
    Ok(())
}

/// Step 4, without the disk.
fn rung(driver: &mut Driver, expect: &mut Expect) -> Result {
    driver.command(command::int, IO)?;
    expect.one(0, "INT")?;
    driver.enable(IO, false)?;
    driver.command(command::int, IO)?;
    driver.command(command::clear, IO)?;
    driver.enable(IO, true)?;
    expect.quiet("CLEAR")?;
    println!("INT arrived, CLEAR took it away");
    Ok(())
}

fn moved(driver: &mut Driver, disk: &mut Disk, expect: &mut Expect) -> Result {
    driver.move_to(IO, 1)?;
    disk.read()?;
    expect.one(1, "MOVI")?;
    driver.enable(IO, false)?;
    disk.read()?;
    driver.move_to(IO, 0)?;
    driver.enable(IO, true)?;
    expect.one(0, "MOVI while pending")?;
    // The collection itself goes to the other vPE, and its events with it.
    driver.its.run(command::mapc(0, 1, true))?;
    disk.read()?;
    expect.one(1, "MAPC")?;
    driver.its.run(command::mapc(0, 0, true))?;
    disk.read()?;
    expect.one(0, "MAPC back")?;
    println!("moved to the other vPE and back");
    Ok(())
}

/// Step 5.
fn discarded(driver: &mut Driver, disk: &mut Disk, expect: &mut Expect) -> Result {
    driver.enable(IO, false)?;
    disk.read()?;
    driver.command(command::discard, IO)?;
    disk.read()?;
    driver.map(IO)?;
    driver.enable(IO, true)?;
    expect.quiet("DISCARD")?;
    disk.read()?;
    expect.one(0, "mapped anew")?;
    driver.its.run(command::mapd(driver.events[0].device_id, DEVICE_BITS, 0, false))?;
    disk.read()?;
    expect.quiet("MAPD without V")?;
    driver.map_device()?;
    driver.map(IO)?;
    driver.enable(IO, true)?;
    disk.read()?;
    expect.one(0, "device mapped anew")?;
    println!("discarded and mapped anew");
    Ok(())
}

/// What the virtual ITS made of the physical one.
#[derive(Clone, Copy, Debug)]
struct Cost {
    unmapped: u64,
    mapped: u64,
    moved: u64,
    configured: u64,
    set: u64,
}

impl Cost {
    fn total(&self) -> u64 {
        self.unmapped + self.mapped + self.moved + self.configured + self.set
    }
}

/// A counter of vPE 0.
fn counted(which: Counter) -> Result<u64> {
    counter(0, which).map_err(|_| Failure::Missing("counter"))
}

/// Of vPE 0, which gives all commands.
fn cost() -> Result<Cost> {
    Ok(Cost {
        unmapped: counted(Counter::ItsDiscarded)?,
        mapped: counted(Counter::ItsRemapped)?,
        moved: counted(Counter::ItsMoved)?,
        configured: counted(Counter::ItsConfigured)?,
        set: counted(Counter::ItsSet)?,
    })
}

/// Interrupts that are to have been taken, by vPE.
struct Expect([u32; 2]);

impl Expect {
    /// One more on a vPE.
    fn one(&mut self, vpe: usize, what: &'static str) -> Result {
        self.0[vpe] += 1;
        let deadline = timer::now() + timer::microseconds(PATIENCE_US);
        while counts() != self.0 && timer::now() < deadline {
            cpu::relax();
        }
        self.check(what)
    }

    /// None more.
    fn quiet(&self, what: &'static str) -> Result {
        timer::sleep(QUIET_US);
        self.check(what)
    }

    fn check(&self, what: &'static str) -> Result {
        match counts() {
            taken if taken == self.0 => Ok(()),
            taken => Err(Failure::Wrong { what, taken, wanted: self.0 }),
        }
    }
}

fn counts() -> [u32; 2] {
    [0, 1].map(|vpe| TAKEN[vpe].load(Ordering::Acquire))
}

fn taken(_: IntId) {
    if let Some(count) = TAKEN.get(cpu::vpe() as usize) {
        count.fetch_add(1, Ordering::Release);
    }
}

/// The other vPE only takes interrupts.
fn second() {
    READY.store(true, Ordering::Release);
    cpu::wait_until(|| STOP.load(Ordering::Acquire));
}

struct Driver {
    its: Its,
    events: [Event; EVENTS],
    offset: u32,
}

impl Driver {
    fn new(machine: &'static Machine, arena: &mut Arena, offset: u32) -> Result<Self> {
        let its = Its::new(machine, arena).ok_or(Failure::Missing("ITS"))?;
        let mut all = machine.events();
        let (Some(admin), Some(io)) = (all.next(), all.next()) else {
            return Err(Failure::Missing("event"));
        };
        interrupts::enable(IntId::new(0));
        smp::start(1, second).map_err(|_| Failure::Missing("second vPE"))?;
        while !READY.load(Ordering::Acquire) {
            cpu::relax();
        }
        for vpe in 0..2 {
            its.enable_lpis(vpe, None).ok_or(Failure::Missing("redistributor"))?;
        }
        Ok(Self { its, events: [admin, io], offset })
    }

    fn intid(&self, n: usize) -> u32 {
        self.events[n].vintid + self.offset
    }

    /// Step 1.
    fn set_up(&mut self) -> Result {
        for vpe in 0..2 {
            self.its.give(command::mapc(vpe, u32::from(vpe), true));
            self.its.give(command::sync(u32::from(vpe)));
            self.its.give(command::invall(vpe));
        }
        self.map_device()?;
        for n in 0..EVENTS {
            self.map(n)?;
            self.enable(n, true)?;
        }
        Ok(())
    }

    fn map_device(&mut self) -> Result {
        let table = self.its.table();
        let device = self.events[0].device_id;
        Ok(self.its.run(command::mapd(device, DEVICE_BITS, table, true))?)
    }

    fn map(&mut self, n: usize) -> Result {
        let (event, intid) = (self.events[n], self.intid(n));
        Ok(self.its.run(command::mapti(event.device_id, event.event_id, intid, 0))?)
    }

    fn enable(&mut self, n: usize, enabled: bool) -> Result {
        self.its.configure(self.intid(n), PRIORITY, enabled);
        self.command(command::inv, n)
    }

    fn move_to(&mut self, n: usize, vpe: u16) -> Result {
        let event = self.events[n];
        Ok(self.its.run(command::movi(event.device_id, event.event_id, vpe))?)
    }

    fn command(&mut self, make: fn(u32, u32) -> [u64; 4], n: usize) -> Result {
        let event = self.events[n];
        self.its.give(make(event.device_id, event.event_id));
        self.its.give(command::sync(0));
        Ok(self.its.sync()?)
    }
}

struct Disk {
    controller: Controller,
    queue: Queue,
    buffer: Buffer,
}

impl Disk {
    fn new(machine: &'static Machine, arena: &mut Arena, driver: &Driver) -> Result<Self> {
        let mut controller = Controller::new(machine, arena, &driver.events[IO], 1)?;
        let queue = controller.create_queue(arena, &driver.events[IO])?;
        let buffer = arena.allocate(4096).ok_or(nvme::Error::NoMemory)?;
        Ok(Self { controller, queue, buffer })
    }

    /// One block, whose interrupt has been sent when this returns.
    fn read(&mut self) -> Result {
        let command = self.controller.read(0, &self.buffer);
        self.controller.submit(&mut self.queue, command).ok_or(nvme::Error::Timeout)?;
        let deadline = timer::now() + timer::microseconds(PATIENCE_US);
        while !self.queue.ready() {
            if timer::now() > deadline {
                return Err(nvme::Error::Timeout.into());
            }
            cpu::relax();
        }
        self.controller.take(&mut self.queue).ok_or(nvme::Error::Timeout)?;
        self.controller.settle();
        Ok(())
    }

    /// Step 2.
    fn reads(&mut self, count: u32) -> Result {
        for n in 1..=count {
            let command = self.controller.read(0, &self.buffer);
            self.controller.submit(&mut self.queue, command).ok_or(nvme::Error::Timeout)?;
            cpu::wait_until(|| TAKEN[0].load(Ordering::Acquire) >= n);
            self.controller.take(&mut self.queue).ok_or(nvme::Error::Timeout)?;
        }
        match counts() {
            taken if taken == [count, 0] => Ok(()),
            taken => Err(Failure::Wrong { what: "reads", taken, wanted: [count, 0] }),
        }
    }
}
