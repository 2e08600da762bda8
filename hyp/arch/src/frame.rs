// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A guest's general registers, and what a handler says is to become of them.

/// A guest's general registers, as the vectors store them: x0-x18, x30, x19-x29, and 0 for the zero
/// register.
///
/// x30 stands where one instruction stores it together with x18.
#[repr(C)]
pub struct Frame {
    slots: [u64; 32],
}

/// Last of the registers that the fast handlers find in the frame, besides x30.
pub const LAST_SAVED: usize = 18;

#[expect(clippy::indexing_slicing, reason = "each index is masked to below 32")]
impl Frame {
    /// All registers 0.
    pub const fn new() -> Self {
        Self { slots: [0; 32] }
    }

    /// Slot of each register.
    const SLOTS: [u8; 32] = {
        let mut slots = [0; 32];
        let mut register = 0;
        while register < 32 {
            slots[register] = match register {
                0..=LAST_SAVED | 31 => register,
                30 => LAST_SAVED + 1,
                _ => register + 1,
            } as u8;
            register += 1;
        }
        slots
    };

    #[inline(always)]
    fn slot(register: usize) -> usize {
        Self::SLOTS[register & 31] as usize & 31
    }

    /// Register 0..=31.
    #[inline(always)]
    pub fn get(&self, register: usize) -> u64 {
        self.slots[Self::slot(register)]
    }

    /// Writes register 0..=31; the zero register stays 0.
    pub fn set(&mut self, register: usize, value: u64) {
        self.slots[Self::slot(register)] = value;
        self.slots[31] = 0;
    }

    /// Register 0..=18, in the fast handlers.
    #[inline(always)]
    pub fn low(&mut self, register: usize) -> &mut u64 {
        &mut self.slots[register & 31]
    }

    /// x0 to x3, where calls have their arguments and results.
    pub fn call(&self) -> [u64; 4] {
        let [x0, x1, x2, x3, ..] = self.slots;
        [x0, x1, x2, x3]
    }

    /// Writes x0 and the following registers, four at most.
    pub fn answer(&mut self, values: &[u64]) {
        for (slot, value) in self.slots.iter_mut().zip(values).take(4) {
            *slot = *value;
        }
    }

    /// All registers 0, but x0.
    pub fn start(&mut self, x0: u64) {
        self.slots = [0; 32];
        self.slots[0] = x0;
    }
}

/// Bytes of a [`Frame`], which link.ld knows, too.
pub const FRAME_BYTES: usize = size_of::<Frame>();
const _: () = assert!(FRAME_BYTES == 256);

/// What a handler tells the vectors.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Next {
    /// Back to the guest; x19-x29 are as they were.
    Guest = 0,
    /// From a fast handler: nothing was decided, save everything and ask again. From a slow one:
    /// restore everything.
    Full = 1,
}
