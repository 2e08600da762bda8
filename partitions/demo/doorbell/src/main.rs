// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Wakes a sleeping vPE by a device's interrupt and counts the doorbells.
//!
//! vPE 0 drives an NVMe disk; two of its I/O queues interrupt vPE 1 (the system TOML routes events
//! 1 and 2 there). A vLPI for a vPE that is not resident cannot be delivered; the GIC rings that
//! vPE's doorbell instead, which only the hypervisor hears. In each round:
//!
//! 1. vPE 1 is awake: an interrupt arrives, the doorbell does not ring.
//! 2. vPE 1 is off by CPU_OFF: several interrupts of both queues ring it once; nothing is
//!    delivered. After CPU_ON both vLPIs are there, each once, since a pending vLPI is one bit.
//! 3. vPE 1 has powered itself down by CPU_SUSPEND: an interrupt rings once, the vPE starts where
//!    it asked to, and takes it.
//!
//! Argument: `rounds=` (3).
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod sleeper;

use core::fmt;

use nvme::{Controller, Error, Queue};
use rt::dma::{Arena, Buffer};
use rt::hypercall::{self, Counter, counter};
use rt::psci::{self, Power};
use rt::{Machine, Outcome, cpu, figure, interrupts, println, smp, timer};

use sleeper::{Request, SLEEPER};

rt::entry!(main);

const PAGE: u64 = 4096;
const QUEUES: usize = 2;
/// How long anything may take.
const PATIENCE_US: u64 = 5_000_000;
/// How long to wait for what must not come.
const QUIET_US: u64 = 5_000;

#[derive(Debug)]
enum Failure {
    Driver(Error),
    Psci(psci::Error),
    Hypercall(hypercall::Error),
    /// Something did not happen in time.
    Never(&'static str),
    Count {
        what: &'static str,
        got: u64,
        wanted: u64,
    },
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Driver(error)
    }
}

impl From<psci::Error> for Failure {
    fn from(error: psci::Error) -> Self {
        Failure::Psci(error)
    }
}

impl From<hypercall::Error> for Failure {
    fn from(error: hypercall::Error) -> Self {
        Failure::Hypercall(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Driver(error) => write!(f, "NVMe: {error}"),
            Failure::Psci(error) => write!(f, "{error}"),
            Failure::Hypercall(error) => write!(f, "{error}"),
            Failure::Never(what) => write!(f, "{what}"),
            Failure::Count { what, got, wanted } => write!(f, "{what}: {got}, not {wanted}"),
        }
    }
}

/// The disk and the two queues that interrupt vPE 1.
struct Disk {
    controller: Controller,
    queues: [Queue; QUEUES],
    page: Buffer,
}

fn main(machine: &'static Machine) -> Outcome {
    run(machine).into()
}

fn run(machine: &'static Machine) -> Result<(), Failure> {
    let rounds = machine.number("rounds").unwrap_or(3);
    timer::init(machine);
    cpu::enable_interrupts();
    let mut disk = Disk::new(machine)?;
    for round in 1..=rounds {
        smp::start(SLEEPER, sleeper::main)?;
        within("vPE 1 did not begin", || sleeper::awake() == 1)?;
        resident(&mut disk)?;
        powered_off(&mut disk)?;
        suspended(&mut disk)?;
        sleeper::ask(Request::Off);
        interrupts::send(sleeper::SGI, SLEEPER);
        wait_off()?;
        sleeper::reset();
        println!("round {round} of {rounds}: one doorbell for each sleep, every vLPI delivered");
    }
    figure!("sleeps", rounds * 2);
    figure!("doorbells", doorbells()?);
    figure!("exits-sleeper", counter(SLEEPER, Counter::Exits)?);
    Ok(())
}

/// Step 1.
fn resident(disk: &mut Disk) -> Result<(), Failure> {
    let before = doorbells()?;
    let taken = sleeper::taken(0);
    disk.interrupt(0)?;
    within("vPE 1 did not take an interrupt while resident", || sleeper::taken(0) > taken)?;
    expect("doorbells while vPE 1 was resident", doorbells()?, before)
}

/// Step 2.
fn powered_off(disk: &mut Disk) -> Result<(), Failure> {
    let residency = counter(SLEEPER, Counter::ResidencyChanges)?;
    sleeper::ask(Request::Off);
    interrupts::send(sleeper::SGI, SLEEPER);
    wait_off()?;
    wait_not_resident(residency)?;
    let before = doorbells()?;
    let taken = [sleeper::taken(0), sleeper::taken(1)];
    for queue in [0, 1, 0, 0, 1] {
        disk.interrupt(queue)?;
    }
    rung(before)?;
    expect("interrupts taken by a vPE that is off", sleeper::taken(0), taken[0])?;
    let awake = sleeper::awake();
    smp::start(SLEEPER, sleeper::main)?;
    within("vPE 1 did not begin again", || sleeper::awake() > awake)?;
    within("a vLPI was lost while vPE 1 was off", || {
        sleeper::taken(0) > taken[0] && sleeper::taken(1) > taken[1]
    })?;
    timer::sleep(QUIET_US);
    expect("interrupts of queue 1 after CPU_ON", sleeper::taken(0), taken[0] + 1)?;
    expect("interrupts of queue 2 after CPU_ON", sleeper::taken(1), taken[1] + 1)?;
    expect("doorbells after CPU_ON", doorbells()?, before + 1)
}

/// Step 3.
fn suspended(disk: &mut Disk) -> Result<(), Failure> {
    let (before, residency) = (doorbells()?, counter(SLEEPER, Counter::ResidencyChanges)?);
    let (taken, awake) = (sleeper::taken(1), sleeper::awake());
    sleeper::ask(Request::Suspend);
    interrupts::send(sleeper::SGI, SLEEPER);
    wait_not_resident(residency)?;
    timer::sleep(QUIET_US);
    expect("starts of a vPE that nothing woke", sleeper::awake(), awake)?;
    disk.interrupt(1)?;
    within("vPE 1 did not wake up", || sleeper::awake() > awake)?;
    within("the vLPI that woke vPE 1 was lost", || sleeper::taken(1) > taken)?;
    rung(before)?;
    expect("interrupts taken after waking up", sleeper::taken(1), taken + 1)?;
    expect("interrupts on the wrong vPE", sleeper::strays(), 0)
}

/// The doorbell has rung exactly once since there were `before`.
fn rung(before: u64) -> Result<(), Failure> {
    within("the doorbell did not ring", || doorbells().is_ok_and(|now| now > before))?;
    timer::sleep(QUIET_US);
    expect("doorbells for one sleep", doorbells()? - before, 1)
}

fn doorbells() -> Result<u64, Failure> {
    Ok(counter(SLEEPER, Counter::Doorbells)?)
}

fn wait_off() -> Result<(), Failure> {
    within("vPE 1 did not switch itself off", || smp::power(SLEEPER) == Ok(Power::Off))
}

/// Waits until vPE 1 has left its residency, of which there were `before` changes while it had it.
/// AFFINITY_INFO does not tell: it says OFF as soon as the hypervisor has taken the call, and an
/// interrupt that still finds the vPE resident stays pending in its table without a doorbell.
fn wait_not_resident(before: u64) -> Result<(), Failure> {
    within("vPE 1 stayed resident", || {
        counter(SLEEPER, Counter::ResidencyChanges).is_ok_and(|now| now != before)
    })
}

fn within(what: &'static str, done: impl Fn() -> bool) -> Result<(), Failure> {
    let deadline = timer::now() + timer::microseconds(PATIENCE_US);
    while !done() {
        if timer::now() > deadline {
            return Err(Failure::Never(what));
        }
        cpu::relax();
    }
    Ok(())
}

fn expect(what: &'static str, got: u64, wanted: u64) -> Result<(), Failure> {
    if got == wanted { Ok(()) } else { Err(Failure::Count { what, got, wanted }) }
}

impl Disk {
    fn new(machine: &'static Machine) -> Result<Self, Failure> {
        let mut arena = Arena::take(machine).ok_or(Error::NoMemory)?;
        let first = machine.events().next().ok_or(Error::NoDevice)?;
        let mut controller = Controller::new(machine, &mut arena, &first, QUEUES as u16)?;
        let mut events = machine.events().filter(|event| event.vpe == SLEEPER);
        let mut next = |n| -> Result<Queue, Failure> {
            let event = events.next().ok_or(Failure::Never("two events of vPE 1 are needed"))?;
            sleeper::listen(n, event.vintid);
            Ok(controller.create_queue(&mut arena, &event)?)
        };
        let queues = [next(0)?, next(1)?];
        let page = arena.allocate(PAGE).ok_or(Error::NoMemory)?;
        Ok(Self { controller, queues, page })
    }

    /// One command whose completion interrupts vPE 1; comes back when the interrupt has been sent.
    fn interrupt(&mut self, queue: usize) -> Result<(), Failure> {
        let queue = &mut self.queues[queue];
        let command = self.controller.read(0, &self.page);
        let id = self.controller.submit(queue, command).ok_or(Error::Timeout)?;
        within("the disk did not answer", || queue.ready())?;
        match self.controller.take(queue) {
            Some(completion) if completion.command == id && completion.status == 0 => {
                self.controller.settle();
                Ok(())
            }
            Some(completion) => Err(Error::Stray(completion).into()),
            None => Err(Error::Timeout.into()),
        }
    }
}
