// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A serial port of the board.

use std::ops::Range;

use ::uart::{Cadence, Early, Geni, Hscif, Imx, Lpuart, Meson, Ns16550, Pl011, Scif, Width};

use super::{At, Region, UartKind};

const PAGE: u64 = 4096;

#[derive(Clone, Debug)]
pub struct Uart {
    pub name: At<String>,
    pub kind: At<UartKind>,
    pub region: Region,
    /// INTID of its SPI; None: output only.
    pub intid: Option<At<u32>>,
    /// Registers are `1 << reg_shift` bytes apart. Of a 16550.
    pub reg_shift: At<u8>,
    /// Bytes of an access. Of a 16550 and a PL011.
    pub reg_io_width: At<u8>,
}

impl Uart {
    /// Widths that a board can have.
    pub const WIDTHS: [u8; 3] = [1, 2, 4];

    /// `reg_io_width` where the TOML does not say.
    pub fn usual_width(kind: UartKind) -> u8 {
        if kind == UartKind::Ns16550 { 1 } else { 4 }
    }

    /// Bytes from its base that EL2 touches.
    pub fn bytes(&self) -> u64 {
        match self.kind.value {
            UartKind::Pl011 | UartKind::Sbsa => Pl011::BYTES,
            UartKind::Ns16550 => Ns16550::bytes(self.reg_shift.value, self.width()),
            UartKind::Imx => Imx::BYTES,
            UartKind::Lpuart => Lpuart::BYTES,
            UartKind::Geni => Geni::BYTES,
            UartKind::Scif => Scif::BYTES,
            UartKind::Hscif => Hscif::BYTES,
            UartKind::Cadence => Cadence::BYTES,
            UartKind::Meson => Meson::BYTES,
        }
    }

    /// How EL2's first instructions put a byte.
    pub fn early(&self) -> Early {
        match self.kind.value {
            UartKind::Pl011 | UartKind::Sbsa => Pl011::early(self.width()),
            UartKind::Ns16550 => Ns16550::early(self.reg_shift.value, self.width()),
            UartKind::Imx => Imx::EARLY,
            UartKind::Lpuart => Lpuart::EARLY,
            UartKind::Geni => Geni::EARLY,
            UartKind::Scif => Scif::EARLY,
            UartKind::Hscif => Hscif::EARLY,
            UartKind::Cadence => Cadence::EARLY,
            UartKind::Meson => Meson::EARLY,
        }
    }

    /// `check` has a rule for what is no width.
    fn width(&self) -> Width {
        Width::of(self.reg_io_width.value).unwrap_or(Width::Word)
    }

    /// The page that has its registers: all that EL2 maps.
    pub fn page(&self) -> Range<u64> {
        let start = self.region.start() / PAGE * PAGE;
        start..start + PAGE
    }

    /// The pages that it is in: nobody else's.
    pub fn pages(&self) -> Range<u64> {
        let end = self.region.end();
        self.region.start() / PAGE * PAGE..end.checked_next_multiple_of(PAGE).unwrap_or(end)
    }

    /// VMs see their UART at the same address.
    pub fn is_seen(&self) -> bool {
        matches!(self.kind.value, UartKind::Pl011 | UartKind::Sbsa)
            && self.region.start().is_multiple_of(PAGE)
    }
}
