// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The UARTs of boards, by kind: polled output, input and interrupts.
//!
//! A kind is a file. Firmware has set baud rate, clocks and pins, and no kind changes them:
//! [`Driver::enable`] turns on what EL2 needs, FIFOs and both directions, and masks every
//! interrupt. No call waits, except [`Driver::put_patiently`] and [`Driver::drain`], whose waits
//! are bounded.
//!
//! | module | kind | found in |
//! |---|---|---|
//! | `pl011` | Arm PL011, and the subset of it that Arm's SBSA has | Arm's own, AMD Versal, LX2160A |
//! | `ns16550` | 16550 and its likes, registers 1, 2 or 4 bytes apart or more | TI, Rockchip, Layerscape |
//! | `imx` | the UART of i.MX6 to i.MX8M | NXP |
//! | `lpuart` | the 32-bit LPUART of i.MX7ULP, i.MX8QXP, i.MX8ULP, i.MX9 | NXP |
//! | `geni` | a GENI serial engine with the UART's firmware | Qualcomm |
//! | `scif` | SCIF and HSCIF | Renesas R-Car |
//! | `cadence` | Cadence UART | AMD ZynqMP |
//! | `meson` | Meson UART | Amlogic |
//!
//! Not supported, because firmware's word on them is not enough: hardware flow control, 9-bit
//! words, DMA, big-endian registers, and the RZ variants of the SCIF.
//!
//! Nothing here touches hardware: registers are behind [`Registers`]. `model`, in tests, is a UART
//! of each kind that refuses what the manual forbids.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod cadence;
mod driver;
mod early;
mod geni;
mod imx;
mod lpuart;
mod meson;
#[cfg(test)]
mod model;
mod ns16550;
mod pl011;
mod registers;
mod scif;

pub use cadence::Cadence;
pub use driver::Driver;
pub use early::Early;
pub use geni::Geni;
pub use imx::Imx;
pub use lpuart::Lpuart;
pub use meson::Meson;
pub use ns16550::Ns16550;
pub use pl011::{Pl011, Sbsa};
pub use registers::{Registers, Width};
pub use scif::{Hscif, Scif};
