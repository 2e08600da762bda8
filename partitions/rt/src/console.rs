//! `print!` and `println!` on the PL011 of the device tree.
//!
//! Output is polled: a character is written when UARTFR.TXFF is clear (DDI 0183 3.3.3). One lock keeps the lines of two vPEs
//! apart; it is taken with interrupts masked, so that a handler may print too. Input is not supported.

use core::fmt::{self, Write};

use spin::Mutex;

use crate::mmio::Registers;
use crate::{Machine, cpu};

const UARTDR: u64 = 0x00;
const UARTFR: u64 = 0x18;
const UARTLCR_H: u64 = 0x2c;
const UARTCR: u64 = 0x30;
const TXFF: u32 = 1 << 5;
/// Eight bits, FIFO on.
const LINE: u32 = 0x70;
/// Receive, transmit, UART on.
const ON: u32 = 0x301;
/// PL011's registers are one page.
const BYTES: u64 = 4096;

static CONSOLE: Mutex<Option<Registers>> = Mutex::new(None);

struct Output<'a>(&'a Registers);

impl Write for Output<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            while self.0.read32(UARTFR) & TXFF != 0 {
                cpu::relax();
            }
            self.0.write8(UARTDR, byte);
        }
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

/// Makes the console usable after a panic that may have happened while it was locked.
pub(crate) fn force_unlock() {
    if CONSOLE.is_locked() {
        // SAFETY: the vPE that panicked does not go on with what it was printing; another vPE's line may be cut into, which
        // harms nothing but the line.
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
