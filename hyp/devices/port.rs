// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The registers of the board's UART.

use crate::state::system::Built;
use arch::device::Device;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use uart::{Registers, Width};

const UART: Device = Device::uart::<Built>();

/// What the driver remembers between calls.
static MEMORY: AtomicU32 = AtomicU32::new(0);

#[derive(Clone, Copy)]
pub struct Port;

impl Registers for Port {
    #[inline(always)]
    fn read(self, offset: u64, width: Width) -> u32 {
        match width {
            Width::Word => UART.read(offset),
            _ => UART.read_part(offset, width as u8),
        }
    }

    #[inline(always)]
    fn write(self, offset: u64, width: Width, value: u32) {
        match width {
            Width::Word => UART.write(offset, value),
            _ => UART.write_part(offset, width as u8, value),
        }
    }

    #[inline(always)]
    fn remembered(self) -> u32 {
        MEMORY.load(Relaxed)
    }

    #[inline(always)]
    fn remember(self, value: u32) {
        MEMORY.store(value, Relaxed);
    }

    #[inline(always)]
    fn pause(self) {
        arch::sysreg::pause();
    }
}
