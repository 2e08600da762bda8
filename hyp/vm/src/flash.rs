// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A NOR flash: Intel's command set, on a bus of 32 bits.
//!
//! Two chips of 16 bits side by side. Both take the same command, the low byte of what is written,
//! and give the same answer, one in each half of the word. The image maps the array read-only,
//! calls this module for each store, and unmaps the array while reads have another answer
//! ([`Flash::is_array`]).
//!
//! 1. A store is a command (CFI, JESD68; the common flash interface's command set 1), or the second
//!    or later cycle of one.
//! 2. Programming clears bits, of a word or of up to [`BUFFER`] words in a buffer; it is over with
//!    the store.
//! 3. Erasing a sector sets all its bits. It goes on until an interrupt waits for the CPU, and then
//!    with the next access: until it is over, the status says busy and the next command waits.
//! 4. After any of these, reads give the status until the guest asks for something else.
//!
//! Not supported, on purpose: locks (no sector is ever locked), suspending (what would be suspended
//! is over before).

/// Bytes that are erased at once, of both chips together.
pub const SECTOR: u32 = 256 << 10;
/// Words in the write buffer.
pub const BUFFER: usize = 32;
const BUFFER_BYTES: u32 = BUFFER as u32 * 4;

const READY: u8 = 0x80;
const ERASE_ERROR: u8 = 0x20;
const PROGRAM_ERROR: u8 = 0x10;

const CONFIRM: u8 = 0xd0;

/// The bytes behind it. Offsets are below its size.
pub trait Array {
    /// The word at `offset`, a multiple of 4.
    fn read(&self, offset: u32) -> u32;
    fn write(&mut self, offset: u32, value: u32);
    /// Sets up to `bytes` bytes from `offset` on to ones, both multiples of 4096. How many it did:
    /// no more when an interrupt waits.
    fn erase(&mut self, offset: u32, bytes: u32) -> u32;
}

/// What a read answers, when nothing is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Array,
    Status,
    Identity,
    Query,
}

/// What the next store is, or what is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Command,
    Program,
    EraseConfirm,
    Lock,
    Count,
    /// So many words of the buffer are to come.
    Words(u8),
    BufferConfirm,
    /// From here up to there.
    Erasing(u32, u32),
}

/// Registers of the chips.
#[derive(Debug)]
pub struct Flash {
    mode: Mode,
    step: Step,
    /// Errors since they were cleared.
    errors: u8,
    /// Where the buffer's words go, a multiple of its size; which it has, and these.
    window: u32,
    filled: u32,
    words: [u32; BUFFER],
}

impl Flash {
    /// As after power-up: reads give the array.
    pub const fn new() -> Self {
        Self {
            mode: Mode::Array,
            step: Step::Command,
            errors: 0,
            window: 0,
            filled: 0,
            words: [0; BUFFER],
        }
    }

    /// Reads give what the array holds.
    pub fn is_array(&self) -> bool {
        self.mode == Mode::Array && self.step == Step::Command
    }

    /// The guest reads `bytes` (1, 2 or 4), aligned, of a flash of `size` bytes that is not
    /// [`Flash::is_array`].
    pub fn read(&mut self, array: &mut impl Array, size: u32, offset: u32, bytes: u32) -> u32 {
        self.go_on(array);
        let index = offset >> 2 & 0xff;
        let chip = match self.mode {
            _ if self.step != Step::Command => self.status(),
            Mode::Array | Mode::Status => self.status(),
            Mode::Identity => [0x89, 0x18].get(index as usize).copied().unwrap_or(0),
            Mode::Query => query(index, size),
        };
        let word = u32::from(chip) * 0x0001_0001;
        word >> (8 * (offset & 3)) & (u32::MAX >> (32 - 8 * bytes))
    }

    /// The guest writes `bytes` (1, 2 or 4), aligned. False: it is to try again, a sector is being
    /// erased.
    pub fn write(&mut self, array: &mut impl Array, offset: u32, bytes: u32, value: u32) -> bool {
        self.go_on(array);
        let command = value as u8;
        self.step = match self.step {
            Step::Erasing(..) => return false,
            Step::Command => self.command(command),
            Step::Program => {
                program(array, offset & !3, in_word(offset, bytes, value));
                Step::Command
            }
            Step::EraseConfirm if command == CONFIRM => {
                let sector = offset & !(SECTOR - 1);
                self.step = Step::Erasing(sector, sector.wrapping_add(SECTOR));
                self.go_on(array);
                self.step
            }
            Step::Lock => Step::Command,
            Step::Count => match value & 0xffff {
                count @ 0..=0x1f => {
                    self.filled = 0;
                    Step::Words(count as u8 + 1)
                }
                _ => self.wrong(),
            },
            Step::Words(left) => {
                self.keep(offset, bytes, value);
                match left {
                    0 | 1 => Step::BufferConfirm,
                    _ => Step::Words(left - 1),
                }
            }
            Step::BufferConfirm if command == CONFIRM => {
                for (n, word) in self.words.iter().enumerate() {
                    if self.filled & 1 << n != 0 {
                        program(array, self.window + n as u32 * 4, *word);
                    }
                }
                Step::Command
            }
            Step::EraseConfirm | Step::BufferConfirm => self.wrong(),
        };
        true
    }

    fn command(&mut self, command: u8) -> Step {
        self.mode = match command {
            0x50 => {
                self.errors = 0;
                return Step::Command;
            }
            0x90 => Mode::Identity,
            0x98 => Mode::Query,
            0x10 | 0x20 | 0x40 | 0x60 | 0x70 | 0xb0 | CONFIRM | 0xe8 => Mode::Status,
            _ => Mode::Array,
        };
        match command {
            0x10 | 0x40 => Step::Program,
            0x20 => Step::EraseConfirm,
            0x60 => Step::Lock,
            0xe8 => Step::Count,
            _ => Step::Command,
        }
    }

    /// A command's later cycle is none that it has.
    fn wrong(&mut self) -> Step {
        self.errors |= ERASE_ERROR | PROGRAM_ERROR;
        Step::Command
    }

    /// One store of a buffer. All are to be in one piece of memory of the buffer's size.
    fn keep(&mut self, offset: u32, bytes: u32, value: u32) {
        let window = offset & !(BUFFER_BYTES - 1);
        if self.filled == 0 {
            self.window = window;
        } else if self.window != window {
            self.errors |= PROGRAM_ERROR;
            return;
        }
        let index = (offset >> 2) as usize % BUFFER;
        let (bit, word) = (1 << index, in_word(offset, bytes, value));
        if let Some(kept) = self.words.get_mut(index) {
            *kept = if self.filled & bit != 0 { *kept & word } else { word };
        }
        self.filled |= bit;
    }

    fn go_on(&mut self, array: &mut impl Array) {
        if let Step::Erasing(from, to) = self.step {
            let done = array.erase(from, to.wrapping_sub(from));
            let from = from.wrapping_add(done);
            self.step = if from == to { Step::Command } else { Step::Erasing(from, to) };
        }
    }

    fn status(&self) -> u8 {
        match self.step {
            Step::Erasing(..) => 0,
            _ => READY | self.errors,
        }
    }
}

impl Default for Flash {
    fn default() -> Self {
        Self::new()
    }
}

/// A store as a word of which it leaves the other bytes alone.
fn in_word(offset: u32, bytes: u32, value: u32) -> u32 {
    let (shift, ones) = (8 * (offset & 3), u32::MAX >> (32 - 8 * bytes));
    (value & ones) << shift | !(ones << shift)
}

fn program(array: &mut impl Array, offset: u32, word: u32) {
    let old = array.read(offset);
    array.write(offset, old & word);
}

/// The query structure of each chip, by its own addresses (JESD68.01, table 1 to 4).
fn query(index: u32, size: u32) -> u8 {
    let chip = size / 2;
    let last = (size / SECTOR).saturating_sub(1);
    let units = SECTOR / 2 / 256;
    match index {
        0x10 => b'Q',
        0x11 => b'R',
        0x12 => b'Y',
        // Command set 1, and where its own table is.
        0x13 => 1,
        0x15 => 0x31,
        // 2.7 to 3.6 V.
        0x1b => 0x27,
        0x1c => 0x36,
        // 2^n us for a word and for a buffer, 2^n ms for a sector; at most 2^n times as much.
        0x1f | 0x20 => 7,
        0x21 => 10,
        0x23..=0x25 => 4,
        0x27 => chip.trailing_zeros() as u8,
        // 16 bits.
        0x28 => 1,
        0x2a => (BUFFER_BYTES / 2).trailing_zeros() as u8,
        // One kind of sectors: how many less one, and how large.
        0x2c => 1,
        0x2d => last as u8,
        0x2e => (last >> 8) as u8,
        0x2f => units as u8,
        0x30 => (units >> 8) as u8,
        // The command set's own: version 1.0, none of its options, 3.3 V.
        0x31 => b'P',
        0x32 => b'R',
        0x33 => b'I',
        0x34 => b'1',
        0x35 => b'0',
        0x3d => 0x33,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{vec, vec::Vec};

    const SIZE: u32 = 4 * SECTOR;

    /// Memory, and how much of an erasure it does before an interrupt waits.
    struct Memory {
        words: Vec<u32>,
        patience: u32,
    }

    impl Array for Memory {
        fn read(&self, offset: u32) -> u32 {
            self.words[offset as usize / 4]
        }
        fn write(&mut self, offset: u32, value: u32) {
            self.words[offset as usize / 4] = value;
        }
        fn erase(&mut self, offset: u32, bytes: u32) -> u32 {
            let bytes = bytes.min(self.patience);
            let words = offset as usize / 4..(offset + bytes) as usize / 4;
            self.words[words].fill(u32::MAX);
            bytes
        }
    }

    struct Chip {
        flash: Flash,
        memory: Memory,
    }

    impl Chip {
        fn new(fill: u32) -> Self {
            let words = vec![fill; SIZE as usize / 4];
            Self { flash: Flash::new(), memory: Memory { words, patience: u32::MAX } }
        }
        fn put(&mut self, offset: u32, value: u32) {
            assert!(self.flash.write(&mut self.memory, offset, 4, value), "{value:#x}");
        }
        fn get(&mut self, offset: u32) -> u32 {
            self.flash.read(&mut self.memory, SIZE, offset, 4)
        }
        fn word(&self, offset: u32) -> u32 {
            self.memory.read(offset)
        }
    }

    const BOTH_READY: u32 = 0x0080_0080;

    #[test]
    fn programs_words_by_clearing_bits() {
        let mut chip = Chip::new(u32::MAX);
        assert!(chip.flash.is_array());
        for (command, value, is) in [
            (0x0040_0040, 0x1234_ffff, 0x1234_ffff),
            (0x0010_0010, 0xff00_5678, 0x1200_5678),
            (0x0040_0040, u32::MAX, 0x1200_5678),
        ] {
            chip.put(0, command);
            assert!(!chip.flash.is_array());
            chip.put(0x104, value);
            assert_eq!((chip.get(0), chip.word(0x104)), (BOTH_READY, is));
        }
        assert_eq!((chip.word(0x100), chip.word(0x108)), (u32::MAX, u32::MAX));
        chip.put(0, 0x00ff_00ff);
        assert!(chip.flash.is_array());
    }

    #[test]
    fn parts_of_words() {
        let mut chip = Chip::new(u32::MAX);
        for (offset, bytes, value, is) in
            [(8, 1, 0x12, 0xffff_ff12), (9, 1, 0x34, 0xffff_3412), (10, 2, 0x5678, 0x5678_3412)]
        {
            chip.put(0, 0x40);
            assert!(chip.flash.write(&mut chip.memory, offset, bytes, value));
            assert_eq!(chip.word(8), is);
        }
        let mut part = |offset, bytes| chip.flash.read(&mut chip.memory, SIZE, offset, bytes);
        assert_eq!((part(0, 1), part(1, 1), part(2, 2)), (0x80, 0, 0x80));
    }

    #[test]
    fn erases_the_sector_of_the_confirmation() {
        let mut chip = Chip::new(0);
        chip.put(0, 0x0020_0020);
        chip.put(SECTOR + 0x1234, 0x00d0_00d0);
        assert_eq!(chip.get(0), BOTH_READY);
        for sector in 0..4 {
            let words = &chip.memory.words[sector * 0x1_0000..][..0x1_0000];
            let is = if sector == 1 { u32::MAX } else { 0 };
            assert!(words.iter().all(|word| *word == is), "sector {sector}");
        }
        // Without it nothing happens, and the status says so until it is cleared.
        chip.put(0, 0x20);
        chip.put(0, 0x00ff_00ff);
        assert_eq!((chip.get(0), chip.word(0)), (BOTH_READY | 0x0030_0030, 0));
        chip.put(0, 0x50);
        assert_eq!(chip.get(0), BOTH_READY);
    }

    #[test]
    fn an_erasure_waits_for_interrupts_and_commands_for_it() {
        let mut chip = Chip::new(0);
        chip.memory.patience = SECTOR / 4;
        chip.put(0, 0x20);
        chip.put(SECTOR, 0xd0);
        assert_eq!((chip.word(SECTOR), chip.word(SECTOR + SECTOR / 4)), (u32::MAX, 0));
        assert_eq!(chip.get(0), 0, "busy");
        assert!(!chip.flash.write(&mut chip.memory, 0, 4, 0x00ff_00ff));
        assert!(!chip.flash.is_array());
        assert!(chip.flash.write(&mut chip.memory, 0, 4, 0x00ff_00ff));
        assert!(chip.flash.is_array());
        assert_eq!((chip.word(2 * SECTOR - 4), chip.word(2 * SECTOR)), (u32::MAX, 0));
    }

    #[test]
    fn programs_a_buffer() {
        let mut chip = Chip::new(u32::MAX);
        let at = SECTOR + 0x80;
        chip.put(at, 0x00e8_00e8);
        assert_eq!(chip.get(at), BOTH_READY);
        chip.put(at, 0x001f_001f);
        for n in 0..32 {
            chip.put(at + 4 * n, n);
        }
        assert_eq!(chip.word(at), u32::MAX, "not before it is confirmed");
        chip.put(at, 0x00d0_00d0);
        assert_eq!(chip.get(at), BOTH_READY);
        assert!((0..32).all(|n| chip.word(at + 4 * n) == n));
        assert_eq!((chip.word(at - 4), chip.word(at + 0x80)), (u32::MAX, u32::MAX));
    }

    #[test]
    fn a_wrong_buffer_is_an_error() {
        let mut chip = Chip::new(u32::MAX);
        // Too many words.
        chip.put(0, 0xe8);
        chip.put(0, 0x0020_0020);
        assert_eq!(chip.get(0), BOTH_READY | 0x0030_0030);
        // Not confirmed.
        chip.put(0, 0x50);
        chip.put(0, 0xe8);
        chip.put(0, 0);
        chip.put(0, 0);
        chip.put(0, 0xff);
        assert_eq!((chip.get(0), chip.word(0)), (BOTH_READY | 0x0030_0030, u32::MAX));
        // Beyond what the buffer holds: that word is left out.
        chip.put(0, 0x50);
        chip.put(0, 0xe8);
        chip.put(0, 1);
        chip.put(0x7c, 1);
        chip.put(0x80, 2);
        chip.put(0, 0xd0);
        assert_eq!(chip.get(0), BOTH_READY | 0x0010_0010);
        assert_eq!((chip.word(0x7c), chip.word(0x80)), (1, u32::MAX));
    }

    #[test]
    fn says_what_it_is() {
        let mut chip = Chip::new(0);
        chip.put(0, 0x0090_0090);
        assert_eq!((chip.get(0), chip.get(4)), (0x0089_0089, 0x0018_0018));
        assert_eq!(chip.get(SECTOR + 8), 0, "not locked");
        chip.put(0x55 * 4, 0x0098_0098);
        let text: Vec<u8> = (0x10..0x13).map(|n| chip.get(4 * n) as u8).collect();
        assert_eq!(text, b"QRY");
        assert_eq!(chip.get(4 * 0x27), 0x0013_0013, "2^19 bytes each");
        assert_eq!((chip.get(4 * 0x2d), chip.get(4 * 0x2e)), (0x0003_0003, 0), "four sectors");
        assert_eq!(chip.get(4 * 0x30), 0x0002_0002, "of 0x200 * 256 bytes each");
        assert_eq!(chip.get(4 * 0x2a), 0x0006_0006, "and 64 bytes in the buffer");
    }

    #[test]
    fn locks_and_suspensions_change_nothing() {
        let mut chip = Chip::new(0);
        for second in [0x01, 0xd0, 0x2f] {
            chip.put(0, 0x60);
            chip.put(0, second);
            assert_eq!(chip.get(0), BOTH_READY);
        }
        chip.put(0, 0xb0);
        assert_eq!(chip.get(0), BOTH_READY);
        chip.put(0, 0x12);
        assert!(chip.flash.is_array(), "no command at all");
        assert!(chip.memory.words.iter().all(|word| *word == 0));
    }
}
