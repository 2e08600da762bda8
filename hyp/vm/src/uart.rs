//! A VM's UART: a PL011 whose output goes to the console, and whose line is an interrupt of the VM's.

use crate::{Guest, Platform, VmState, VpeState, vgic::notify};
use core::sync::atomic::Ordering::Relaxed;

/// Bytes of its frame.
pub(crate) const BYTES: u64 = 0x1000;

impl VmState {
    /// A byte typed for this VM arrives at its UART; `vpes` are the VM's. Answers the number of the vPE whose CPU must look
    /// ([`crate::vgic::deliver`] there).
    pub fn receive(&self, vpes: &[VpeState], byte: u8) -> Option<usize> {
        let mut uart = self.uart.lock();
        uart.receive(byte);
        self.distributor.set_line(vpes, uart.interrupt())
    }

    /// The mux has made room in the VM's ring ([`Pumped::unblocked`]); as [`VmState::receive`].
    pub fn has_room(&self, vpes: &[VpeState]) -> Option<usize> {
        self.blocked.store(false, Relaxed);
        let mut uart = self.uart.lock();
        uart.has_room();
        self.distributor.set_line(vpes, uart.interrupt())
    }
}

pub(crate) fn read<P: Platform>(
    guest: &Guest,
    platform: &mut P,
    offset: u16,
    bytes: u32,
) -> Option<u64> {
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

pub(crate) fn write<P: Platform>(
    guest: &Guest,
    platform: &mut P,
    offset: u16,
    bytes: u32,
    value: u64,
) -> bool {
    if bytes > 4 {
        return false;
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
    true
}
