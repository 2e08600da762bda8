// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Qualcomm's GENI serial engine with the UART's firmware.
//!
//! Two sequencers run commands: the main one sends, the secondary one receives. Each byte is a
//! command of its own here, so that nobody must know how many will follow:
//!
//! 1. the main sequencer is idle (M_GENI_CMD_ACTIVE is 0);
//! 2. what it signalled of the command before is cleared;
//! 3. the length, 1; the command START_TX; the byte, lowest in a word of the FIFO.
//!
//! Received bytes come in words of up to four; how many the last word has, RX_FIFO_STATUS says
//! while it is the only one. The word in hand is remembered. Boot does not start the secondary
//! sequencer where firmware has not: without its packing and its stale count, which firmware sets,
//! no word would ever end. There is no public manual; the registers are those of Linux's header
//! geni-se.h.

use crate::{Driver, Early, Registers, Width};

const STATUS: u64 = 0x40;
const TX_TRANS_LEN: u64 = 0x270;
const M_CMD0: u64 = 0x600;
const M_IRQ_EN: u64 = 0x614;
const M_IRQ_CLEAR: u64 = 0x618;
const S_IRQ_EN: u64 = 0x644;
const S_IRQ_CLEAR: u64 = 0x648;
const TX_FIFO: u64 = 0x700;
const RX_FIFO: u64 = 0x780;
const RX_FIFO_STATUS: u64 = 0x804;

const ACTIVE: u8 = 0;
const START_TX: u32 = 1 << 27;
const M_DONE: u32 = 1 << 0;
/// RX_FIFO_WATERMARK, RX_FIFO_LAST; the same bits for both sequencers.
const RECEIVED: u32 = 1 << 26 | 1 << 27;
/// RX_FIFO_WC.
const WORDS: u32 = 0x1ff_ffff;
/// RX_LAST.
const LAST: u32 = 1 << 31;
/// RX_LAST_BYTE_VALID; 0 is four.
const VALID: u32 = 28;

/// In the remembered word, the bytes that are left of three at most, and how many.
const LEFT: u32 = 24;

pub struct Geni<R> {
    pub registers: R,
}

impl<R: Registers> Driver for Geni<R> {
    type Registers = R;

    #[inline(always)]
    fn registers(&self) -> R {
        self.registers
    }

    #[inline(always)]
    fn enable(&self) {
        self.mask();
    }

    #[inline(always)]
    fn put(&self, byte: u8) -> bool {
        if self.is_busy() {
            return false;
        }
        self.registers.set_word(M_IRQ_CLEAR, M_DONE);
        self.registers.set_word(TX_TRANS_LEN, 1);
        self.registers.set_word(M_CMD0, START_TX);
        self.registers.set_word(TX_FIFO, u32::from(byte));
        true
    }

    fn get(&self) -> Option<u8> {
        let rest = self.registers.remembered();
        let left = rest >> LEFT;
        if left != 0 {
            self.registers.remember((left - 1) << LEFT | (rest & 0xff_ffff) >> 8);
            return Some(rest as u8);
        }
        let status = self.registers.word(RX_FIFO_STATUS);
        let words = status & WORDS;
        if words == 0 {
            return None;
        }
        let valid = match status >> VALID & 7 {
            valid @ 1..=3 if words == 1 && status & LAST != 0 => valid,
            _ => 4,
        };
        let word = self.registers.word(RX_FIFO);
        self.registers.remember((valid - 1) << LEFT | word >> 8);
        Some(word as u8)
    }

    #[inline(always)]
    fn interrupts(&self, output: bool) {
        self.registers.set_word(S_IRQ_EN, RECEIVED);
        self.registers.set_word(M_IRQ_EN, RECEIVED | if output { M_DONE } else { 0 });
    }

    #[inline(always)]
    fn mask(&self) {
        self.registers.set_word(S_IRQ_EN, 0);
        self.registers.set_word(M_IRQ_EN, 0);
    }

    #[inline(always)]
    fn acknowledge(&self) {
        self.registers.set_word(M_IRQ_CLEAR, u32::MAX);
        self.registers.set_word(S_IRQ_CLEAR, u32::MAX);
    }

    #[inline(always)]
    fn is_busy(&self) -> bool {
        self.registers.word(STATUS) & 1 << ACTIVE != 0
    }
}

impl Geni<()> {
    pub const EARLY: Early = Early {
        status: STATUS,
        status_width: Width::Word,
        bit: ACTIVE,
        ready: false,
        command: &[(TX_TRANS_LEN, 1), (M_CMD0, START_TX)],
        data: TX_FIFO,
        data_width: Width::Word,
    };

    /// Bytes from its base to behind its last register.
    pub const BYTES: u64 = RX_FIFO_STATUS + 4;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Chip, Handle, Kind, Line, bit, check};

    /// Its FIFO takes one command's bytes.
    struct Model {
        length: u32,
        /// Bytes that the command in hand still wants.
        wanted: u32,
        active: bool,
        m_enabled: u32,
        m_status: u32,
        s_enabled: u32,
        s_status: u32,
    }

    impl Chip for Model {
        fn read(&mut self, line: &mut Line, offset: u64, width: Width) -> u32 {
            assert_eq!(width, Width::Word);
            match offset {
                STATUS => bit(0, self.active) | 1 << 12,
                RX_FIFO => {
                    assert!(!line.received.is_empty(), "a read of an empty FIFO");
                    // What is behind the last byte is no byte.
                    let byte = |n| line.received.pop_front().map_or(0xee, u32::from) << (8 * n);
                    (0..4).map(byte).sum()
                }
                RX_FIFO_STATUS => {
                    let bytes = line.received.len() as u32;
                    let last = if bytes != 0 { LAST | (bytes % 4) << VALID } else { 0 };
                    last | bytes.div_ceil(4)
                }
                _ => panic!("no register to read at {offset:#x}"),
            }
        }

        fn write(&mut self, line: &mut Line, offset: u64, width: Width, value: u32) {
            assert_eq!(width, Width::Word);
            match offset {
                TX_TRANS_LEN => self.length = value,
                M_CMD0 => {
                    assert_eq!(value, START_TX);
                    assert!(!self.active, "a command while one runs");
                    (self.active, self.wanted) = (true, self.length);
                }
                TX_FIFO => {
                    assert!(self.active && self.wanted == 1, "a byte without a command");
                    self.wanted = 0;
                    line.push(value);
                }
                M_IRQ_EN => self.m_enabled = value,
                S_IRQ_EN => self.s_enabled = value,
                M_IRQ_CLEAR => self.m_status &= !value,
                S_IRQ_CLEAR => self.s_status &= !value,
                _ => panic!("no register to write at {offset:#x}"),
            }
        }

        fn asks(&self, line: &Line) -> bool {
            let received = if line.received.is_empty() { 0 } else { RECEIVED };
            self.m_enabled & self.m_status != 0 || self.s_enabled & (self.s_status | received) != 0
        }

        fn tick(&mut self, line: &mut Line) {
            if self.active && self.wanted == 0 && line.is_idle() {
                self.active = false;
                self.m_status |= M_DONE;
            }
        }
    }

    impl Kind for Geni<()> {
        type Driver<'a> = Geni<Handle<'a>>;
        const DEPTH: usize = 1;
        const BYTES: u64 = Self::BYTES;
        const EARLY: Early = Self::EARLY;

        fn chip() -> impl Chip + 'static {
            Model {
                length: 0,
                wanted: 0,
                active: false,
                m_enabled: M_DONE,
                m_status: M_DONE,
                s_enabled: 1,
                s_status: 1,
            }
        }

        fn driver(registers: Handle) -> Geni<Handle> {
            Geni { registers }
        }
    }

    #[test]
    fn geni() {
        check::<Geni<()>>();
    }
}
