// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Amlogic's Meson UART (S905 Datasheet, chapter UART).
//!
//! Both interrupts follow the fill of their FIFO: input from one byte on, output when half of 64
//! are gone.

use crate::{Driver, Early, Registers, Width};

const WFIFO: u64 = 0x00;
const RFIFO: u64 = 0x04;
const CONTROL: u64 = 0x08;
const STATUS: u64 = 0x0c;
const MISC: u64 = 0x10;

const CONTROL_ON: u32 = 1 << 12 | 1 << 13;
const CONTROL_INPUT: u32 = 1 << 27;
const CONTROL_OUTPUT: u32 = 1 << 28;
const STATUS_RX_EMPTY: u32 = 1 << 20;
const STATUS_TX_EMPTY: u32 = 1 << 22;
const STATUS_BUSY: u32 = 1 << 25;
const FULL: u8 = 21;
/// Levels of both interrupts.
const LEVELS: u32 = 0xffff;
const USUAL: u32 = 32 << 8 | 1;

pub struct Meson<R> {
    pub registers: R,
}

impl<R: Registers> Driver for Meson<R> {
    type Registers = R;

    #[inline(always)]
    fn registers(&self) -> R {
        self.registers
    }

    #[inline(always)]
    fn enable(&self) {
        self.registers.change(CONTROL, CONTROL_INPUT | CONTROL_OUTPUT, CONTROL_ON);
        self.registers.change(MISC, LEVELS, USUAL);
    }

    #[inline(always)]
    fn put(&self, byte: u8) -> bool {
        if self.registers.word(STATUS) & 1 << FULL != 0 {
            return false;
        }
        self.registers.set_word(WFIFO, u32::from(byte));
        true
    }

    #[inline(always)]
    fn get(&self) -> Option<u8> {
        let empty = self.registers.word(STATUS) & STATUS_RX_EMPTY != 0;
        (!empty).then(|| self.registers.word(RFIFO) as u8)
    }

    #[inline(always)]
    fn interrupts(&self, output: bool) {
        let set = CONTROL_INPUT | if output { CONTROL_OUTPUT } else { 0 };
        self.registers.change(CONTROL, CONTROL_INPUT | CONTROL_OUTPUT, set);
    }

    #[inline(always)]
    fn mask(&self) {
        self.registers.change(CONTROL, CONTROL_INPUT | CONTROL_OUTPUT, 0);
    }

    /// Levels: the FIFOs' fill takes them back.
    #[inline(always)]
    fn acknowledge(&self) {}

    #[inline(always)]
    fn is_busy(&self) -> bool {
        self.registers.word(STATUS) & (STATUS_TX_EMPTY | STATUS_BUSY) != STATUS_TX_EMPTY
    }
}

impl Meson<()> {
    pub const EARLY: Early = Early {
        status: STATUS,
        status_width: Width::Word,
        bit: FULL,
        ready: false,
        command: &[],
        data: WFIFO,
        data_width: Width::Word,
    };

    /// Bytes from its base to behind its last register.
    pub const BYTES: u64 = MISC + 4;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Chip, Handle, Kind, Line, bit, check};

    struct Model {
        control: u32,
        levels: u32,
    }

    impl Chip for Model {
        fn read(&mut self, line: &mut Line, offset: u64, width: Width) -> u32 {
            assert_eq!(width, Width::Word);
            match offset {
                RFIFO => line.pop(),
                CONTROL => self.control,
                STATUS => {
                    bit(20, line.received.is_empty())
                        | bit(21, line.is_full())
                        | bit(22, line.sending.is_empty())
                        | bit(25, line.shifting.is_some())
                }
                MISC => self.levels,
                _ => panic!("no register to read at {offset:#x}"),
            }
        }

        fn write(&mut self, line: &mut Line, offset: u64, width: Width, value: u32) {
            assert_eq!(width, Width::Word);
            match offset {
                WFIFO => line.push(value),
                CONTROL => {
                    let own = CONTROL_ON | CONTROL_INPUT | CONTROL_OUTPUT;
                    assert_eq!((value ^ self.control) & !own, 0, "the line is firmware's");
                    self.control = value;
                }
                MISC => {
                    assert_eq!(value >> 16, self.levels >> 16);
                    self.levels = value;
                }
                _ => panic!("no register to write at {offset:#x}"),
            }
        }

        fn asks(&self, line: &Line) -> bool {
            let input = line.received.len() as u32 >= self.levels & 0xff;
            let output = (line.sending.len() as u32) < self.levels >> 8 & 0xff;
            self.control & CONTROL_INPUT != 0 && input
                || self.control & CONTROL_OUTPUT != 0 && output
        }
    }

    impl Kind for Meson<()> {
        type Driver<'a> = Meson<Handle<'a>>;
        const DEPTH: usize = 64;
        const BYTES: u64 = Self::BYTES;
        const EARLY: Early = Self::EARLY;

        fn chip() -> impl Chip + 'static {
            Model { control: CONTROL_INPUT | CONTROL_OUTPUT | 1 << 15, levels: 0x5_0810 }
        }

        fn driver(registers: Handle) -> Meson<Handle> {
            Meson { registers }
        }
    }

    #[test]
    fn meson() {
        check::<Meson<()>>();
    }
}
