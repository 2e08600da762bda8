// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The SMMUs of the plan, each driven by the plan alone (the driver is the crate `smmu`).
//!
//! An SMMU reads and writes memory at addresses that its base registers, its stream table and
//! commands name. So their owner is here: what it writes comes from an entry of the plan, and
//! nobody else has registers, table or queues.

mod hardware;

use crate::system::{System, is_entry};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use hardware::{Registers, Tables, Words};
use plan::{Master, Smmu};
use smmu::event::Event;
use smmu::event_queue::EventQueue;
use smmu::gerror::{ActiveErrors, GlobalError};
use smmu::ste::{Granule, Stage2};
use smmu::stream::Streams;
use smmu::table::{Leaf, Shape, StreamTable};
use smmu::unit::{Expect, Ring, Setup, Unit};
use smmu::{Error, Illegal, StreamId, Vmid};

/// Why an SMMU is not driven.
#[derive(Clone, Copy, Debug)]
pub enum Refused {
    /// What the plan says of it is no SMMU's, or somebody drives it already.
    Plan,
    /// It is not the plan's, or did not do what it was told.
    Hardware(Error),
}

impl From<Illegal> for Refused {
    fn from(_: Illegal) -> Self {
        Self::Plan
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Hardware(error)
    }
}

/// No transaction passes any of the board's SMMUs from here on, but what a [`Driver`] lets pass.
pub fn close<S: System>(polls: u32) -> Result<(), Error> {
    let ours = S::PLAN.smmus.iter().map(Registers::of::<S>);
    let others = S::PLAN.closed_smmus.iter().map(Registers::of_closed::<S>);
    ours.chain(others).try_for_each(|registers| Unit::new(registers).abort_all(polls))
}

/// An SMMU of the plan.
pub struct Driver<S: System> {
    number: usize,
    unit: Unit<Registers>,
    streams: Streams<'static, Registers, Words, Tables<S>>,
    events: EventQueue<Registers, Words>,
}

impl<S: System> Driver<S> {
    /// Verifies the plan's SMMU `number`, which [`close`] has closed, and puts it on its tables, in
    /// which no stream has an entry. Once. `leaves` are the plan's, as the driver has them.
    pub fn enable(number: usize, leaves: &'static [Leaf], polls: u32) -> Result<Self, Refused> {
        static TAKEN: AtomicU32 = AtomicU32::new(0);
        let smmu = S::PLAN.smmus.get(number).ok_or(Refused::Plan)?;
        let bit = 1u32.checked_shl(number as u32).ok_or(Refused::Plan)?;
        if TAKEN.fetch_or(bit, Relaxed) & bit != 0 || !are_the_plans::<S>(leaves) {
            return Err(Refused::Plan);
        }
        let (table, commands, events) = decided(smmu, leaves)?;
        let unit = Unit::new(Registers::of::<S>(smmu));
        unit.verify(&expected::<S>(number, smmu, table.shape())?)?;
        // What boot cleared may be in caches still; what is not zero came with the image.
        Tables::<S>::publish_all(smmu);
        let setup = Setup { table, commands, events, coherent: smmu.coherent };
        let queue = unit.enable(&setup, Words::commands::<S>(smmu), polls)?;
        Ok(Self {
            number,
            unit,
            streams: Streams::new(table, Tables::of_board(), queue),
            events: EventQueue::new(
                Registers::of::<S>(smmu),
                Words::events::<S>(smmu),
                events.bits(),
            ),
        })
    }

    /// A device of the plan's that is behind it reaches its VM's memory from here on.
    pub fn attach(&mut self, master: &Master) -> Result<(), Refused> {
        let stage2 = stage2(self.own(master)?)?;
        for &stream in master.streams {
            self.streams.attach(StreamId::new(stream), &stage2)?;
        }
        Ok(())
    }

    /// The device reaches nothing from here on, and records no more.
    pub fn cut_off(&mut self, master: &Master) -> Result<(), Refused> {
        let streams = self.own(master)?.streams.iter().map(|&stream| StreamId::new(stream));
        Ok(self.streams.detach(streams, vmid(master))?)
    }

    /// A StreamID that is no device's of the plan records no more: it never reached anything.
    pub fn ignore(&mut self, stream: StreamId) -> Result<(), Refused> {
        Ok(self.streams.abort(stream)?)
    }

    /// The oldest record of a fault, and whether some were lost before it.
    pub fn take(&mut self) -> (Option<Event>, bool) {
        let mut event = None;
        let drained = self.events.drain(1, |one| event = Some(one));
        (event, drained.lost)
    }

    /// Its global errors, which are acknowledged. The command queue's error is left: who waits for
    /// the command finds it.
    pub fn errors(&mut self) -> ActiveErrors {
        let errors = self.unit.errors();
        self.unit.acknowledge(errors.without(GlobalError::CommandQueue));
        errors
    }

    fn own<'m>(&self, master: &'m Master) -> Result<&'m Master, Refused> {
        let own = is_entry(S::PLAN.masters, master) && usize::from(master.smmu) == self.number;
        if own { Ok(master) } else { Err(Refused::Plan) }
    }
}

fn are_the_plans<S: System>(leaves: &[Leaf]) -> bool {
    let same = |(leaf, planned): (&Leaf, &plan::Leaf)| {
        (leaf.index, leaf.bits, leaf.address)
            == (planned.index, planned.bits, planned.table.base.value())
    };
    leaves.len() == S::PLAN.leaves.len() && leaves.iter().zip(S::PLAN.leaves).all(same)
}

/// What the SMMU must be able to do for its devices.
fn expected<S: System>(number: usize, smmu: &Smmu, shape: Shape) -> Result<Expect, Illegal> {
    let (mut highest_vmid, mut pa_bits) = (0, 0);
    for master in S::PLAN.masters.iter().filter(|master| usize::from(master.smmu) == number) {
        highest_vmid = vmid(master).value().max(highest_vmid);
        pa_bits = (stage2(master)?.pa_bits() as u8).max(pa_bits);
    }
    Ok(Expect {
        stream_bits: shape.bits(),
        two_level: shape.split().is_some(),
        highest_vmid,
        pa_bits,
        granule: Granule::Kib4,
        command_bits: smmu.command_bits,
        event_bits: smmu.event_bits,
        coherent: smmu.coherent,
    })
}

/// Table and queues as codegen laid them out, with the same functions.
fn decided(
    smmu: &Smmu,
    leaves: &'static [Leaf],
) -> Result<(StreamTable<'static>, Ring, Ring), Illegal> {
    let bits = smmu.table_bits;
    let shape = match smmu.split {
        None => Shape::linear(bits)?,
        Some(split) => Shape::two_level(bits, split)?,
    };
    let (first, count) = (usize::from(smmu.first_leaf), usize::from(smmu.leaf_count));
    let leaves = leaves.get(first..first.wrapping_add(count)).unwrap_or(&[]);
    let table = StreamTable::new(smmu.table.base.value(), shape, leaves)?;
    let commands = Ring::commands(smmu.commands.base.value(), smmu.command_bits)?;
    Ok((table, commands, Ring::events(smmu.events.base.value(), smmu.event_bits)?))
}

fn stage2(master: &Master) -> Result<Stage2, Illegal> {
    Stage2::from_registers(master.vttbr, master.vtcr)
}

fn vmid(master: &Master) -> Vmid {
    Vmid::new((master.vttbr >> 48) as u16)
}
