// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A UART's registers, as a kind reaches them.

/// Bytes of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    Byte = 1,
    Half = 2,
    Word = 4,
}

impl Width {
    /// As a board has it.
    pub const fn of(bytes: u8) -> Option<Self> {
        match bytes {
            1 => Some(Self::Byte),
            2 => Some(Self::Half),
            4 => Some(Self::Word),
            _ => None,
        }
    }
}

/// The registers of one UART, and a word of memory beside them.
pub trait Registers: Copy {
    /// Polls of a full FIFO before a byte is given up: a second and more at any speed in use.
    const PATIENCE: u32 = 10_000_000;

    /// The register at `offset`, a multiple of the width.
    fn read(self, offset: u64, width: Width) -> u32;
    /// Writes the register at `offset`.
    fn write(self, offset: u64, width: Width, value: u32);
    /// What the kind last remembered, 0 at first. Who calls it twice at once, as EL2 does when it
    /// has failed, may lose a byte of output by that and nothing else.
    fn remembered(self) -> u32;
    /// Keeps a word for the next call.
    fn remember(self, value: u32);
    /// Between two polls.
    fn pause(self);

    /// The 32-bit register at `offset`.
    #[inline(always)]
    fn word(self, offset: u64) -> u32 {
        self.read(offset, Width::Word)
    }

    /// Writes the 32-bit register at `offset`.
    #[inline(always)]
    fn set_word(self, offset: u64, value: u32) {
        self.write(offset, Width::Word, value);
    }

    /// Clears and sets bits of the 32-bit register at `offset`.
    #[inline(always)]
    fn change(self, offset: u64, clear: u32, set: u32) {
        self.set_word(offset, self.word(offset) & !clear | set);
    }
}
