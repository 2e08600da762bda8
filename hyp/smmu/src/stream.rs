// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A VM's streams: attach when it starts, detach when it stops.
//!
//! Owns the stream table's entries and the command queue. An entry goes only between abort and a
//! VM's stage 2. Follows IHI 0070 3.21 (synchronization of structures and caches).
//!
//! `attach`, from abort:
//! 1. Doublewords 1 to 7, of which abort has no use; CFGI_STE, SYNC.
//! 2. Doubleword 0, which makes it stage 2; CFGI_STE, SYNC. An SMMU that reads the entry meanwhile
//!    has the old entry or the new one, never half of each.
//!
//! `detach`:
//! 1. Doubleword 0 of each stream: abort. CFGI_STE of each, SYNC: no transaction uses the old
//!    entry.
//! 2. TLBI_S12_VMALL, SYNC: no translation of the VM is cached, and transactions that used one are
//!    complete. The VM's memory can be given to its next life.

use crate::command::Command;
use crate::error::Error;
use crate::frame::Frame;
use crate::number::{StreamId, Vmid};
use crate::queue::{CommandMemory, CommandQueue};
use crate::ste::{STE_WORDS, Stage2, Ste};
use crate::table::StreamTable;

/// The memory of a stream table.
pub trait StreamMemory {
    /// Writes a doubleword in one piece, at a physical address within the table.
    fn store(&mut self, address: u64, value: u64);
    /// Makes all that was stored visible to the SMMU, before anything that is stored later.
    fn publish(&mut self);
}

/// The streams of an SMMU.
#[derive(Debug)]
pub struct Streams<'a, F, C, T> {
    table: StreamTable<'a>,
    memory: T,
    queue: CommandQueue<F, C>,
}

impl<'a, F: Frame, C: CommandMemory, T: StreamMemory> Streams<'a, F, C, T> {
    pub const fn new(table: StreamTable<'a>, memory: T, queue: CommandQueue<F, C>) -> Self {
        Self { table, memory, queue }
    }

    /// From now on the stream's transactions go through a VM's stage 2. Its entry must be abort.
    pub fn attach(&mut self, stream: StreamId, stage2: &Stage2) -> Result<(), Error> {
        let entry = self.table.entry(stream).ok_or(Error::NoEntry { stream })?;
        let words = Ste::Stage2(*stage2).words();
        for (place, word) in places(entry).zip(words).skip(1) {
            self.memory.store(place, word);
        }
        self.memory.publish();
        self.forget([stream])?;
        self.memory.store(entry, words[0]);
        self.memory.publish();
        self.forget([stream])
    }

    /// From now on these streams, all of one VM, reach nothing, and what they had begun is over.
    pub fn detach(
        &mut self,
        streams: impl Iterator<Item = StreamId> + Clone,
        vmid: Vmid,
    ) -> Result<(), Error> {
        for stream in streams.clone() {
            let entry = self.table.entry(stream).ok_or(Error::NoEntry { stream })?;
            self.memory.store(entry, Ste::Abort.words()[0]);
        }
        self.memory.publish();
        self.forget(streams)?;
        self.queue.run([Command::TlbiS12Vmall { vmid }])
    }

    /// From now on a stream that was never attached is aborted without a record. One that the table
    /// has no entry for is so anyway.
    pub fn abort(&mut self, stream: StreamId) -> Result<(), Error> {
        let Some(entry) = self.table.entry(stream) else { return Ok(()) };
        self.memory.store(entry, Ste::Abort.words()[0]);
        self.memory.publish();
        self.forget([stream])
    }

    /// For [`CommandQueue::recover`] after an error.
    pub const fn queue(&mut self) -> &mut CommandQueue<F, C> {
        &mut self.queue
    }

    fn forget(&mut self, streams: impl IntoIterator<Item = StreamId>) -> Result<(), Error> {
        let commands = streams.into_iter().map(|stream| Command::CfgiSte { stream, leaf: true });
        self.queue.run(commands)
    }
}

/// Addresses of an entry's doublewords.
fn places(entry: u64) -> impl Iterator<Item = u64> {
    (0..STE_WORDS as u64).map(move |n| entry + 8 * n)
}
