// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where the console's bytes go: the board's UART, or the log of a board without one.
//!
//! The plan decides at build time; the other's code is not in the image.

use super::pl011::Pl011;
use crate::state::system::Built;
use arch::log::Ring;

pub enum Line {
    Uart(Pl011),
    Log(Ring<Built>),
}

impl Line {
    pub const fn of_board() -> Self {
        match Ring::of_board() {
            Some(ring) => Self::Log(ring),
            None => Self::Uart(Pl011),
        }
    }

    /// Once, at boot.
    pub fn enable(&self) {
        match self {
            Self::Uart(uart) => uart.enable(),
            Self::Log(ring) => ring.enable(),
        }
    }

    /// Puts one byte; false if there is no room now.
    #[inline(always)]
    pub fn put(&self, byte: u8) -> bool {
        match self {
            Self::Uart(uart) => uart.put(byte),
            Self::Log(ring) => {
                ring.put(byte);
                true
            }
        }
    }

    /// Puts one byte, waiting for room within bounds.
    #[inline(never)]
    pub fn put_patiently(&self, byte: u8) {
        match self {
            Self::Uart(uart) => uart.put_patiently(byte),
            Self::Log(ring) => ring.put(byte),
        }
    }

    /// Takes one byte that was received.
    pub fn get(&self) -> Option<u8> {
        match self {
            Self::Uart(uart) => uart.get(),
            Self::Log(_) => None,
        }
    }

    /// Interrupts: always for input, for output only while `output` waits.
    pub fn interrupts(&self, output: bool) {
        if let Self::Uart(uart) = self {
            uart.interrupts(output);
        }
    }

    /// No interrupt.
    pub fn mask(&self) {
        if let Self::Uart(uart) = self {
            uart.mask();
        }
    }

    pub fn acknowledge(&self) {
        if let Self::Uart(uart) = self {
            uart.acknowledge();
        }
    }

    /// Waits within bounds until the last byte has arrived: the board may lose its power then.
    pub fn drain(&self) {
        match self {
            Self::Uart(uart) => uart.drain(),
            Self::Log(_) => arch::sysreg::dsb_sy(),
        }
    }
}
