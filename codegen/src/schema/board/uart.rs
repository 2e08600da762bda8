// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `[[uart]]` of a board.

use ::plan::UartKind;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::schema::{Address, S};
use crate::units::Size;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Uart {
    /// Name, for `board.uart`.
    pub name: S<String>,
    /// What it is. Firmware has set baud rate, clocks and pins; the hypervisor changes none of
    /// them.
    pub kind: S<UartKind>,
    /// First address, a multiple of 4. Nobody else gets the page around it.
    pub base: S<Address>,
    /// Size, as the manual or the device tree has it.
    pub size: S<Size>,
    /// INTID of its SPI. Without it the console has no input.
    pub intid: Option<S<u32>>,
    /// A 16550's registers are 1 << reg_shift bytes apart, as `reg-shift` of a device tree.
    #[schemars(range(min = 0, max = 4), extend("x-default" = 0))]
    pub reg_shift: Option<S<u8>>,
    /// Bytes of an access to a 16550 or a PL011, as `reg-io-width` of a device tree: 1, 2 or 4. The
    /// line of a PL011 with less than 4 is left as firmware set it.
    #[schemars(extend("x-default" = "1 for a 16550, 4 for a PL011"))]
    pub reg_io_width: Option<S<u8>>,
}
