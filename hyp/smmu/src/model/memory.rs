// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Memory of tables and queues as a CPU sees it: stores wait in its caches until published.

use super::Smmu;
use crate::command::{self, COMMAND_BYTES};
use crate::event::{self, EVENT_BYTES};
use crate::event_queue::EventMemory;
use crate::queue::CommandMemory;
use crate::stream::StreamMemory;
use crate::unit::Ring;
use std::vec::Vec;

#[derive(Debug)]
struct Stores {
    smmu: Smmu,
    held: Vec<(u64, u64)>,
}

impl Stores {
    fn new(smmu: Smmu) -> Self {
        Self { smmu, held: Vec::new() }
    }
    fn store(&mut self, address: u64, value: u64) {
        self.held.push((address, value));
        if self.smmu.state().config.leaky {
            self.publish();
        }
    }
    fn publish(&mut self) {
        for (address, value) in self.held.drain(..) {
            self.smmu.write(address, value);
        }
    }
}

/// The stream table of a software SMMU.
#[derive(Debug)]
pub struct ModelTable(Stores);

impl ModelTable {
    pub(super) fn new(smmu: Smmu) -> Self {
        Self(Stores::new(smmu))
    }
}

impl StreamMemory for ModelTable {
    fn store(&mut self, address: u64, value: u64) {
        self.0.store(address, value);
    }
    fn publish(&mut self) {
        self.0.publish();
    }
}

/// The command queue of a software SMMU.
#[derive(Debug)]
pub struct ModelCommands {
    stores: Stores,
    ring: Ring,
}

impl ModelCommands {
    pub(super) fn new(smmu: Smmu, ring: Ring) -> Self {
        Self { stores: Stores::new(smmu), ring }
    }
}

impl CommandMemory for ModelCommands {
    fn store(&mut self, slot: u32, command: &command::Encoded) {
        let at = self.ring.address() + u64::from(slot) * COMMAND_BYTES;
        self.stores.store(at, command[0]);
        self.stores.store(at + 8, command[1]);
    }
    fn publish(&mut self) {
        self.stores.publish();
    }
}

/// The event queue of a software SMMU.
#[derive(Debug)]
pub struct ModelEvents {
    smmu: Smmu,
    ring: Ring,
}

impl ModelEvents {
    pub(super) fn new(smmu: Smmu, ring: Ring) -> Self {
        Self { smmu, ring }
    }
}

impl EventMemory for ModelEvents {
    fn read(&self, slot: u32) -> event::Encoded {
        let at = self.ring.address() + u64::from(slot) * EVENT_BYTES;
        core::array::from_fn(|n| self.smmu.read(at + 8 * n as u64))
    }
    fn observe(&self) {}
}
