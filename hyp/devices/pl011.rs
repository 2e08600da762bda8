// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The board's UART: a PL011 (Arm DDI 0183).
//!
//! Firmware or the reset state has set the line; EL2 turns the FIFOs on, and interrupts when it
//! needs them. Every call is short: nothing here waits, except `put_patiently` and `drain`, whose
//! waits are bounded.

use crate::state::system::Built;
use arch::device::Device;

const DR: u64 = 0x00;
const FR: u64 = arch::head::FLAGS;
const LCR_H: u64 = 0x2c;
const CR: u64 = 0x30;
const IMSC: u64 = 0x38;
const ICR: u64 = 0x44;

const FR_BUSY: u32 = 1 << 3;
const FR_RX_EMPTY: u32 = 1 << 4;
const FR_TX_FULL: u32 = 1 << arch::head::FULL;
const INT_RX: u32 = 1 << 4;
const INT_TX: u32 = 1 << 5;
const INT_RX_TIMEOUT: u32 = 1 << 6;

/// Polls of a full FIFO before a character is given up: a second and more at any speed in use.
const PATIENCE: u32 = 10_000_000;

const UART: Device = Device::uart::<Built>();

pub struct Pl011;

impl Pl011 {
    /// 8 bits, FIFOs on, both directions on, no interrupt.
    pub fn enable(&self) {
        UART.write(IMSC, 0);
        UART.write(ICR, 0x7ff);
        UART.write(LCR_H, 0x70);
        UART.write(CR, 0x301);
    }

    /// Puts one byte into the FIFO; false if it is full.
    pub fn put(&self, byte: u8) -> bool {
        if UART.read(FR) & FR_TX_FULL != 0 {
            return false;
        }
        UART.write(DR, u32::from(byte));
        true
    }

    /// Takes one byte that was received.
    pub fn get(&self) -> Option<u8> {
        if UART.read(FR) & FR_RX_EMPTY != 0 {
            return None;
        }
        Some(UART.read(DR) as u8)
    }

    /// Interrupts: always for input, for output only while `output` waits.
    pub fn interrupts(&self, output: bool) {
        UART.write(IMSC, INT_RX | INT_RX_TIMEOUT | if output { INT_TX } else { 0 });
    }

    /// No interrupt.
    pub fn mask(&self) {
        UART.write(IMSC, 0);
    }

    pub fn acknowledge(&self) {
        UART.write(ICR, INT_RX | INT_RX_TIMEOUT | INT_TX);
    }

    /// Puts one byte, waiting for room within bounds; a UART that never has room loses it.
    pub fn put_patiently(&self, byte: u8) {
        for _ in 0..PATIENCE {
            if self.put(byte) {
                return;
            }
            arch::sysreg::pause();
        }
    }

    /// Waits within bounds until the last byte is on the line: the board may lose its power then.
    pub fn drain(&self) {
        for _ in 0..PATIENCE {
            if UART.read(FR) & FR_BUSY == 0 {
                return;
            }
            arch::sysreg::pause();
        }
    }
}
