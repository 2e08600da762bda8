// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Commands and completions as the controller reads and writes them (NVMe Base 3.3.3, 5; NVM
//! Command Set 3.2).

const CREATE_SUBMISSION_QUEUE: u32 = 0x01;
const CREATE_COMPLETION_QUEUE: u32 = 0x05;
const IDENTIFY: u32 = 0x06;
const SET_FEATURES: u32 = 0x09;
const WRITE: u32 = 0x01;
const READ: u32 = 0x02;
const QUEUE_COUNT: u32 = 0x07;
const CONTIGUOUS: u32 = 1;
const INTERRUPTS: u32 = 2;

/// A submission queue entry, without its identifier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Command {
    opcode: u32,
    namespace: u32,
    /// Physical address of the data, within one page.
    data: u64,
    /// Command dwords 10 to 12.
    arguments: [u32; 3],
}

/// A completion queue entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Identifier of the command that it answers.
    pub command: u16,
    /// Submission queue of that command.
    pub queue: u16,
    /// How far the controller has read that queue.
    pub head: u16,
    /// Status field without the phase bit; 0 is success.
    pub status: u16,
    /// Dword 0, of the command's own meaning.
    pub result: u32,
    pub(crate) phase: bool,
}

impl Command {
    pub(crate) fn identify_namespace(namespace: u32, page: u64) -> Self {
        Self { opcode: IDENTIFY, namespace, data: page, arguments: [0; 3] }
    }

    pub(crate) fn set_queue_count(count: u16) -> Self {
        let last = u32::from(count.max(1) - 1);
        Self {
            opcode: SET_FEATURES,
            arguments: [QUEUE_COUNT, last << 16 | last, 0],
            ..Self::default()
        }
    }

    pub(crate) fn create_completion_queue(id: u16, depth: u16, page: u64, vector: u16) -> Self {
        let size = u32::from(depth - 1) << 16 | u32::from(id);
        let how = u32::from(vector) << 16 | INTERRUPTS | CONTIGUOUS;
        Self {
            opcode: CREATE_COMPLETION_QUEUE,
            data: page,
            arguments: [size, how, 0],
            ..Self::default()
        }
    }

    /// Its completions go to the completion queue of the same number.
    pub(crate) fn create_submission_queue(id: u16, depth: u16, page: u64) -> Self {
        let size = u32::from(depth - 1) << 16 | u32::from(id);
        let how = u32::from(id) << 16 | CONTIGUOUS;
        Self {
            opcode: CREATE_SUBMISSION_QUEUE,
            data: page,
            arguments: [size, how, 0],
            ..Self::default()
        }
    }

    pub(crate) fn read(namespace: u32, block: u64, page: u64) -> Self {
        Self { opcode: READ, namespace, data: page, arguments: one_block(block) }
    }

    pub(crate) fn write(namespace: u32, block: u64, page: u64) -> Self {
        Self { opcode: WRITE, namespace, data: page, arguments: one_block(block) }
    }

    /// The entry, 64 bytes as little-endian doublewords.
    pub(crate) fn encode(self, id: u16) -> [u64; 8] {
        let [a, b, c] = self.arguments.map(u64::from);
        [
            u64::from(self.namespace) << 32 | u64::from(id) << 16 | u64::from(self.opcode),
            0,
            0,
            self.data,
            0,
            b << 32 | a,
            c,
            0,
        ]
    }
}

/// Starting block, and a count of one less than one.
fn one_block(block: u64) -> [u32; 3] {
    [block as u32, (block >> 32) as u32, 0]
}

impl Completion {
    /// From the entry's four dwords.
    pub(crate) fn decode([result, _, place, end]: [u32; 4]) -> Self {
        Self {
            command: end as u16,
            queue: (place >> 16) as u16,
            head: place as u16,
            status: (end >> 17) as u16,
            result,
            phase: end >> 16 & 1 != 0,
        }
    }
}
