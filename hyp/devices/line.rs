// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where the console's bytes go: the board's UART, or the log of a board without one.
//!
//! The plan decides at build time; what drives the others is not in the image.

use super::port::Port;
use crate::state::plan_data::PLAN;
use crate::state::system::Built;
use arch::log::Ring;
use plan::{Console, UartKind};
use uart::{Cadence, Driver, Geni, Hscif, Imx, Lpuart, Meson, Ns16550, Pl011, Sbsa, Scif, Width};

pub enum Line {
    Log(Ring<Built>),
    Pl011(Pl011<Port>),
    Sbsa(Sbsa<Port>),
    Ns16550(Ns16550<Port>),
    Imx(Imx<Port>),
    Lpuart(Lpuart<Port>),
    Geni(Geni<Port>),
    Scif(Scif<Port>),
    Hscif(Hscif<Port>),
    Cadence(Cadence<Port>),
    Meson(Meson<Port>),
}

/// One thing for a UART of any kind, another for the log.
macro_rules! line {
    ($line:expr, $uart:ident => $call:expr, $ring:pat => $log:expr) => {
        match $line {
            Line::Log($ring) => $log,
            Line::Pl011($uart) => $call,
            Line::Sbsa($uart) => $call,
            Line::Ns16550($uart) => $call,
            Line::Imx($uart) => $call,
            Line::Lpuart($uart) => $call,
            Line::Geni($uart) => $call,
            Line::Scif($uart) => $call,
            Line::Hscif($uart) => $call,
            Line::Cadence($uart) => $call,
            Line::Meson($uart) => $call,
        }
    };
}

impl Line {
    pub const fn of_board() -> Self {
        if let Some(ring) = Ring::of_board() {
            return Self::Log(ring);
        }
        let Console::Uart(uart) = &PLAN.board.console else { unreachable!() };
        let registers = Port;
        let width = match Width::of(uart.reg_io_width) {
            Some(width) => width,
            None => Width::Word,
        };
        match uart.kind {
            UartKind::Pl011 => Self::Pl011(Pl011 { registers, width }),
            UartKind::Sbsa => Self::Sbsa(Sbsa { registers }),
            UartKind::Ns16550 => Self::Ns16550(Ns16550 { registers, shift: uart.reg_shift, width }),
            UartKind::Imx => Self::Imx(Imx { registers }),
            UartKind::Lpuart => Self::Lpuart(Lpuart { registers }),
            UartKind::Geni => Self::Geni(Geni { registers }),
            UartKind::Scif => Self::Scif(Scif { registers }),
            UartKind::Hscif => Self::Hscif(Hscif { registers }),
            UartKind::Cadence => Self::Cadence(Cadence { registers }),
            UartKind::Meson => Self::Meson(Meson { registers }),
        }
    }

    /// Once, at boot.
    pub fn enable(&self) {
        line!(self, uart => uart.enable(), ring => ring.enable());
    }

    /// Puts one byte; false if there is no room now.
    #[inline(always)]
    pub fn put(&self, byte: u8) -> bool {
        line!(self, uart => uart.put(byte), ring => {
            ring.put(byte);
            true
        })
    }

    /// Puts one byte, waiting for room within bounds.
    #[inline(never)]
    pub fn put_patiently(&self, byte: u8) {
        line!(self, uart => uart.put_patiently(byte), ring => ring.put(byte));
    }

    /// Takes one byte that was received.
    pub fn get(&self) -> Option<u8> {
        line!(self, uart => uart.get(), _ => None)
    }

    /// Interrupts: always for input, for output only while `output` waits.
    pub fn interrupts(&self, output: bool) {
        line!(self, uart => uart.interrupts(output), _ => {});
    }

    /// No interrupt.
    pub fn mask(&self) {
        line!(self, uart => uart.mask(), _ => {});
    }

    pub fn acknowledge(&self) {
        line!(self, uart => uart.acknowledge(), _ => {});
    }

    /// Waits within bounds until the last byte is on the line: the board may lose its power then.
    pub fn drain(&self) {
        line!(self, uart => uart.drain(), _ => arch::sysreg::dsb_sy());
    }
}
