// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The board's UART.

use crate::{List, Pa};

#[derive(Debug)]
#[cfg_attr(feature = "host", derive(Clone, serde::Serialize, crate::constant::Constant))]
pub struct Uart {
    pub kind: UartKind,
    pub base: Pa,
    /// A 16550's registers are `1 << reg_shift` bytes apart.
    #[cfg_attr(feature = "host", serde(skip))]
    pub reg_shift: u8,
    /// Bytes of an access to a 16550 or a PL011.
    #[cfg_attr(feature = "host", serde(skip))]
    pub reg_io_width: u8,
    /// INTID of its SPI, for input; None: output only.
    pub intid: Option<u32>,
    /// For EL2's first instructions.
    #[cfg_attr(feature = "host", serde(skip))]
    pub early: Early,
}

/// How EL2's first instructions put a byte: one register says by one bit that there is room,
/// another takes the byte. Offsets are from the base, widths bytes of an access.
#[derive(Debug)]
#[cfg_attr(feature = "host", derive(Clone, serde::Serialize, crate::constant::Constant))]
pub struct Early {
    pub status: u32,
    pub status_width: u8,
    /// Number of the bit.
    pub bit: u8,
    /// There is room while the bit has this value.
    pub ready: bool,
    /// Words to write before a byte: none or two.
    pub command: List<Store>,
    pub data: u32,
    pub data_width: u8,
}

/// A word for a register.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "host", derive(serde::Serialize, crate::constant::Constant))]
pub struct Store {
    /// From the UART's base.
    pub offset: u32,
    pub value: u32,
}

/// What the UART is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "host",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema, crate::constant::Constant)
)]
#[cfg_attr(feature = "host", serde(rename_all = "kebab-case"))]
pub enum UartKind {
    /// Arm's PL011.
    Pl011,
    /// The Generic UART of Arm's SBSA: a PL011 whose line is firmware's alone.
    Sbsa,
    /// A 16550 or 8250, DW_apb_uart included.
    #[cfg_attr(feature = "host", serde(rename = "16550"))]
    Ns16550,
    /// The UART of i.MX6 to i.MX8M.
    Imx,
    /// The 32-bit LPUART of i.MX7ULP, i.MX8QXP, i.MX8ULP and i.MX9.
    Lpuart,
    /// Qualcomm's GENI serial engine.
    Geni,
    /// Renesas's SCIF, 16 bytes in each FIFO.
    Scif,
    /// Renesas's HSCIF, 128 bytes.
    Hscif,
    /// Cadence's UART.
    Cadence,
    /// Amlogic's Meson UART.
    Meson,
}
