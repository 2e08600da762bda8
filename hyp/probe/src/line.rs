// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is said, on the board's UART.
//!
//! Between two lines that `bulkhead probe` looks for everything counts into a check, which the
//! second one has: a character that a serial line lost is noticed. The last line of all is one of
//! EL2's, by which `bulkhead console` knows the end.

use crate::board::{UART, UART_BASE};
use crate::mmio;
use abi::console::{self, Check};
use abi::psci;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use uart::{Driver, Registers, Width};
use vm::text::Text;

/// The UART's registers.
#[derive(Clone, Copy)]
pub struct Port;

static MEMORY: AtomicU32 = AtomicU32::new(0);

impl Registers for Port {
    fn read(self, offset: u64, width: Width) -> u32 {
        mmio::uart_read(UART_BASE + offset, width)
    }

    fn write(self, offset: u64, width: Width, value: u32) {
        mmio::uart_write(UART_BASE + offset, width, value);
    }

    fn remembered(self) -> u32 {
        MEMORY.load(Relaxed)
    }

    fn remember(self, value: u32) {
        MEMORY.store(value, Relaxed);
    }

    fn pause(self) {
        arch::sysreg::pause();
    }
}

/// The text, and the check of what it has so far.
pub struct Out {
    check: Check,
}

impl Text for Out {
    fn byte(&mut self, byte: u8) {
        if byte == b'\n' {
            UART.put_patiently(b'\r');
        }
        UART.put_patiently(byte);
        self.check = self.check.with(byte);
    }
}

impl Out {
    pub fn begin() -> Self {
        UART.enable();
        let mut out = Self { check: Check::START };
        out.text("\n# bulkhead probe: begin\n");
        Self { check: Check::START }
    }

    /// `NAME = 0x...` as a comment.
    pub fn register(&mut self, name: &str, value: u64) {
        self.text("# ");
        self.text(name);
        self.text(" = ");
        self.hex(value);
        self.text("\n");
    }

    /// `key = 12`.
    pub fn number(&mut self, key: &str, value: u64) {
        self.text(key);
        self.text(" = ");
        self.decimal(value);
        self.text("\n");
    }

    /// `key = 0x12`.
    pub fn address(&mut self, key: &str, value: u64) {
        self.text(key);
        self.text(" = ");
        self.hex(value);
        self.text("\n");
    }

    /// `key = "text"`.
    pub fn word(&mut self, key: &str, value: &str) {
        self.text(key);
        self.text(" = \"");
        self.text(value);
        self.text("\"\n");
    }

    pub fn truth(&mut self, key: &str, value: bool) {
        self.text(key);
        self.text(if value { " = true\n" } else { " = false\n" });
    }

    /// A size as TOMLs have it, in quotes.
    pub fn size(&mut self, bytes: u64) {
        let (shift, unit) = match bytes.trailing_zeros() {
            30.. if bytes != 0 => (30, " GiB\""),
            20..30 => (20, " MiB\""),
            10..20 => (10, " KiB\""),
            _ => (0, " B\""),
        };
        self.byte(b'"');
        self.decimal(bytes >> shift);
        self.text(unit);
    }

    /// A line about what is not as the board has it, and is no key.
    pub fn wrong(&mut self, text: &str) {
        self.text("#! ");
        self.text(text);
        self.text("\n");
    }

    /// A read at `address` was answered with an abort; `key` is the board's.
    pub fn silent(&mut self, address: u64, key: &str, name: &str) {
        self.text("#! no answer at ");
        self.hex(address);
        self.text(": ");
        self.text(key);
        if !name.is_empty() {
            self.text(" of \"");
            self.text(name);
            self.text("\"");
        }
        self.text("\n");
    }

    /// Four hexadecimal digits.
    pub fn quad(&mut self, value: u16) {
        self.pair((value >> 8) as u8);
        self.pair(value as u8);
    }

    /// Two.
    pub fn pair(&mut self, value: u8) {
        for nibble in [value >> 4, value & 15] {
            self.byte(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
        }
    }

    /// The last line, and the board is off.
    pub fn end(mut self) -> ! {
        let check = self.check.value();
        self.text("# bulkhead probe: end, check ");
        self.quad(check);
        self.text("\n");
        finish("bulkhead: result: pass")
    }
}

/// Why nothing is measured.
pub fn stop(why: &str) -> ! {
    stop_at(why, &[])
}

/// The same, with registers.
pub fn stop_at(why: &str, registers: &[(&str, u64)]) -> ! {
    let mut out = Out { check: Check::START };
    out.text("\n#! stopped: ");
    out.text(why);
    for (name, value) in registers {
        out.text(" ");
        out.text(name);
        out.text(" ");
        out.hex(*value);
    }
    out.text("\n");
    finish("bulkhead: result: fail")
}

/// A line of EL2's (docs/console.md), and the board is off.
fn finish(last: &str) -> ! {
    let mut out = Out { check: Check::START };
    let number = console::UNNUMBERED;
    let bytes = last.bytes().chain(number);
    let check = bytes.fold(Check::START, |check, byte| check.with(byte)).value();
    out.byte(console::ESCAPE);
    out.byte(console::OWN);
    out.text(console::NEUTRAL);
    out.text(last);
    out.byte(console::CUT);
    out.text("\n");
    number.into_iter().for_each(|byte| out.byte(byte));
    out.quad(check);
    out.text(console::ERASE);
    UART.drain();
    mmio::call(psci::SYSTEM_OFF, [0; 3]);
    arch::smc::park()
}
