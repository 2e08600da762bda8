// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A vPE's position in its CPU's table.

pub use plan::SLOTS;

/// A position, which under `priority` is the rank: slot 0 goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Slot(u8);

impl Slot {
    /// None: beyond the last slot.
    pub const fn new(value: u8) -> Option<Self> {
        if (value as usize) < SLOTS { Some(Self(value)) } else { None }
    }

    /// Every slot, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SLOTS as u8).map(Self)
    }

    /// The slot whose index has these low bits.
    pub(crate) const fn wrapping(index: usize) -> Self {
        Self((index % SLOTS) as u8)
    }

    /// Always below `SLOTS`; the remainder lets the compiler see it.
    pub const fn index(self) -> usize {
        self.0 as usize % SLOTS
    }
}
