// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What every kind of UART does.

use crate::Registers;

/// A UART that firmware has set up.
pub trait Driver {
    type Registers: Registers;

    fn registers(&self) -> Self::Registers;

    /// FIFOs on, both directions on, no interrupt. Once, at boot.
    fn enable(&self);

    /// Puts one byte into the FIFO; false if there is no room now.
    fn put(&self, byte: u8) -> bool;

    /// Takes one byte that was received.
    fn get(&self) -> Option<u8>;

    /// Interrupts: always for input, for output only while `output` waits.
    fn interrupts(&self, output: bool);

    /// No interrupt.
    fn mask(&self);

    /// Takes back the interrupt that was signalled; one that comes later is signalled anew. Before
    /// the bytes that it is about are read.
    fn acknowledge(&self);

    /// A byte is not on the line yet.
    fn is_busy(&self) -> bool;

    /// Puts one byte, waiting for room within bounds; a UART that never has room loses it.
    #[inline(always)]
    fn put_patiently(&self, byte: u8) {
        for _ in 0..Self::Registers::PATIENCE {
            if self.put(byte) {
                return;
            }
            self.registers().pause();
        }
    }

    /// Waits within bounds until the last byte is on the line: the board may lose its power then.
    #[inline(always)]
    fn drain(&self) {
        for _ in 0..Self::Registers::PATIENCE {
            if !self.is_busy() {
                return;
            }
            self.registers().pause();
        }
    }
}
