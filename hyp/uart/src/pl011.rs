// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Arm's PL011 (DDI 0183), and the Generic UART of Arm's SBSA (DEN 0029 appendix B).
//!
//! The Generic UART has the PL011's data, flag and interrupt registers and no others: its line is
//! firmware's alone. So is that of a PL011 whose registers take no 32-bit access, because UARTCR is
//! wider than a byte.

use crate::{Driver, Early, Registers, Width};

const DR: u64 = 0x00;
const FR: u64 = 0x18;
const LCR_H: u64 = 0x2c;
const CR: u64 = 0x30;
const IMSC: u64 = 0x38;
const ICR: u64 = 0x44;

const FR_BUSY: u32 = 1 << 3;
const FR_RX_EMPTY: u32 = 1 << 4;
const FR_TX_FULL: u32 = 1 << FULL;
const FULL: u8 = 5;
const INT_RX: u32 = 1 << 4;
const INT_TX: u32 = 1 << 5;
const INT_RX_TIMEOUT: u32 = 1 << 6;

/// A PL011, whose registers take accesses of this width.
pub struct Pl011<R> {
    pub registers: R,
    pub width: Width,
}

/// A Generic UART.
pub struct Sbsa<R> {
    pub registers: R,
}

/// What both have.
macro_rules! common {
    () => {
        type Registers = R;

        #[inline(always)]
        fn registers(&self) -> R {
            self.registers
        }

        #[inline(always)]
        fn put(&self, byte: u8) -> bool {
            if self.read(FR) & FR_TX_FULL != 0 {
                return false;
            }
            self.write(DR, u32::from(byte));
            true
        }

        #[inline(always)]
        fn get(&self) -> Option<u8> {
            if self.read(FR) & FR_RX_EMPTY != 0 {
                return None;
            }
            Some(self.read(DR) as u8)
        }

        #[inline(always)]
        fn interrupts(&self, output: bool) {
            self.write(IMSC, INT_RX | INT_RX_TIMEOUT | if output { INT_TX } else { 0 });
        }

        #[inline(always)]
        fn mask(&self) {
            self.write(IMSC, 0);
        }

        #[inline(always)]
        fn acknowledge(&self) {
            self.write(ICR, INT_RX | INT_RX_TIMEOUT | INT_TX);
        }

        #[inline(always)]
        fn is_busy(&self) -> bool {
            self.read(FR) & FR_BUSY != 0
        }
    };
}

impl<R: Registers> Pl011<R> {
    #[inline(always)]
    fn read(&self, offset: u64) -> u32 {
        self.registers.read(offset, self.width)
    }

    #[inline(always)]
    fn write(&self, offset: u64, value: u32) {
        self.registers.write(offset, self.width, value);
    }
}

impl<R: Registers> Sbsa<R> {
    #[inline(always)]
    fn read(&self, offset: u64) -> u32 {
        self.registers.word(offset)
    }

    #[inline(always)]
    fn write(&self, offset: u64, value: u32) {
        self.registers.set_word(offset, value);
    }
}

impl<R: Registers> Driver for Pl011<R> {
    common!();

    /// 8 bits, too: a PL011 is often one that no firmware has touched.
    #[inline(always)]
    fn enable(&self) {
        self.write(IMSC, 0);
        if self.width == Width::Word {
            self.write(ICR, 0x7ff);
            self.write(LCR_H, 0x70);
            self.write(CR, 0x301);
        }
    }
}

impl<R: Registers> Driver for Sbsa<R> {
    common!();

    #[inline(always)]
    fn enable(&self) {
        self.write(IMSC, 0);
        self.write(ICR, 0x7ff);
    }
}

impl Pl011<()> {
    pub const fn early(width: Width) -> Early {
        Early {
            status: FR,
            status_width: width,
            bit: FULL,
            ready: false,
            command: &[],
            data: DR,
            data_width: width,
        }
    }

    /// Bytes from its base to behind its last register.
    pub const BYTES: u64 = ICR + 4;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Chip, Handle, Kind, Line, bit, check};

    struct Model {
        width: Width,
        /// UARTLCR_H and UARTCR are there.
        line: bool,
        mask: u32,
        /// A receive timeout that was not cleared.
        timeout: bool,
    }

    impl Chip for Model {
        fn read(&mut self, line: &mut Line, offset: u64, width: Width) -> u32 {
            assert_eq!(width, self.width);
            match offset {
                DR => line.pop(),
                FR => {
                    bit(3, !line.is_idle())
                        | bit(4, line.received.is_empty())
                        | bit(5, line.is_full())
                        | bit(7, line.sending.is_empty())
                }
                _ => panic!("no register to read at {offset:#x}"),
            }
        }

        fn write(&mut self, line: &mut Line, offset: u64, width: Width, value: u32) {
            assert_eq!(width, self.width);
            match offset {
                DR => line.push(value),
                IMSC => {
                    assert_eq!(value & !0x7f2, 0);
                    self.mask = value;
                }
                ICR => self.timeout &= value & INT_RX_TIMEOUT == 0,
                LCR_H if self.line => assert_eq!(value, 0x70),
                CR if self.line => assert_eq!(value, 0x301),
                _ => panic!("no register to write at {offset:#x}"),
            }
        }

        fn asks(&self, line: &Line) -> bool {
            let raw = bit(4, !line.received.is_empty())
                | bit(5, line.sending.len() <= line.depth / 2)
                | bit(6, self.timeout);
            raw & self.mask != 0
        }
    }

    macro_rules! kind {
        ($kind:ident, $driver:ident, $width:expr, $line:expr, $($field:ident)?) => {
            struct $kind;

            impl Kind for $kind {
                type Driver<'a> = $driver<Handle<'a>>;
                const DEPTH: usize = 32;
                const BYTES: u64 = Pl011::BYTES;
                const EARLY: Early = Pl011::early($width);

                fn chip() -> impl Chip + 'static {
                    Model { width: $width, line: $line, mask: INT_TX, timeout: true }
                }

                fn driver(registers: Handle) -> $driver<Handle> {
                    $driver { registers, $($field: $width)? }
                }
            }
        };
    }

    kind!(Usual, Pl011, Width::Word, true, width);
    kind!(Narrow, Pl011, Width::Byte, false, width);
    kind!(Generic, Sbsa, Width::Word, false,);

    #[test]
    fn pl011() {
        check::<Usual>();
    }

    #[test]
    fn narrow_registers_keep_the_line() {
        check::<Narrow>();
    }

    #[test]
    fn generic_uart_has_no_line() {
        check::<Generic>();
    }
}
