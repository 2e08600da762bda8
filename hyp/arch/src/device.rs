// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Registers of devices that EL2 reads and writes: the plan's, and no others.
//!
//! What a device does by itself after such a write, a DMA or a message, is not this crate's to say:
//! the SMMU's tables decide it where the board has one (docs/safety.md).

use crate::probe;
use crate::sysreg::dsb_sy;
use crate::system::{System, is_entry};
use plan::{Console, Pa, PciBridge, PciFunction, Span};

/// Bytes of a function's configuration space, and of the page that has a UART's registers.
const PAGE: u64 = 4096;

/// Registers of a device, mapped as device memory in EL2's table for good.
///
/// Where there are none, a read gives ones and a write is lost, as on a bus.
#[derive(Clone, Copy)]
pub struct Device {
    base: Pa,
    bytes: u64,
}

impl Device {
    const NONE: Self = Self { base: Pa::new(0), bytes: 0 };

    /// A function's configuration space; nothing for a function that is not the plan's.
    pub fn function<S: System>(function: &PciFunction) -> Self {
        match is_entry(S::PLAN.functions, function) {
            true => Self { base: function.space.config, bytes: PAGE },
            false => Self::NONE,
        }
    }

    /// A bridge's configuration space, likewise.
    pub fn bridge<S: System>(bridge: &PciBridge) -> Self {
        match is_entry(S::PLAN.bridges, bridge) {
            true => Self { base: bridge.space.config, bytes: PAGE },
            false => Self::NONE,
        }
    }

    /// The pages that hold a function's MSI-X table; nothing where they are not EL2's.
    pub fn msix_table<S: System>(function: &PciFunction) -> Self {
        match function.msix.and_then(|msix| msix.pages) {
            Some(Span { base, bytes }) if is_entry(S::PLAN.functions, function) => {
                Self { base, bytes }
            }
            _ => Self::NONE,
        }
    }

    /// The board's UART; nothing on a board without one.
    pub const fn uart<S: System>() -> Self {
        match &S::PLAN.board.console {
            Console::Uart(uart) => Self { base: uart.base, bytes: PAGE - uart.base.value() % PAGE },
            Console::Log(_) => Self::NONE,
        }
    }

    /// Where it is.
    pub const fn base(self) -> Pa {
        self.base
    }

    /// Address of the register word at `offset`, whose last bits do not count.
    #[inline(always)]
    fn word(self, offset: u64) -> Option<*mut u32> {
        let offset = offset & !3;
        (offset < self.bytes).then(|| self.base.offset(offset).value() as *mut u32)
    }

    /// The 32-bit register at `offset`.
    #[inline(always)]
    pub fn read(self, offset: u64) -> u32 {
        match self.word(offset) {
            // SAFETY: a device register; no Rust object lies there.
            Some(word) => unsafe { word.read_volatile() },
            None => u32::MAX,
        }
    }

    /// Reads 1, 2 or 4 bytes at `offset`, a multiple of that.
    #[inline(always)]
    pub fn read_part(self, offset: u64, bytes: u8) -> u32 {
        let Some(word) = self.word(offset) else { return u32::MAX };
        let at = word.cast::<u8>().wrapping_add((offset & 3) as usize);
        match bytes {
            // SAFETY: as for `read`.
            1 => unsafe { at.read_volatile() }.into(),
            // SAFETY: as for `read`, and aligned.
            2 if offset & 1 == 0 => unsafe { at.cast::<u16>().read_volatile() }.into(),
            _ => self.read(offset),
        }
    }

    /// The 32-bit register at `offset`, or None if the read was answered with an abort.
    pub fn try_read(self, offset: u64) -> Option<u32> {
        // SAFETY: as for `read`; an abort is caught.
        self.word(offset).and_then(|word| unsafe { probe::try_read32(word as u64) })
    }

    /// Writes the 32-bit register at `offset`.
    #[inline(always)]
    pub fn write(self, offset: u64, value: u32) {
        if let Some(word) = self.word(offset) {
            // SAFETY: as for `read`.
            unsafe { word.write_volatile(value) }
        }
    }

    /// Writes 1, 2 or 4 bytes at `offset`, a multiple of that.
    pub fn write_part(self, offset: u64, bytes: u8, value: u32) {
        let Some(word) = self.word(offset) else { return };
        let at = word.cast::<u8>().wrapping_add((offset & 3) as usize);
        match bytes {
            // SAFETY: as for `read`.
            1 => unsafe { at.write_volatile(value as u8) },
            // SAFETY: as for `read`, and aligned.
            2 if offset & 1 == 0 => unsafe { at.cast::<u16>().write_volatile(value as u16) },
            _ => self.write(offset, value),
        }
    }

    /// What was written has arrived. A host bridge may keep a write to configuration space while
    /// accesses to a BAR overtake it; the answer to a read cannot.
    pub fn complete(self) {
        self.read(0);
        dsb_sy();
    }
}
