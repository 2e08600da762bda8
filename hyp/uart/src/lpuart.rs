// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The 32-bit LPUART of i.MX7ULP, i.MX8QXP, i.MX8ULP and i.MX9 (i.MX 93 Reference Manual, chapter
//! LPUART).
//!
//! Four registers (version, parameters, global, pins) stand before those that older LPUARTs have;
//! the base is that of the first, as in a device tree. *Transmit data register empty* is how it
//! says that there is room. A receiver that overran stands still until that is acknowledged.

use crate::{Driver, Early, Registers, Width};

const STAT: u64 = 0x14;
const CTRL: u64 = 0x18;
const DATA: u64 = 0x1c;
const WATER: u64 = 0x2c;

const STAT_ROOM: u32 = 1 << ROOM;
const ROOM: u8 = 23;
const STAT_SENT: u32 = 1 << 22;
const CTRL_ROOM: u32 = 1 << 23;
const CTRL_DATA: u32 = 1 << 21;
/// The line is idle: bytes below the FIFO's watermark are there as well.
const CTRL_IDLE: u32 = 1 << 20;
/// ORIE, NEIE, FEIE, PEIE, TIE, TCIE, RIE, ILIE, MA1IE, MA2IE.
const CTRL_ASKS: u32 = 0xf << 24 | CTRL_ROOM | 1 << 22 | CTRL_DATA | CTRL_IDLE | 3 << 14;
/// TE, RE.
const CTRL_ON: u32 = 1 << 19 | 1 << 18;
/// RXCOUNT.
const WATER_DATA: u32 = 0xff << 24;

pub struct Lpuart<R> {
    pub registers: R,
}

impl<R: Registers> Driver for Lpuart<R> {
    type Registers = R;

    #[inline(always)]
    fn registers(&self) -> R {
        self.registers
    }

    /// The FIFOs stay as firmware left them: they change only with both directions off.
    #[inline(always)]
    fn enable(&self) {
        self.registers.change(CTRL, CTRL_ASKS, CTRL_ON);
    }

    #[inline(always)]
    fn put(&self, byte: u8) -> bool {
        if self.registers.word(STAT) & STAT_ROOM == 0 {
            return false;
        }
        self.registers.set_word(DATA, u32::from(byte));
        true
    }

    #[inline(always)]
    fn get(&self) -> Option<u8> {
        (self.registers.word(WATER) & WATER_DATA != 0).then(|| self.registers.word(DATA) as u8)
    }

    #[inline(always)]
    fn interrupts(&self, output: bool) {
        let input = CTRL_DATA | CTRL_IDLE;
        self.registers.change(CTRL, CTRL_ASKS, input | if output { CTRL_ROOM } else { 0 });
    }

    #[inline(always)]
    fn mask(&self) {
        self.registers.change(CTRL, CTRL_ASKS, 0);
    }

    /// Flags are cleared by a 1; the other bits are the line's and stay.
    #[inline(always)]
    fn acknowledge(&self) {
        self.registers.change(STAT, 0, 0);
    }

    #[inline(always)]
    fn is_busy(&self) -> bool {
        self.registers.word(STAT) & STAT_SENT == 0
    }
}

impl Lpuart<()> {
    pub const EARLY: Early = Early {
        status: STAT,
        status_width: Width::Word,
        bit: ROOM,
        ready: true,
        command: &[],
        data: DATA,
        data_width: Width::Word,
    };

    /// Bytes from its base to behind its last register.
    pub const BYTES: u64 = WATER + 4;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Chip, Handle, Kind, Line, bit, check, with};

    const OVERRUN: u32 = 1 << 19;
    const IDLE: u32 = 1 << 20;
    const FLAGS: u32 = 3 << 30 | IDLE | OVERRUN | 7 << 16 | 3 << 14;
    /// MSBF, RXINV, RWUID, BRK13, LBKDE.
    const FORMAT: u32 = 1 << 27;

    /// With the FIFOs on and watermarks of 0 (transmit) and 2 (receive).
    struct Model {
        control: u32,
        flags: u32,
    }

    impl Chip for Model {
        fn read(&mut self, line: &mut Line, offset: u64, width: Width) -> u32 {
            assert_eq!(width, Width::Word);
            match offset {
                STAT => {
                    // Sooner or later the line is idle behind what was received.
                    self.flags |= bit(20, !line.received.is_empty());
                    self.flags
                        | FORMAT
                        | bit(21, line.received.len() > 2)
                        | bit(22, line.is_idle())
                        | bit(23, line.sending.is_empty())
                }
                CTRL => self.control,
                DATA => line.pop(),
                WATER => (line.received.len() as u32) << 24 | (line.sending.len() as u32) << 8,
                _ => panic!("no register to read at {offset:#x}"),
            }
        }

        fn write(&mut self, line: &mut Line, offset: u64, width: Width, value: u32) {
            assert_eq!(width, Width::Word);
            match offset {
                STAT => {
                    assert_eq!(value & 0x3f << 24, FORMAT, "the line's format is firmware's");
                    self.flags &= !(value & FLAGS);
                }
                CTRL => {
                    assert_eq!((value ^ self.control) & 0x3fff, 0, "the line's format");
                    self.control = value;
                }
                DATA => line.push(value),
                _ => panic!("no register to write at {offset:#x}"),
            }
        }

        fn asks(&self, line: &Line) -> bool {
            let idle = self.flags & IDLE != 0 || !line.received.is_empty();
            let now = bit(20, idle)
                | bit(21, line.received.len() > 2)
                | bit(22, line.is_idle())
                | bit(23, line.sending.is_empty())
                | bit(27, self.flags & OVERRUN != 0);
            self.control & now & CTRL_ASKS != 0
        }
    }

    impl Kind for Lpuart<()> {
        type Driver<'a> = Lpuart<Handle<'a>>;
        const DEPTH: usize = 16;
        const BYTES: u64 = Self::BYTES;
        const EARLY: Early = Self::EARLY;

        fn chip() -> impl Chip + 'static {
            Model { control: CTRL_ASKS | CTRL_ON | 0x10, flags: 0 }
        }

        fn driver(registers: Handle) -> Lpuart<Handle> {
            Lpuart { registers }
        }
    }

    #[test]
    fn lpuart() {
        check::<Lpuart<()>>();
    }

    #[test]
    fn overrun_is_cleared() {
        with(Model { control: 1 << 27, flags: OVERRUN }, 16, |handle| {
            assert!(handle.asks());
            Lpuart { registers: handle }.acknowledge();
            assert!(!handle.asks());
        });
    }
}
