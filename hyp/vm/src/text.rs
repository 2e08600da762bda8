// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Words and numbers as bytes, without core::fmt.
//!
//! EL2 prints little; formatting by `core::fmt` would be larger than everything it prints.

/// Takes bytes one by one. Each method is called, not inlined: there are many calls, and none in a
/// hurry.
pub trait Text {
    fn byte(&mut self, byte: u8);

    #[inline(never)]
    fn text(&mut self, text: &str) {
        for &byte in text.as_bytes() {
            self.byte(byte);
        }
    }

    /// Hexadecimal with 0x, no leading zeros.
    #[inline(never)]
    fn hex(&mut self, value: u64) {
        self.text("0x");
        let digits = (64 - (value | 1).leading_zeros()).div_ceil(4);
        for digit in (0..digits).rev() {
            let nibble = (value >> (digit * 4) & 0xf) as u8;
            self.byte(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
        }
    }

    #[inline(never)]
    fn decimal(&mut self, value: u64) {
        let mut digits = [0; DIGITS];
        let mut rest = value;
        for digit in digits.iter_mut().rev() {
            *digit = (rest % 10) as u8;
            rest /= 10;
        }
        for digit in digits.iter().skip(DIGITS.saturating_sub(decimal_width(value))) {
            self.byte(b'0' + digit);
        }
    }

    #[inline(never)]
    fn spaces(&mut self, count: usize) {
        for _ in 0..count {
            self.byte(b' ');
        }
    }
}

/// Decimal digits of `u64::MAX`.
const DIGITS: usize = 20;

/// Characters that [`Text::decimal`] writes.
#[inline(never)]
pub const fn decimal_width(value: u64) -> usize {
    let mut width = 1;
    let mut rest = value / 10;
    while rest > 0 {
        width += 1;
        rest /= 10;
    }
    width
}

#[cfg(test)]
impl Text for std::string::String {
    fn byte(&mut self, byte: u8) {
        self.push(byte as char);
    }
}
#[cfg(test)]
#[cfg(test)]
mod tests {
    use super::*;
    use std::string::{String, ToString};

    #[test]
    fn numbers() {
        for value in [0, 9, 10, 99, 100, 12_345, u64::MAX] {
            let mut text = String::new();
            text.decimal(value);
            assert_eq!(text, value.to_string());
            assert_eq!(decimal_width(value), text.len());
            let mut text = String::new();
            text.hex(value);
            assert_eq!(text, std::format!("{value:#x}"));
        }
    }
}
