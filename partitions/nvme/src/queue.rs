// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A queue pair: a submission queue and the completion queue that answers it (NVMe Base 3.3.1).
//!
//! The controller toggles the phase bit of the completion queue's entries on each round, which is
//! how a new entry is known from an old one. Entries are written before the doorbell and read after
//! the phase bit.

use rt::cpu;
use rt::dma::{Arena, Buffer};
use rt::mmio::Registers;

use crate::{Command, Completion};

const PAGE: u64 = 4096;
const DOORBELLS: u64 = 0x1000;
const SUBMISSION_BYTES: u64 = 64;
const COMPLETION_BYTES: u64 = 16;

#[derive(Debug)]
pub struct Queue {
    id: u16,
    submissions: Buffer,
    completions: Buffer,
    /// Offsets of the two doorbells.
    tail_doorbell: u64,
    head_doorbell: u64,
    tail: u16,
    head: u16,
    /// How far the controller has read the submission queue, by its last completion.
    read: u16,
    phase: bool,
    next_id: u16,
}

impl Queue {
    /// Entries of each queue.
    pub const DEPTH: u16 = 32;

    pub(crate) fn new(id: u16, arena: &mut Arena, stride: u64) -> Option<Self> {
        let doorbell = |n: u64| DOORBELLS + (u64::from(id) * 2 + n) * stride;
        Some(Self {
            id,
            submissions: arena.allocate(PAGE)?,
            completions: arena.allocate(PAGE)?,
            tail_doorbell: doorbell(0),
            head_doorbell: doorbell(1),
            tail: 0,
            head: 0,
            read: 0,
            phase: true,
            next_id: 0,
        })
    }

    /// Its number on its controller, as completions say it.
    pub fn id(&self) -> u16 {
        self.id
    }

    /// Whether a completion waits.
    pub fn ready(&self) -> bool {
        self.peek().phase == self.phase
    }

    pub(crate) fn submissions(&self) -> u64 {
        self.submissions.address()
    }

    pub(crate) fn completions(&self) -> u64 {
        self.completions.address()
    }

    pub(crate) fn submit(&mut self, registers: &Registers, command: Command) -> Option<u16> {
        let tail = (self.tail + 1) % Self::DEPTH;
        if tail == self.read {
            return None;
        }
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        let entry = u64::from(self.tail) * SUBMISSION_BYTES;
        for (word, offset) in command.encode(id).into_iter().zip((entry..).step_by(8)) {
            self.submissions.write64(offset, word);
        }
        self.tail = tail;
        self.ring(registers);
        Some(id)
    }

    pub(crate) fn ring(&self, registers: &Registers) {
        cpu::barrier();
        registers.write32(self.tail_doorbell, u32::from(self.tail));
    }

    pub(crate) fn take(&mut self, registers: &Registers) -> Option<Completion> {
        if !self.ready() {
            return None;
        }
        let completion = self.peek();
        self.read = completion.head % Self::DEPTH;
        self.head += 1;
        if self.head == Self::DEPTH {
            self.head = 0;
            self.phase = !self.phase;
        }
        registers.write32(self.head_doorbell, u32::from(self.head));
        Some(completion)
    }

    /// The entry at the head. The phase bit is in the last dword, which is read first.
    fn peek(&self) -> Completion {
        let entry = u64::from(self.head) * COMPLETION_BYTES;
        let end = self.completions.read32(entry + 12);
        let [result, reserved, place] =
            [0, 4, 8].map(|offset| self.completions.read32(entry + offset));
        Completion::decode([result, reserved, place, end])
    }
}
