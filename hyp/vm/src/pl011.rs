// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The UART that a guest sees: an Arm PL011 whose line is a ring to the console.
//!
//! DDI 0183G (PrimeCell UART PL011), revision r1p5. What is sent is taken at once while the
//! console's ring has room, so that the UART is never busy. Received bytes wait in a FIFO of 32,
//! and behind it on the line: what is pasted arrives as fast as the guest reads, as if its sender
//! kept to flow control. The receive timeout counts as passed as soon as a byte waits. Baud rate,
//! modem lines, DMA and loopback are stored or ignored. Registers answer to 8, 16 and 32 bits.

use plan::Masked;

/// Bits of RIS, MIS, IMSC and ICR.
const RECEIVE: u16 = 1 << 4;
const TRANSMIT: u16 = 1 << 5;
const RECEIVE_TIMEOUT: u16 = 1 << 6;
const OVERRUN: u16 = 1 << 10;
const ALL: u16 = 0x7ff;

/// Bits of FR.
const RECEIVE_EMPTY: u32 = 1 << 4;
const TRANSMIT_FULL: u32 = 1 << 5;
const RECEIVE_FULL: u32 = 1 << 6;
const TRANSMIT_EMPTY: u32 = 1 << 7;

/// LCRH.FEN.
const FIFO_ENABLE: u16 = 1 << 4;
/// CR at reset: transmit and receive enabled, the UART itself not.
const CR_RESET: u16 = 0x300;
/// IFLS at reset: both FIFOs at one half.
const IFLS_RESET: u16 = 0x12;
/// Overrun error in DR and RSR.
const DATA_OVERRUN: u32 = 1 << 11;
const STATUS_OVERRUN: u16 = 1 << 3;

/// UARTPeriphID0..3 and UARTPCellID0..3.
const IDENTIFICATION: [u8; 8] = [0x11, 0x10, 0x34, 0, 0x0d, 0xf0, 0x05, 0xb1];
/// Bytes of the receive FIFO.
const FIFO: usize = 32;
/// Bytes that may wait, in the FIFO and on the line.
const ROOM: usize = 1024;

#[derive(Debug)]
pub struct Uart {
    received: Masked<u8, ROOM>,
    first: u16,
    count: u16,
    overrun: bool,
    ibrd: u16,
    fbrd: u16,
    lcrh: u16,
    cr: u16,
    ifls: u16,
    imsc: u16,
    ris: u16,
    dmacr: u16,
}

impl Uart {
    pub const fn new() -> Self {
        Self { cr: CR_RESET, ifls: IFLS_RESET, ..Self::unpowered() }
    }

    /// All zero, before the VM's first reset: takes no room in the image.
    pub(crate) const fn unpowered() -> Self {
        Self {
            received: Masked::new([0; ROOM]),
            first: 0,
            count: 0,
            overrun: false,
            ibrd: 0,
            fbrd: 0,
            lcrh: 0,
            cr: 0,
            ifls: 0,
            imsc: 0,
            ris: 0,
            dmacr: 0,
        }
    }

    /// Level of the combined interrupt UARTINTR.
    #[inline]
    pub fn interrupt(&self) -> bool {
        self.ris & self.imsc != 0
    }

    /// Reads the register at `offset`; `full`: the console takes no byte now.
    pub fn read(&mut self, offset: u16, full: bool) -> u32 {
        if offset & 0xffc == 0 { self.take() } else { self.peek(offset, full) }
    }

    /// The same for a register that does not change by being read: all but the data.
    pub fn peek(&self, offset: u16, full: bool) -> u32 {
        match offset & 0xffc {
            0x018 => self.flags(full),
            0x004 => u32::from(if self.overrun { STATUS_OVERRUN } else { 0 }),
            0x024 => u32::from(self.ibrd),
            0x028 => u32::from(self.fbrd),
            0x02c => u32::from(self.lcrh),
            0x030 => u32::from(self.cr),
            0x034 => u32::from(self.ifls),
            0x038 => u32::from(self.imsc),
            0x03c => u32::from(self.ris),
            0x040 => u32::from(self.ris & self.imsc),
            0x048 => u32::from(self.dmacr),
            at @ 0xfe0.. => {
                IDENTIFICATION.get(usize::from(at - 0xfe0) / 4).map_or(0, |&byte| byte.into())
            }
            _ => 0,
        }
    }

    /// Writes the register at `offset`; a byte that the guest sends comes back. Data is sent
    /// whatever CR says: many guests print without any set-up.
    pub fn write(&mut self, offset: u16, value: u32) -> Option<u8> {
        let half = value as u16;
        match offset & 0xffc {
            0x000 => return Some(value as u8),
            // Any write to ECR clears the errors.
            0x004 => self.overrun = false,
            0x024 => self.ibrd = half,
            0x028 => self.fbrd = half & 0x3f,
            0x02c => {
                self.lcrh = half & 0xff;
                self.update();
            }
            0x030 => self.cr = half & 0xff87,
            0x034 => {
                self.ifls = half & 0x3f;
                self.update();
            }
            0x038 => self.imsc = half & ALL,
            // A level that still stands comes back.
            0x044 => {
                self.ris &= !(half & ALL);
                self.update();
            }
            0x048 => self.dmacr = half & 7,
            _ => {}
        }
        None
    }

    /// The console has taken what was sent, or has room again.
    #[inline]
    pub fn has_room(&mut self) {
        self.ris |= TRANSMIT;
    }

    /// A byte arrives from the console. If even the line is full it is lost, which the guest hears
    /// of, as from hardware.
    pub fn receive(&mut self, byte: u8) {
        if usize::from(self.count) >= ROOM {
            self.overrun = true;
            self.ris |= OVERRUN;
            return;
        }
        let place = usize::from(self.first.wrapping_add(self.count));
        self.received[place] = byte;
        self.count += 1;
        self.update();
    }

    fn flags(&self, full: bool) -> u32 {
        let receive = match usize::from(self.count) {
            0 => RECEIVE_EMPTY,
            count if count >= self.capacity() => RECEIVE_FULL,
            _ => 0,
        };
        receive | if full { TRANSMIT_FULL } else { TRANSMIT_EMPTY }
    }

    fn take(&mut self) -> u32 {
        if self.count == 0 {
            return 0;
        }
        let byte = self.received[usize::from(self.first)];
        self.first = self.first.wrapping_add(1) % ROOM as u16;
        self.count -= 1;
        self.update();
        u32::from(byte) | if self.overrun { DATA_OVERRUN } else { 0 }
    }

    fn capacity(&self) -> usize {
        if self.lcrh & FIFO_ENABLE == 0 { 1 } else { FIFO }
    }

    /// Bytes at which the receive interrupt stands.
    fn trigger(&self) -> u16 {
        if self.lcrh & FIFO_ENABLE == 0 {
            return 1;
        }
        match self.ifls >> 3 & 7 {
            0 => 4,
            1 => 8,
            2 => 16,
            3 => 24,
            _ => 28,
        }
    }

    /// Receive interrupts follow the FIFO's level.
    fn update(&mut self) {
        self.ris &= !(RECEIVE | RECEIVE_TIMEOUT);
        if self.count > 0 {
            self.ris |= RECEIVE_TIMEOUT;
        }
        if self.count >= self.trigger() {
            self.ris |= RECEIVE;
        }
    }
}

impl Default for Uart {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifies_itself_as_a_pl011() {
        let mut uart = Uart::new();
        let id = (0..4).fold(0, |id, n| id | uart.read(0xfe0 + 4 * n, false) << (8 * n));
        assert_eq!(id & 0x00ff_ffff, 0x0034_1011);
        let cell = (0..4).fold(0, |id, n| id | uart.read(0xff0 + 4 * n, false) << (8 * n));
        assert_eq!(cell, 0xb105_f00d);
    }

    #[test]
    fn sends_without_set_up_and_says_when_it_cannot() {
        let mut uart = Uart::new();
        assert_eq!(uart.write(0, 0x141), Some(b'A'));
        assert_eq!(uart.read(0x18, false), RECEIVE_EMPTY | TRANSMIT_EMPTY);
        assert_eq!(uart.read(0x18, true), RECEIVE_EMPTY | TRANSMIT_FULL);
    }

    #[test]
    fn receives_in_order_and_interrupts_by_level() {
        let mut uart = Uart::new();
        uart.write(0x2c, 0x70);
        uart.write(0x38, u32::from(RECEIVE_TIMEOUT));
        assert!(!uart.interrupt());
        uart.receive(b'x');
        uart.receive(b'y');
        assert!(uart.interrupt());
        uart.write(0x44, u32::MAX);
        assert!(uart.interrupt(), "a level cannot be cleared away");
        assert_eq!((uart.read(0, false), uart.read(0, false)), (u32::from(b'x'), u32::from(b'y')));
        assert!(!uart.interrupt());
        assert_eq!(uart.read(0, false), 0, "an empty FIFO reads as 0");
    }

    #[test]
    fn reset_values_and_what_is_kept() {
        let mut uart = Uart::new();
        assert_eq!((uart.read(0x30, false), uart.read(0x34, false)), (0x300, 0x12));
        uart.write(0x30, 0xffff);
        uart.write(0x34, 0xffff);
        assert_eq!((uart.read(0x30, false), uart.read(0x34, false)), (0xff87, 0x3f));
    }

    #[test]
    fn what_does_not_fit_the_fifo_waits_on_the_line() {
        for fifo in [0, u32::from(FIFO_ENABLE)] {
            let mut uart = Uart::new();
            uart.write(0x2c, fifo);
            let bytes = || (0..ROOM as u32).map(|n| n % 251);
            for byte in bytes() {
                uart.receive(byte as u8);
            }
            assert_eq!(uart.read(0x18, false) & RECEIVE_FULL, RECEIVE_FULL);
            for byte in bytes() {
                assert_eq!(uart.read(0, false), byte);
            }
            assert_eq!(uart.read(0x18, false) & RECEIVE_EMPTY, RECEIVE_EMPTY);
        }
    }

    #[test]
    fn a_full_line_loses_and_tells() {
        let mut uart = Uart::new();
        for _ in 0..ROOM {
            uart.receive(b'1');
        }
        assert_eq!((uart.read(4, false), uart.read(0x3c, false) & 0x400), (0, 0));
        uart.receive(b'2');
        assert_eq!((uart.read(4, false), uart.read(0x3c, false) & 0x400), (8, 0x400));
        uart.write(4, 0);
        assert_eq!(uart.read(0, false), u32::from(b'1'));
    }

    #[test]
    fn transmit_interrupt_after_each_byte_taken() {
        let mut uart = Uart::new();
        uart.write(0x38, u32::from(TRANSMIT));
        assert!(!uart.interrupt());
        uart.has_room();
        assert!(uart.interrupt());
        assert_eq!(uart.read(0x40, false), u32::from(TRANSMIT));
        uart.write(0x44, u32::from(TRANSMIT));
        assert!(!uart.interrupt());
    }
}
