// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `print!` and `println!` on the PL011 of the device tree, and what is typed there.
//!
//! Output is polled: a character is written when UARTFR.TXFF is clear (DDI 0183 3.3.3). One lock
//! keeps the lines of two vPEs apart; it is taken with interrupts masked, so that a handler may
//! print too. Input is read byte by byte; while there is none, the receive interrupt is on, so that
//! a reader may wait by WFI.

use core::fmt::{self, Write};

use spin::Mutex;

use crate::interrupts::{self, IntId};
use crate::mmio::Registers;
use crate::{Machine, cpu};

const UARTDR: u64 = 0x00;
const UARTFR: u64 = 0x18;
const UARTLCR_H: u64 = 0x2c;
const UARTCR: u64 = 0x30;
const UARTIMSC: u64 = 0x38;
const RXFE: u32 = 1 << 4;
const TXFF: u32 = 1 << 5;
/// Receive and receive timeout in UARTIMSC.
const RECEIVE: u32 = 1 << 4 | 1 << 6;
/// Eight bits, FIFO on.
const LINE: u32 = 0x70;
/// Receive, transmit, UART on.
const ON: u32 = 0x301;
/// PL011's registers are one page.
const BYTES: u64 = 4096;

static CONSOLE: Mutex<Option<Registers>> = Mutex::new(None);

struct Output<'a>(&'a Registers);

impl Output<'_> {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            while self.0.read32(UARTFR) & TXFF != 0 {
                cpu::relax();
            }
            self.0.write8(UARTDR, byte);
        }
    }
}

impl Write for Output<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}

pub(crate) fn init(machine: &Machine) {
    let Some(region) = machine.uart() else {
        return;
    };
    // SAFETY: the device tree says that a PL011 is there, and only this module drives it.
    let registers = unsafe { Registers::new(region.base, BYTES) };
    registers.write32(UARTLCR_H, LINE);
    registers.write32(UARTCR, ON);
    *CONSOLE.lock() = Some(registers);
}

/// What the macros call. Does nothing in a VM without a UART.
pub fn print(arguments: fmt::Arguments) {
    cpu::without_interrupts(|| {
        if let Some(registers) = CONSOLE.lock().as_ref() {
            // `Output` never fails; an error could only come from a `Display` of the caller's.
            let _ = Output(registers).write_fmt(arguments);
        }
    });
}

/// Prints bytes as they are.
pub fn write(bytes: &[u8]) {
    cpu::without_interrupts(|| {
        if let Some(registers) = CONSOLE.lock().as_ref() {
            Output(registers).write(bytes);
        }
    });
}

/// Lets what is typed interrupt this vPE; false: the VM has no UART with an interrupt.
pub fn listen(machine: &Machine) -> bool {
    let Some((_, Some(intid))) = machine.device("arm,pl011") else { return false };
    interrupts::set_handler(IntId::new(intid), |_| mask(0));
    interrupts::enable(IntId::new(intid));
    true
}

/// The next byte that was typed. None: nothing waits, and what comes next will interrupt.
pub fn read() -> Option<u8> {
    cpu::without_interrupts(|| {
        let console = CONSOLE.lock();
        let registers = console.as_ref()?;
        if registers.read32(UARTFR) & RXFE == 0 {
            return Some(registers.read32(UARTDR) as u8);
        }
        registers.write32(UARTIMSC, RECEIVE);
        None
    })
}

/// The interrupt is a level: it stays until the byte is read, which is not the handler's to do.
fn mask(interrupts: u32) {
    if let Some(registers) = CONSOLE.lock().as_ref() {
        registers.write32(UARTIMSC, interrupts);
    }
}

/// Makes the console usable after a panic that may have happened while it was locked.
pub(crate) fn force_unlock() {
    if CONSOLE.is_locked() {
        // SAFETY: the vPE that panicked does not go on with what it was printing; another vPE's
        // line may be cut into, which harms nothing but the line.
        unsafe { CONSOLE.force_unlock() };
    }
}

/// Prints on the VM's console.
#[macro_export]
macro_rules! print {
    ($($argument:tt)*) => { $crate::console::print(format_args!($($argument)*)) };
}

/// Prints a line on the VM's console.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($format:literal $($argument:tt)*) => { $crate::print!("{}\n", format_args!($format $($argument)*)) };
}

/// Prints a figure that the host collects into its report: name, value, unit.
#[macro_export]
macro_rules! figure {
    ($name:expr, $value:expr) => {
        $crate::println!("figure {} {}", $name, $value)
    };
    ($name:expr, $value:expr, $unit:expr) => {
        $crate::println!("figure {} {} {}", $name, $value, $unit)
    };
}
