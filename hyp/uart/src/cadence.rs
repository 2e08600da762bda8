// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Cadence's UART, as in ZynqMP (UG1085, chapter UART Controller).
//!
//! Interrupts are enabled and disabled by writing ones to two registers. A byte that is below the
//! receive trigger is signalled by no interrupt, so that the trigger is set to one.

use crate::{Driver, Early, Registers, Width};

const CR: u64 = 0x00;
const IER: u64 = 0x08;
const IDR: u64 = 0x0c;
const ISR: u64 = 0x14;
const RXWM: u64 = 0x20;
const SR: u64 = 0x2c;
const FIFO: u64 = 0x30;

const CR_RX_ON: u32 = 1 << 2;
const CR_RX_OFF: u32 = 1 << 3;
const CR_TX_ON: u32 = 1 << 4;
const CR_TX_OFF: u32 = 1 << 5;
const INT_RX: u32 = 1 << 0;
const INT_TX_EMPTY: u32 = 1 << 3;
const INT_ALL: u32 = 0x1fff;
const SR_RX_EMPTY: u32 = 1 << 1;
const SR_TX_EMPTY: u32 = 1 << 3;
const SR_TX_ACTIVE: u32 = 1 << 11;
const FULL: u8 = 4;

pub struct Cadence<R> {
    pub registers: R,
}

impl<R: Registers> Driver for Cadence<R> {
    type Registers = R;

    #[inline(always)]
    fn registers(&self) -> R {
        self.registers
    }

    #[inline(always)]
    fn enable(&self) {
        self.registers.set_word(IDR, INT_ALL);
        self.registers.change(CR, CR_RX_OFF | CR_TX_OFF, CR_RX_ON | CR_TX_ON);
        self.registers.set_word(RXWM, 1);
        self.registers.set_word(ISR, INT_ALL);
    }

    #[inline(always)]
    fn put(&self, byte: u8) -> bool {
        if self.registers.word(SR) & 1 << FULL != 0 {
            return false;
        }
        self.registers.set_word(FIFO, u32::from(byte));
        true
    }

    #[inline(always)]
    fn get(&self) -> Option<u8> {
        (self.registers.word(SR) & SR_RX_EMPTY == 0).then(|| self.registers.word(FIFO) as u8)
    }

    #[inline(always)]
    fn interrupts(&self, output: bool) {
        self.registers.set_word(IER, INT_RX | if output { INT_TX_EMPTY } else { 0 });
        if !output {
            self.registers.set_word(IDR, INT_TX_EMPTY);
        }
    }

    #[inline(always)]
    fn mask(&self) {
        self.registers.set_word(IDR, INT_RX | INT_TX_EMPTY);
    }

    #[inline(always)]
    fn acknowledge(&self) {
        self.registers.set_word(ISR, INT_RX | INT_TX_EMPTY);
    }

    #[inline(always)]
    fn is_busy(&self) -> bool {
        self.registers.word(SR) & (SR_TX_EMPTY | SR_TX_ACTIVE) != SR_TX_EMPTY
    }
}

impl Cadence<()> {
    pub const EARLY: Early = Early {
        status: SR,
        status_width: Width::Word,
        bit: FULL,
        ready: false,
        command: &[],
        data: FIFO,
        data_width: Width::Word,
    };

    /// Bytes from its base to behind its last register.
    pub const BYTES: u64 = FIFO + 4;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Chip, Handle, Kind, Line, bit, check};

    struct Model {
        control: u32,
        mask: u32,
        /// Flags that were raised and not cleared.
        status: u32,
        trigger: u32,
    }

    impl Model {
        /// Flags whose cause is there.
        fn causes(&self, line: &Line) -> u32 {
            bit(0, line.received.len() as u32 >= self.trigger)
                | bit(1, line.received.is_empty())
                | bit(3, line.sending.is_empty())
                | bit(4, line.is_full())
        }
    }

    impl Chip for Model {
        fn read(&mut self, line: &mut Line, offset: u64, width: Width) -> u32 {
            assert_eq!(width, Width::Word);
            match offset {
                CR => self.control,
                SR => self.causes(line) & 0x1f | bit(11, line.shifting.is_some()),
                FIFO => line.pop(),
                _ => panic!("no register to read at {offset:#x}"),
            }
        }

        fn write(&mut self, line: &mut Line, offset: u64, width: Width, value: u32) {
            assert_eq!(width, Width::Word);
            match offset {
                CR => {
                    // Resets would throw away what firmware sent.
                    assert_eq!(value & 3, 0);
                    assert_eq!(value >> 2 & 0xf, 0b0101, "both on, neither off");
                    self.control = value;
                }
                IER => self.mask |= value,
                IDR => self.mask &= !value,
                ISR => self.status = self.status & !value | self.causes(line) & !value,
                RXWM => self.trigger = value,
                FIFO => line.push(value),
                _ => panic!("no register to write at {offset:#x}"),
            }
        }

        fn asks(&self, line: &Line) -> bool {
            (self.status | self.causes(line)) & self.mask != 0
        }
    }

    impl Kind for Cadence<()> {
        type Driver<'a> = Cadence<Handle<'a>>;
        const DEPTH: usize = 64;
        const BYTES: u64 = Self::BYTES;
        const EARLY: Early = Self::EARLY;

        fn chip() -> impl Chip + 'static {
            Model { control: CR_RX_OFF | CR_TX_ON | 1 << 8, mask: 0x1fff, status: 0, trigger: 32 }
        }

        fn driver(registers: Handle) -> Cadence<Handle> {
            Cadence { registers }
        }
    }

    #[test]
    fn cadence() {
        check::<Cadence<()>>();
    }
}
