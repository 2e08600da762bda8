// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The disks that the queues' events belong to.

use nvme::{Controller, Error};
use rt::dma::Arena;
use rt::machine::Event;
use rt::{Machine, println};

use crate::QUEUES;

/// At the place of the first queue that is the disk's; None: the queue is an earlier one's disk's,
/// too.
#[derive(Debug)]
pub struct Disks([Option<Controller>; QUEUES]);

impl Disks {
    pub fn new(
        machine: &Machine,
        arena: &mut Arena,
        events: &[Event; QUEUES],
    ) -> Result<Self, Error> {
        let mut out = Self([const { None }; QUEUES]);
        for (n, event) in events.iter().enumerate() {
            if place(events, n) == n {
                out.0[n] = Some(Controller::new(machine, arena, event, QUEUES as u16)?);
            }
            let disk = out.of(events, n)?;
            println!(
                "queue {n}: INTID {}, NVMe disk {} of {} blocks of {} bytes",
                event.vintid, event.device, disk.blocks, disk.block_bytes
            );
        }
        Ok(out)
    }

    /// The disk of a queue.
    pub fn of(&self, events: &[Event; QUEUES], queue: usize) -> Result<&Controller, Error> {
        self.0[place(events, queue)].as_ref().ok_or(Error::NoDevice)
    }

    pub fn of_mut(
        &mut self,
        events: &[Event; QUEUES],
        queue: usize,
    ) -> Result<&mut Controller, Error> {
        self.0[place(events, queue)].as_mut().ok_or(Error::NoDevice)
    }
}

/// The first queue of the same disk.
fn place(events: &[Event; QUEUES], queue: usize) -> usize {
    let same = |event: &Event| event.device_id == events[queue].device_id;
    events.iter().position(same).unwrap_or(queue)
}
