// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A VM's UART: a PL011 whose output goes to the console, and whose line is an interrupt of the
//! VM's.

use crate::{
    Guest, Platform, VmState, VpeState,
    mmio::{Access, Device, Written},
    pl011::Uart,
    vgic::notify,
};
use core::sync::atomic::Ordering::Relaxed;

impl VmState {
    /// A byte typed for this VM arrives at its UART; `vpes` are the VM's. Answers the number of the
    /// vPE whose CPU must look ([`crate::vgic::deliver`] there).
    pub fn receive(&self, vpes: &[VpeState], byte: u8) -> Option<usize> {
        let mut uart = self.uart.lock();
        uart.receive(byte);
        self.distributor.set_line(vpes, uart.interrupt())
    }

    /// The mux has made room in the VM's ring ([`crate::console::Pumped::unblocked`]); as
    /// [`VmState::receive`].
    pub fn has_room(&self, vpes: &[VpeState]) -> Option<usize> {
        self.blocked.store(false, Relaxed);
        let mut uart = self.uart.lock();
        uart.has_room();
        self.distributor.set_line(vpes, uart.interrupt())
    }
}

impl Device for Uart {
    #[inline(never)]
    fn peek(guest: &Guest, offset: u64) -> Option<u32> {
        // The guest that sees a full FIFO is told of room, and what was received is taken by being
        // read.
        if guest.vm.output.is_full() || offset & 0xffc == 0 {
            return None;
        }
        Some(guest.vm.uart.lock().peek(offset as u16, false))
    }

    fn read<P: Platform>(guest: &Guest, platform: &mut P, access: Access) -> Option<u64> {
        let (offset, bytes) = (access.offset as u16, access.bytes);
        if bytes > 4 {
            return None;
        }
        let mut uart = guest.vm.uart.lock();
        let full = guest.vm.output.is_full();
        let value = uart.read(offset, full);
        if full {
            guest.vm.blocked.store(true, Relaxed);
        }
        let changed = guest.vm.distributor.set_line(guest.vpes, uart.interrupt());
        drop(uart);
        if let Some(number) = changed {
            notify(guest, platform, number);
        }
        Some(u64::from(value) & (u64::MAX >> (64 - 8 * bytes)))
    }

    fn write<P: Platform>(guest: &Guest, platform: &mut P, access: Access, value: u64) -> Written {
        let (offset, bytes) = (access.offset as u16, access.bytes);
        if bytes > 4 {
            return Written::Refused;
        }
        let mut uart = guest.vm.uart.lock();
        let sent = uart.write(offset, value as u32);
        if let Some(byte) = sent {
            // A byte too many is lost, as in a PL011 whose FIFO is full.
            if guest.vm.output.push(byte) && !guest.vm.output.is_full() {
                uart.has_room();
            } else {
                guest.vm.blocked.store(true, Relaxed);
            }
        }
        let changed = guest.vm.distributor.set_line(guest.vpes, uart.interrupt());
        drop(uart);
        if sent.is_some() {
            platform.output_waits();
        }
        if let Some(number) = changed {
            notify(guest, platform, number);
        }
        Written::Done
    }
}
