// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A guest's driver of its ITS.

use crate::counters::Counter;
use crate::testing::{
    GICR,
    its_board::{Board, GITS, PENDING, PROPERTIES, QUEUE},
};
use gicv4::{
    CollectionId, DeviceId, EventId, IntId, RdBase,
    command::{Command, Encoded, Itt},
    lpi::LpiConfig,
};
use std::vec::Vec;

pub const VALID: u64 = 1 << 63;
pub const CBASER: u64 = GITS + 0x80;
pub const CWRITER: u64 = GITS + 0x88;
pub const CREADR: u64 = GITS + 0x90;

/// A guest's driver: where it writes next.
pub struct Driver {
    pub vpe: usize,
    pub writer: u64,
}

impl Driver {
    /// Queue of one page, ITS on.
    pub fn new(board: &Board, vpe: usize) -> Self {
        board.write(vpe, CBASER, 8, VALID | QUEUE);
        board.write(vpe, CWRITER, 8, 0);
        board.write(vpe, GITS, 4, 1);
        Self { vpe, writer: 0 }
    }

    /// LPI tables of both redistributors.
    pub fn enable_lpis(&self, board: &Board) {
        for redistributor in [GICR, GICR + 0x2_0000] {
            board.write(self.vpe, redistributor + 0x70, 8, PROPERTIES | 13);
            board.write(self.vpe, redistributor + 0x78, 8, PENDING | 1 << 62);
            board.write(self.vpe, redistributor, 4, 1);
        }
    }

    /// Puts commands into the queue and moves GITS_CWRITER; how often that had to be tried again.
    pub fn give(&mut self, board: &Board, commands: &[Encoded]) -> usize {
        for words in commands {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            board.store(self.vpe / 2, QUEUE + self.writer, &bytes);
            self.writer = (self.writer + 32) % 4096;
        }
        let tries = board.write(self.vpe, CWRITER, 8, self.writer);
        assert_eq!(board.read(self.vpe, CREADR, 8), Some(self.writer));
        tries
    }

    pub fn configure(&self, board: &Board, vintid: u32, enabled: bool) {
        let byte = LpiConfig::new(0x80, enabled).byte();
        board.store(self.vpe / 2, PROPERTIES + u64::from(vintid - 8192), &[byte]);
    }
}

pub fn device(n: u32) -> DeviceId {
    DeviceId::new(n)
}
pub fn event(n: u32) -> EventId {
    EventId::new(n)
}
pub fn mapd(of: u32, bits: u8) -> Encoded {
    Command::Mapd { device: device(of), itt: Itt::new(0x1000, bits) }.encode()
}
pub fn mapc(collection: u16, vpe: u16) -> Encoded {
    let redistributor = Some(RdBase::processor(vpe));
    Command::Mapc { collection: CollectionId::new(collection), redistributor }.encode()
}
pub fn mapti(of: u32, n: u32, intid: u32, collection: u16) -> Encoded {
    let (intid, collection) = (IntId::new(intid), CollectionId::new(collection));
    Command::Mapti { device: device(of), event: event(n), intid, collection }.encode()
}

pub fn sum(board: &Board, vm: usize, counters: &[Counter]) -> u64 {
    let vpes = board.guests[2 * vm].vpes;
    vpes.iter().flat_map(|vpe| counters.iter().map(|counter| vpe.counters.get(*counter))).sum()
}

/// Hardware batches.
pub const CAUSED: [Counter; 5] = [
    Counter::ItsRemapped,
    Counter::ItsDiscarded,
    Counter::ItsMoved,
    Counter::ItsConfigured,
    Counter::ItsSet,
];
