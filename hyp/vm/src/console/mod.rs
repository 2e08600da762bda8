//! One UART for everybody: rings of output, the mux that merges them, the escape key.

mod input;
mod mux;
mod ring;

pub use input::{Input, NO_CONSOLE, focus, key};
pub use mux::{Mux, Pumped, begin_line, end_line};
pub use ring::Ring;

use crate::{VmState, VpeState};
use core::sync::atomic::Ordering::Relaxed;

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
