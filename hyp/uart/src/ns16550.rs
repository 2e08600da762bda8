// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The 16550 (National Semiconductor PC16550D) and its likes.
//!
//! Its eight registers are `1 << shift` bytes apart and take accesses of one width. A register says
//! only that the transmit FIFO is empty; then it takes 16 bytes at once, or one if there is no FIFO
//! (IIR bits 7:6). Synopsys's DW_apb_uart differs in two ways that hang a driver which does not
//! know:
//!
//! 1. a write to LCR while a byte is under way raises an interrupt of its own, IIR.ID = 7, which a
//!    read of USR takes back. USR is the register with the number 31;
//! 2. it signals a receive timeout with no byte there, which a read of the receive buffer takes
//!    back.

use crate::{Driver, Early, Registers, Width};

const DATA: u64 = 0;
const IER: u64 = 1;
const IIR: u64 = 2;
const FCR: u64 = 2;
const LCR: u64 = 3;
const LSR: u64 = 5;
const USR: u64 = 31;

const IER_RECEIVED: u32 = 1 << 0;
const IER_EMPTY: u32 = 1 << 1;
const IIR_ID: u32 = 0xf;
const IIR_BUSY: u32 = 0x7;
const IIR_TIMEOUT: u32 = 0xc;
const IIR_FIFOS: u32 = 3 << 6;
const FCR_ON: u32 = 1 << 0;
const LCR_DIVISOR: u32 = 1 << 7;
const LSR_RECEIVED: u32 = 1 << 0;
const LSR_BREAK: u32 = 1 << 4;
const LSR_EMPTY: u32 = 1 << EMPTY;
const EMPTY: u8 = 5;
const LSR_IDLE: u32 = 1 << 6;

/// What the transmit FIFO takes when it is empty.
const FIFO: u32 = 16;
/// In the remembered word: there is a FIFO. The rest is the room that is known to be left.
const HAS_FIFO: u32 = 1 << 31;

pub struct Ns16550<R> {
    pub registers: R,
    /// Its registers are `1 << shift` bytes apart.
    pub shift: u8,
    pub width: Width,
}

impl<R: Registers> Ns16550<R> {
    #[inline(always)]
    fn read(&self, number: u64) -> u32 {
        self.registers.read(number << self.shift, self.width)
    }

    #[inline(always)]
    fn write(&self, number: u64, value: u32) {
        self.registers.write(number << self.shift, self.width, value);
    }
}

impl<R: Registers> Driver for Ns16550<R> {
    type Registers = R;

    #[inline(always)]
    fn registers(&self) -> R {
        self.registers
    }

    #[inline(always)]
    fn enable(&self) {
        // With the divisor in place of the registers 0 and 1, the next writes would change the baud
        // rate.
        let line = self.read(LCR);
        if line & LCR_DIVISOR != 0 {
            self.write(LCR, line & !LCR_DIVISOR);
        }
        self.write(IER, 0);
        self.write(FCR, FCR_ON);
        let fifo = self.read(IIR) & IIR_FIFOS == IIR_FIFOS;
        self.registers.remember(if fifo { HAS_FIFO } else { 0 });
    }

    #[inline(always)]
    fn put(&self, byte: u8) -> bool {
        let remembered = self.registers.remembered();
        let mut room = remembered & !HAS_FIFO;
        if room == 0 {
            if self.read(LSR) & LSR_EMPTY == 0 {
                return false;
            }
            room = if remembered & HAS_FIFO != 0 { FIFO } else { 1 };
        }
        self.write(DATA, u32::from(byte));
        self.registers.remember(remembered & HAS_FIFO | (room - 1));
        true
    }

    #[inline(always)]
    fn get(&self) -> Option<u8> {
        (self.read(LSR) & LSR_RECEIVED != 0).then(|| self.read(DATA) as u8)
    }

    #[inline(always)]
    fn interrupts(&self, output: bool) {
        self.write(IER, IER_RECEIVED | if output { IER_EMPTY } else { 0 });
    }

    #[inline(always)]
    fn mask(&self) {
        self.write(IER, 0);
    }

    #[inline(always)]
    fn acknowledge(&self) {
        match self.read(IIR) & IIR_ID {
            IIR_BUSY => {
                self.read(USR);
            }
            IIR_TIMEOUT if self.read(LSR) & (LSR_RECEIVED | LSR_BREAK) == 0 => {
                self.read(DATA);
            }
            _ => {}
        }
    }

    #[inline(always)]
    fn is_busy(&self) -> bool {
        self.read(LSR) & LSR_IDLE == 0
    }
}

impl Ns16550<()> {
    pub const fn early(shift: u8, width: Width) -> Early {
        Early {
            status: LSR << shift,
            status_width: width,
            bit: EMPTY,
            ready: true,
            command: &[],
            data: DATA << shift,
            data_width: width,
        }
    }

    /// Bytes from its base to behind its last register but USR, which DW_apb_uart alone has.
    pub const fn bytes(shift: u8, width: Width) -> u64 {
        (7 << shift) + width as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Chip, Handle, Kind, Line, bit, check, with};

    /// A DW_apb_uart.
    struct Model {
        shift: u8,
        width: Width,
        fifo: bool,
        enabled: u32,
        fcr: u32,
        lcr: u32,
        busy: bool,
        timeout: bool,
    }

    impl Model {
        fn new(shift: u8, width: Width, fifo: bool) -> Self {
            // As firmware may leave it, with an interrupt enabled.
            let (enabled, lcr) = (IER_EMPTY, 0x03);
            Self { shift, width, fifo, enabled, fcr: 0, lcr, busy: false, timeout: false }
        }

        fn number(&self, offset: u64, width: Width) -> u64 {
            assert_eq!(width, self.width);
            assert!(offset.is_multiple_of(1 << self.shift), "between registers: {offset:#x}");
            offset >> self.shift
        }

        fn id(&self, line: &Line) -> u32 {
            match () {
                _ if self.busy => IIR_BUSY,
                _ if self.enabled & 1 != 0 && !line.received.is_empty() => 4,
                _ if self.enabled & 1 != 0 && self.timeout => IIR_TIMEOUT,
                _ if self.enabled & 2 != 0 && line.sending.is_empty() => 2,
                _ => 1,
            }
        }
    }

    impl Chip for Model {
        fn read(&mut self, line: &mut Line, offset: u64, width: Width) -> u32 {
            let divisor = self.lcr & LCR_DIVISOR != 0;
            match self.number(offset, width) {
                DATA if !divisor && self.timeout && line.received.is_empty() => {
                    self.timeout = false;
                    0
                }
                DATA if !divisor => line.pop(),
                IIR => self.id(line) | if self.fifo && self.fcr & 1 != 0 { IIR_FIFOS } else { 0 },
                LCR => self.lcr,
                LSR => {
                    bit(0, !line.received.is_empty())
                        | bit(5, line.sending.is_empty())
                        | bit(6, line.is_idle())
                }
                USR => {
                    self.busy = false;
                    0
                }
                number => panic!("register {number} read, divisor in view: {divisor}"),
            }
        }

        fn write(&mut self, line: &mut Line, offset: u64, width: Width, value: u32) {
            let divisor = self.lcr & LCR_DIVISOR != 0;
            match self.number(offset, width) {
                DATA if !divisor => line.push(value),
                IER if !divisor => self.enabled = value,
                FCR => {
                    // Bits 1 and 2 would throw away what firmware sent.
                    assert_eq!(value & 6, 0);
                    self.fcr = value;
                }
                LCR => {
                    assert_eq!(value & 0x7f, self.lcr & 0x7f, "the line's format is firmware's");
                    self.lcr = value;
                }
                number => panic!("register {number} written, divisor in view: {divisor}"),
            }
        }

        fn asks(&self, line: &Line) -> bool {
            self.id(line) != 1
        }
    }

    macro_rules! kind {
        ($kind:ident, $shift:expr, $width:expr, $fifo:expr) => {
            struct $kind;

            impl Kind for $kind {
                type Driver<'a> = Ns16550<Handle<'a>>;
                const DEPTH: usize = if $fifo { 16 } else { 1 };
                const BYTES: u64 = Ns16550::bytes($shift, $width);
                const EARLY: Early = Ns16550::early($shift, $width);

                fn chip() -> impl Chip + 'static {
                    Model::new($shift, $width, $fifo)
                }

                fn driver(registers: Handle) -> Ns16550<Handle> {
                    Ns16550 { registers, shift: $shift, width: $width }
                }
            }
        };
    }

    kind!(Synopsys, 2, Width::Word, true);
    kind!(National, 0, Width::Byte, true);
    kind!(NoFifo, 2, Width::Byte, false);

    #[test]
    fn registers_of_words() {
        check::<Synopsys>();
    }

    #[test]
    fn registers_of_bytes() {
        check::<National>();
    }

    #[test]
    fn one_byte_at_once_without_a_fifo() {
        check::<NoFifo>();
    }

    #[test]
    fn divisor_in_view_is_put_away() {
        let chip = Model { lcr: 0x83, ..Model::new(2, Width::Word, true) };
        with(chip, 16, |handle| {
            let uart = Synopsys::driver(handle);
            uart.enable();
            assert!(uart.put(b'x'));
            assert_eq!(handle.sent(), b"x");
        });
    }

    #[test]
    fn oddities_are_taken_back() {
        for (busy, timeout) in [(true, false), (false, true)] {
            let chip = Model { busy, timeout, ..Model::new(2, Width::Word, true) };
            with(chip, 16, |handle| {
                let uart = Synopsys::driver(handle);
                uart.enable();
                uart.interrupts(false);
                assert!(handle.asks());
                uart.acknowledge();
                assert!(!handle.asks(), "busy {busy}, timeout {timeout}");
            });
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(Ns16550::bytes(0, Width::Byte), 8);
        assert_eq!(Ns16550::bytes(2, Width::Word), 0x20);
        assert_eq!(Ns16550::bytes(2, Width::Byte), 0x1d);
    }
}
