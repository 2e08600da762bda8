// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What devices reach: the SMMUs' boot, and the streams of VMs that run.
//!
//! Compiles to nothing on a board without SMMUs. From EL2's first instructions on no
//! transaction passes one but those of a device whose VM runs, by that VM's stage 2. What is
//! refused is recorded, and charged to the device (life/dma.rs).
//!
//! 1. `close`, before anything else: everything is aborted. An SMMU that no VM's device is behind
//!    stays so.
//! 2. `boot`: verified against the plan, enabled on stream tables without a valid entry.
//! 3. `attach`, when a VM's functions are set up; `cut_off`, when they are stopped.
//! 4. `next`: records are taken.

use super::faults;
use super::halt::{differs, stop};
use crate::state::cpu::POLLS;
use crate::state::plan_data::{LEAF_COUNT, PLAN, SMMU_COUNT};
use crate::state::system::Built;
use arch::smmu::{Registers, Tables, Words};
use arch::sysreg::Pause;
use plan::Master;
use smmu::event::Event;
use smmu::event_queue::EventQueue;
use smmu::gerror::GlobalError;
use smmu::ste::{Granule, Stage2};
use smmu::stream::Streams;
use smmu::table::{Leaf, Shape, StreamTable};
use smmu::unit::{Expect, Ring, Setup, Unit};
use smmu::{Error, StreamId, Vmid};
use spin::mutex::TicketMutex;
use vm::text::Text;

struct Service {
    unit: Unit<Registers>,
    streams: Streams<'static, Registers, Words, Tables<Built>>,
    events: EventQueue<Registers, Words>,
}

static SERVICES: [TicketMutex<Option<Service>, Pause>; SMMU_COUNT] =
    [const { TicketMutex::new(None) }; SMMU_COUNT];

/// The plan's leaves, as the driver has them.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
static LEAVES: [Leaf; LEAF_COUNT] = {
    let mut all = [Leaf { index: 0, bits: 0, address: 0 }; LEAF_COUNT];
    let mut n = 0;
    while n < PLAN.leaves.len() {
        let plan::Leaf { index, bits, table } = PLAN.leaves[n];
        all[n] = Leaf { index, bits, address: table.base.value() };
        n += 1;
    }
    all
};

/// No transaction passes an SMMU from here on.
pub fn close() {
    let ours = PLAN.smmus.iter().map(Registers::of::<Built>);
    let others = PLAN.closed_smmus.iter().map(Registers::of_closed::<Built>);
    for registers in ours.chain(others) {
        Unit::new(registers).abort_all(POLLS).unwrap_or_else(|error| broken(error));
    }
}

/// Puts the SMMUs on their tables, in which no stream has an entry.
pub fn boot() {
    for (number, (smmu, service)) in PLAN.smmus.iter().zip(&SERVICES).enumerate() {
        let made = enable(number, smmu).unwrap_or_else(|error| broken(error));
        *service.lock() = Some(made);
    }
}

fn enable(number: usize, smmu: &plan::Smmu) -> Result<Service, Error> {
    let (table, commands, events) = decided(smmu).unwrap_or_else(|_| impossible());
    let unit = Unit::new(Registers::of::<Built>(smmu));
    let masters = || PLAN.masters.iter().filter(|master| usize::from(master.smmu) == number);
    let stages = masters().map(stage2);
    let vmids = masters().map(|master| vmid(master).value());
    unit.verify(&Expect {
        stream_bits: table.shape().bits(),
        two_level: table.shape().split().is_some(),
        highest_vmid: vmids.max().unwrap_or(0),
        pa_bits: stages.map(|stage2| stage2.pa_bits() as u8).max().unwrap_or(0),
        granule: Granule::Kib4,
        command_bits: commands.bits(),
        event_bits: events.bits(),
        coherent: smmu.coherent,
    })?;
    // What boot cleared may be in caches still; what is not zero came with the image.
    Tables::<Built>::publish_all(smmu);
    let setup = Setup { table, commands, events, coherent: smmu.coherent };
    let queue = unit.enable(&setup, Words::commands::<Built>(smmu), POLLS)?;
    Ok(Service {
        unit,
        streams: Streams::new(table, Tables::of_board(), queue),
        events: EventQueue::new(
            Registers::of::<Built>(smmu),
            Words::events::<Built>(smmu),
            events.bits(),
        ),
    })
}

/// Table and queues as codegen laid them out, with the same functions.
fn decided(smmu: &plan::Smmu) -> Result<(StreamTable<'static>, Ring, Ring), smmu::Illegal> {
    let bits = smmu.table_bits;
    let shape = match smmu.split {
        None => Shape::linear(bits)?,
        Some(split) => Shape::two_level(bits, split)?,
    };
    let (first, count) = (usize::from(smmu.first_leaf), usize::from(smmu.leaf_count));
    let leaves = LEAVES.get(first..first.wrapping_add(count)).unwrap_or(&[]);
    let table = StreamTable::new(smmu.table.base.value(), shape, leaves)?;
    let commands = Ring::commands(smmu.commands.base.value(), smmu.command_bits)?;
    Ok((table, commands, Ring::events(smmu.events.base.value(), smmu.event_bits)?))
}

fn impossible() -> ! {
    stop(&mut |out| out.text("the plan's tables are not an SMMU's"))
}

fn stage2(master: &Master) -> Stage2 {
    Stage2::from_registers(master.vttbr, master.vtcr).unwrap_or_else(|_| impossible())
}

fn vmid(master: &Master) -> Vmid {
    Vmid::new((master.vttbr >> 48) as u16)
}

/// The device reaches its VM's memory from here on.
pub fn attach(master: &Master) {
    let stage2 = stage2(master);
    for &stream in master.streams {
        with(usize::from(master.smmu), |service| {
            service.streams.attach(StreamId::new(stream), &stage2)
        });
    }
}

/// A device reaches nothing from here on, and records no more.
pub fn cut_off(master: &Master) {
    with(usize::from(master.smmu), |service| {
        let streams = master.streams.iter().map(|&stream| StreamId::new(stream));
        service.streams.detach(streams, vmid(master))
    });
}

/// A StreamID that is no device's of the plan records no more: it never reached anything.
pub fn ignore(smmu: usize, stream: StreamId) {
    with(smmu, |service| service.streams.abort(stream));
}

fn with(smmu: usize, work: impl FnOnce(&mut Service) -> Result<(), Error>) {
    // The lock is free before this CPU stops: another one that comes here has its own line to say.
    let result = SERVICES.get(smmu).map(|service| service.lock().as_mut().map_or(Ok(()), work));
    if let Some(Err(error)) = result {
        broken(error);
    }
}

/// The oldest record of a fault.
pub fn next(smmu: usize) -> Option<Event> {
    let mut event = None;
    let mut lost = false;
    with(smmu, |service| {
        lost = service.events.drain(1, |one| event = Some(one)).lost;
        Ok(())
    });
    if lost {
        faults::lost();
    }
    event
}

/// The SMMU has errors of its own to tell.
pub fn errors(smmu: usize) {
    let mut failed = false;
    with(smmu, |service| {
        let errors = service.unit.errors();
        failed = errors.contains(GlobalError::ServiceFailure);
        // The command queue's error is found by who waits for the command.
        service.unit.acknowledge(errors.without(GlobalError::CommandQueue));
        Ok(())
    });
    if failed {
        stop(&mut |out| out.text("the SMMU has failed"))
    }
}

/// The SMMU is not the plan's, or did not do what it was told.
fn broken(error: Error) -> ! {
    stop(&mut |out| match error {
        Error::Differs { register, field, expected, found } => {
            differs(out, register, field, expected, found);
        }
        Error::Timeout { register, .. } => {
            out.text("the SMMU took too long, a register reads ");
            out.hex(register.into());
        }
        Error::Command { slot, .. } => {
            out.text("the SMMU refuses the command in slot ");
            out.decimal(slot.into());
        }
        Error::NoEntry { stream } => {
            out.text("the stream table has no StreamID ");
            out.hex(stream.value().into());
        }
    })
}
