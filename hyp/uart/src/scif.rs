// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Renesas's SCIF and HSCIF, as in R-Car (R-Car Gen3 User's Manual, chapters SCIF and HSCIF).
//!
//! Registers are 16 bits wide, data 8. How full the FIFOs are is SCFDR's to say; its topmost bit of
//! the transmit count is set by a full FIFO alone. A flag of SCFSR is cleared by writing 0 after it
//! was read as 1, and comes back while its cause is there: the interrupt that follows clears it. A
//! receiver that overran (SCLSR.ORER) stands still until that is cleared.

use crate::{Driver, Early, Registers, Width};

const SCSCR: u64 = 0x08;
const SCFTDR: u64 = 0x0c;
const SCFSR: u64 = 0x10;
const SCFRDR: u64 = 0x14;
const SCFDR: u64 = 0x1c;
const SCLSR: u64 = 0x24;

const SCR_INPUT: u32 = 1 << 6;
const SCR_OUTPUT: u32 = 1 << 7;
/// TE, RE.
const SCR_ON: u32 = 1 << 5 | 1 << 4;
/// TIE, RIE, REIE, TOIE.
const SCR_ASKS: u32 = SCR_OUTPUT | SCR_INPUT | 1 << 3 | 1 << 2;
/// ER, TDFE, BRK, RDF, DR.
const FSR_FLAGS: u32 = 1 << 7 | 1 << 5 | 1 << 4 | 1 << 1 | 1 << 0;
const FSR_SENT: u32 = 1 << 6;
const LSR_OVERRUN: u32 = 1 << 0;
/// Transmit counts of a full FIFO: 16 and 128.
const SCIF_FULL: u8 = 12;
const HSCIF_FULL: u8 = 15;

/// 16 bytes in each FIFO.
pub struct Scif<R> {
    pub registers: R,
}

/// 128 bytes.
pub struct Hscif<R> {
    pub registers: R,
}

fn get(registers: impl Registers) -> Option<u8> {
    (registers.read(SCFDR, Width::Half) & 0xff != 0)
        .then(|| registers.read(SCFRDR, Width::Byte) as u8)
}

fn put(registers: impl Registers, full: u8, byte: u8) -> bool {
    if registers.read(SCFDR, Width::Half) & 1 << full != 0 {
        return false;
    }
    registers.write(SCFTDR, Width::Byte, u32::from(byte));
    true
}

/// Clears and sets bits of SCSCR.
fn control(registers: impl Registers, clear: u32, set: u32) {
    let value = registers.read(SCSCR, Width::Half) & !clear | set;
    registers.write(SCSCR, Width::Half, value);
}

fn acknowledge(registers: impl Registers) {
    let status = registers.read(SCFSR, Width::Half);
    registers.write(SCFSR, Width::Half, status & !FSR_FLAGS);
    if registers.read(SCLSR, Width::Half) & LSR_OVERRUN != 0 {
        registers.write(SCLSR, Width::Half, 0);
    }
}

/// TEND is a flag of the past until a byte has cleared it; a FIFO with a byte is busy whatever it
/// says.
fn is_busy(registers: impl Registers) -> bool {
    registers.read(SCFDR, Width::Half) >> 8 != 0
        || registers.read(SCFSR, Width::Half) & FSR_SENT == 0
}

macro_rules! driver {
    ($kind:ident, $full:expr) => {
        impl<R: Registers> Driver for $kind<R> {
            type Registers = R;

            #[inline(always)]
            fn registers(&self) -> R {
                self.registers
            }

            fn enable(&self) {
                control(self.registers, SCR_ASKS, SCR_ON);
                acknowledge(self.registers);
            }

            #[inline(always)]
            fn put(&self, byte: u8) -> bool {
                put(self.registers, $full, byte)
            }

            fn get(&self) -> Option<u8> {
                get(self.registers)
            }

            fn interrupts(&self, output: bool) {
                let output = if output { SCR_OUTPUT } else { 0 };
                control(self.registers, SCR_ASKS, SCR_INPUT | output);
            }

            fn mask(&self) {
                control(self.registers, SCR_ASKS, 0);
            }

            fn acknowledge(&self) {
                acknowledge(self.registers);
            }

            fn is_busy(&self) -> bool {
                is_busy(self.registers)
            }
        }

        impl $kind<()> {
            pub const EARLY: Early = Early {
                status: SCFDR,
                status_width: Width::Half,
                bit: $full,
                ready: false,
                command: &[],
                data: SCFTDR,
                data_width: Width::Byte,
            };

            /// Bytes from its base to behind its last register.
            pub const BYTES: u64 = SCLSR + 2;
        }
    };
}

driver!(Scif, SCIF_FULL);
driver!(Hscif, HSCIF_FULL);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Chip, Handle, Kind, Line, bit, check, with};

    struct Model {
        control: u32,
        /// Flags that were raised and not cleared.
        status: u32,
        /// Flags that were read as 1 since.
        seen: u32,
        overrun: bool,
    }

    impl Model {
        const fn new(overrun: bool) -> Self {
            Self { control: SCR_ASKS, status: 0xf3, seen: 0, overrun }
        }

        /// Flags whose cause is there; the receive trigger is 1, the transmit trigger 8.
        fn causes(line: &Line) -> u32 {
            bit(1, !line.received.is_empty())
                | bit(5, line.sending.len() <= 8)
                | bit(6, line.is_idle())
        }
    }

    impl Chip for Model {
        fn read(&mut self, line: &mut Line, offset: u64, width: Width) -> u32 {
            match (offset, width) {
                (SCSCR, Width::Half) => self.control,
                (SCFSR, Width::Half) => {
                    self.status |= Self::causes(line);
                    self.seen = self.status;
                    self.status
                }
                (SCFRDR, Width::Byte) => line.pop(),
                (SCFDR, Width::Half) => {
                    (line.sending.len() as u32) << 8 | line.received.len() as u32
                }
                (SCLSR, Width::Half) => bit(0, self.overrun),
                _ => panic!("no register to read at {offset:#x}, {width:?}"),
            }
        }

        fn write(&mut self, line: &mut Line, offset: u64, width: Width, value: u32) {
            match (offset, width) {
                (SCSCR, Width::Half) => self.control = value,
                (SCFTDR, Width::Byte) => {
                    self.status &= !FSR_SENT;
                    line.push(value);
                }
                (SCFSR, Width::Half) => {
                    self.status = self.status & (value | !self.seen) | Self::causes(line);
                    self.seen = 0;
                }
                (SCLSR, Width::Half) => self.overrun &= value & LSR_OVERRUN != 0,
                _ => panic!("no register to write at {offset:#x}, {width:?}"),
            }
        }

        fn asks(&self, line: &Line) -> bool {
            let status = self.status | Self::causes(line);
            self.control & SCR_INPUT != 0 && status & 0x93 != 0
                || self.control & SCR_OUTPUT != 0 && status & 0x20 != 0
                || self.control & 0xc != 0
        }

        fn tick(&mut self, line: &mut Line) {
            self.status |= Self::causes(line);
        }
    }

    macro_rules! kind {
        ($kind:ident, $depth:expr) => {
            impl Kind for $kind<()> {
                type Driver<'a> = $kind<Handle<'a>>;
                const DEPTH: usize = $depth;
                const BYTES: u64 = Self::BYTES;
                const EARLY: Early = Self::EARLY;

                fn chip() -> impl Chip + 'static {
                    Model::new(false)
                }

                fn driver(registers: Handle) -> $kind<Handle> {
                    $kind { registers }
                }
            }
        };
    }

    kind!(Scif, 16);
    kind!(Hscif, 128);

    #[test]
    fn scif() {
        check::<Scif<()>>();
    }

    #[test]
    fn hscif() {
        check::<Hscif<()>>();
    }

    #[test]
    fn overrun_is_cleared() {
        with(Model::new(true), 16, |handle| {
            Scif { registers: handle }.acknowledge();
            assert_eq!(handle.read(SCLSR, Width::Half), 0);
        });
    }
}
