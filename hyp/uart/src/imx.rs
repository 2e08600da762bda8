// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The UART of i.MX6, i.MX7 and i.MX8M (i.MX 8M Plus Reference Manual, chapter UART).
//!
//! Interrupts are bits of four control registers, beside bits that are firmware's. Input is
//! signalled by *data ready* (USR2.RDR), from the first byte on, whatever trigger level is set.

use crate::{Driver, Early, Registers, Width};

const URXD: u64 = 0x00;
const UTXD: u64 = 0x40;
const UCR1: u64 = 0x80;
const UCR2: u64 = 0x84;
const UCR3: u64 = 0x88;
const UCR4: u64 = 0x8c;
const USR1: u64 = 0x94;
const USR2: u64 = 0x98;
const UTS: u64 = 0xb4;

const UCR1_ON: u32 = 1 << 0;
const UCR1_READY: u32 = 1 << 13;
/// ADEN, TRDYEN, IDEN, RRDYEN, RXDMAEN, TXMPTYEN, RTSDEN, TXDMAEN, ATDMAEN.
const UCR1_ASKS: u32 =
    1 << 15 | UCR1_READY | 1 << 12 | 1 << 9 | 1 << 8 | 1 << 6 | 1 << 5 | 1 << 3 | 1 << 2;
/// TXEN, RXEN; SRST is 1 unless the UART is to be reset.
const UCR2_ON: u32 = 1 << 2 | 1 << 1 | 1 << 0;
/// ESCI, RTSEN, ATEN.
const UCR2_ASKS: u32 = 1 << 15 | 1 << 4 | 1 << 3;
/// DTREN, PARERREN, FRAERREN, RXDSEN, AIRINTEN, AWAKEN.
const UCR3_ASKS: u32 = 1 << 13 | 1 << 12 | 1 << 11 | 1 << 6 | 1 << 5 | 1 << 4;
const UCR4_DATA: u32 = 1 << 0;
/// ENIRI, WKEN, TCEN, BKEN, OREN, DREN.
const UCR4_ASKS: u32 = 1 << 8 | 1 << 7 | 1 << 3 | 1 << 2 | 1 << 1 | UCR4_DATA;
/// AGTIM, and the other flags that a 1 clears.
const USR1_FLAGS: u32 = 1 << 15 | 1 << 12 | 1 << 11 | 1 << 10 | 1 << 8 | 1 << 5 | 1 << 4;
const USR2_SENT: u32 = 1 << 3;
/// BRCD, ORE.
const USR2_FLAGS: u32 = 1 << 2 | 1 << 1;
const USR2_DATA: u32 = 1 << 0;
const FULL: u8 = 4;

pub struct Imx<R> {
    pub registers: R,
}

impl<R: Registers> Driver for Imx<R> {
    type Registers = R;

    #[inline(always)]
    fn registers(&self) -> R {
        self.registers
    }

    #[inline(always)]
    fn enable(&self) {
        self.registers.change(UCR1, UCR1_ASKS, UCR1_ON);
        self.registers.change(UCR2, UCR2_ASKS, UCR2_ON);
        self.registers.change(UCR3, UCR3_ASKS, 0);
        self.registers.change(UCR4, UCR4_ASKS, 0);
    }

    #[inline(always)]
    fn put(&self, byte: u8) -> bool {
        if self.registers.word(UTS) & 1 << FULL != 0 {
            return false;
        }
        self.registers.set_word(UTXD, u32::from(byte));
        true
    }

    #[inline(always)]
    fn get(&self) -> Option<u8> {
        (self.registers.word(USR2) & USR2_DATA != 0).then(|| self.registers.word(URXD) as u8)
    }

    #[inline(always)]
    fn interrupts(&self, output: bool) {
        self.registers.change(UCR4, 0, UCR4_DATA);
        self.registers.change(UCR1, UCR1_READY, if output { UCR1_READY } else { 0 });
    }

    #[inline(always)]
    fn mask(&self) {
        self.registers.change(UCR4, UCR4_DATA, 0);
        self.registers.change(UCR1, UCR1_READY, 0);
    }

    /// Both that are enabled are levels; flags of errors are cleared with them.
    #[inline(always)]
    fn acknowledge(&self) {
        self.registers.set_word(USR1, USR1_FLAGS);
        self.registers.set_word(USR2, USR2_FLAGS);
    }

    #[inline(always)]
    fn is_busy(&self) -> bool {
        self.registers.word(USR2) & USR2_SENT == 0
    }
}

impl Imx<()> {
    pub const EARLY: Early = Early {
        status: UTS,
        status_width: Width::Word,
        bit: FULL,
        ready: false,
        command: &[],
        data: UTXD,
        data_width: Width::Word,
    };

    /// Bytes from its base to behind its last register.
    pub const BYTES: u64 = UTS + 4;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Chip, Handle, Kind, Line, bit, check};

    /// UCR1 to UCR4. As firmware may leave them: every interrupt enabled.
    struct Model([u32; 4]);

    /// Bits of each that are firmware's: baud clock, word size, trigger levels.
    const KEPT: [u32; 4] = [1 << 1 | 1 << 4 | 1 << 7, 0x7fe0, 0x784, 0xfc60];

    impl Chip for Model {
        fn read(&mut self, line: &mut Line, offset: u64, width: Width) -> u32 {
            assert_eq!(width, Width::Word);
            match offset {
                URXD => 1 << 15 | line.pop(),
                UCR1 | UCR2 | UCR3 | UCR4 => self.0[(offset - UCR1) as usize / 4],
                USR2 => {
                    bit(0, !line.received.is_empty())
                        | bit(3, line.is_idle())
                        | bit(14, line.sending.is_empty())
                }
                UTS => bit(4, line.is_full()) | bit(5, line.received.is_empty()),
                _ => panic!("no register to read at {offset:#x}"),
            }
        }

        fn write(&mut self, line: &mut Line, offset: u64, width: Width, value: u32) {
            assert_eq!(width, Width::Word);
            match offset {
                UTXD => line.push(value),
                UCR1 | UCR2 | UCR3 | UCR4 => {
                    let number = (offset - UCR1) as usize / 4;
                    assert_eq!((value ^ self.0[number]) & KEPT[number], 0, "UCR{}", number + 1);
                    assert!(offset != UCR2 || value & 1 != 0, "a reset");
                    self.0[number] = value;
                }
                USR1 | USR2 => {}
                _ => panic!("no register to write at {offset:#x}"),
            }
        }

        fn asks(&self, line: &Line) -> bool {
            let ready = self.0[0] & UCR1_READY != 0 && line.sending.len() < 2;
            let data = self.0[3] & UCR4_DATA != 0 && !line.received.is_empty();
            let others = [UCR1_ASKS & !UCR1_READY, UCR2_ASKS, UCR3_ASKS, UCR4_ASKS & !UCR4_DATA];
            let others = self.0.iter().zip(others).any(|(register, asks)| register & asks != 0);
            ready || data || others
        }
    }

    impl Kind for Imx<()> {
        type Driver<'a> = Imx<Handle<'a>>;
        const DEPTH: usize = 32;
        const BYTES: u64 = Self::BYTES;
        const EARLY: Early = Self::EARLY;

        fn chip() -> impl Chip + 'static {
            Model([UCR1_ASKS | 1, 0x40ff, 0xffff, 0xffff])
        }

        fn driver(registers: Handle) -> Imx<Handle> {
            Imx { registers }
        }
    }

    #[test]
    fn imx() {
        check::<Imx<()>>();
    }
}
