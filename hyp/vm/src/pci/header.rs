// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A function's header: the command register and the BARs.

use crate::Guest;
use crate::platform::Platform;
use core::sync::atomic::Ordering::Relaxed;
use plan::{Bar, PciFunction};

/// Of the command register.
pub const OFFSET_COMMAND: u16 = 0x04;
pub const MEMORY_SPACE: u32 = 1 << 1;
/// Command bits that a guest may change: memory space, bus master, parity, SERR.
const COMMAND: u32 = MEMORY_SPACE | 1 << 2 | 1 << 6 | 1 << 8;
/// Command bit that is always set, unless the function signals by its pin: INTx disable.
pub const INTX_DISABLE: u32 = 1 << 10;
/// Interrupt line and pin.
pub const OFFSET_PIN: u16 = 0x3c;
const PIN: u32 = 0xff << 8;

/// The BAR that register `index` belongs to, and whether it is its upper half.
fn bar(function: &PciFunction, index: u8) -> Option<(&Bar, bool)> {
    function.bars.iter().find_map(|bar| match index.checked_sub(bar.index)? {
        0 => Some((bar, false)),
        1 if bar.wide => Some((bar, true)),
        _ => None,
    })
}

pub fn read_bar(guest: &Guest, slot: usize, function: &PciFunction, index: u8) -> u32 {
    let Some((bar, upper)) = bar(function, index) else { return 0 };
    let sizing =
        guest.vm.sizing.0.get(slot).is_some_and(|cell| cell.load(Relaxed) & 1 << index != 0);
    let address = if sizing { bar.bytes.wrapping_neg() } else { bar.bus };
    if upper {
        return (address >> 32) as u32;
    }
    // Memory, 64-bit 2:1, prefetchable 3.
    address as u32 & !0xf | u32::from(bar.wide) << 2 | u32::from(bar.prefetchable) << 3
}

/// Ones show the size; anything else shows the address again, which is the plan's whatever was
/// written.
pub fn write_bar(guest: &Guest, slot: usize, function: &PciFunction, index: u8, value: u32) {
    let Some((_, upper)) = bar(function, index) else { return };
    let Some(cell) = guest.vm.sizing.0.get(slot) else { return };
    // Type bits are read-only: some write ones to the address bits only.
    let ones = if upper { value == u32::MAX } else { value | 0xf == u32::MAX };
    if ones {
        cell.fetch_or(1 << index, Relaxed);
    } else {
        cell.fetch_and(!(1 << index), Relaxed);
    }
}

/// The VM sees the pin only of a function that signals by it.
pub fn read_pin<P: Platform>(platform: &P, function: &PciFunction) -> u32 {
    let word = platform.config_read(function, OFFSET_PIN);
    if P::INTX && function.pin != 0 { word } else { word & !PIN }
}

pub fn write_command<P: Platform>(
    platform: &mut P,
    function: &PciFunction,
    exact: u16,
    bytes: u32,
    value: u32,
) {
    let shift = 8 * u32::from(exact & 3);
    let written = (u32::MAX >> (32 - 8 * bytes)) << shift & 0xffff;
    let value = value << shift;
    let old = platform.config_read(function, OFFSET_COMMAND) & 0xffff;
    let (own, set) = match P::INTX && function.pin != 0 {
        true => (COMMAND | INTX_DISABLE, 0),
        false => (COMMAND, INTX_DISABLE),
    };
    let command = old & !(written & own) | value & written & own | set;
    // Two bytes, so that no status bit is cleared on the way.
    platform.config_write(function, OFFSET_COMMAND, 2, command);
    if bytes == 4 {
        platform.config_write(function, 0x06, 2, value >> 16);
    }
}
