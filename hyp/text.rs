//! One line of text in a fixed buffer, without core::fmt.
//!
//! EL2 says little and must stay small: numbers in hexadecimal or decimal, and words. What does not fit is dropped.

pub struct Line {
    bytes: [u8; Line::ROOM],
    used: usize,
}

impl Line {
    const ROOM: usize = 240;

    /// An empty line that begins as all of EL2's lines do.
    pub fn new() -> Self {
        Self::empty().text("bulkhead: ")
    }

    pub fn empty() -> Self {
        Self { bytes: [0; Self::ROOM], used: 0 }
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or(&[])
    }

    pub fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.used) {
            *place = byte;
            self.used = self.used.wrapping_add(1);
        }
    }

    pub fn text(mut self, text: &str) -> Self {
        for &byte in text.as_bytes() {
            self.push(byte);
        }
        self
    }

    pub fn hex(mut self, value: u64) -> Self {
        self = self.text("0x");
        let digits = (64 - (value | 1).leading_zeros()).div_ceil(4);
        for digit in (0..digits).rev() {
            let nibble = (value >> (digit * 4) & 0xf) as u8;
            self.push(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
        }
        self
    }

    pub fn number(self, value: u64) -> Self {
        self.number_right(value, 0)
    }

    /// A decimal number, padded on the left.
    pub fn number_right(mut self, value: u64, width: usize) -> Self {
        let mut digits = [b' '; 20];
        let mut first = digits.len();
        let mut rest = value;
        for (index, place) in digits.iter_mut().enumerate().rev() {
            *place = b'0' + (rest % 10) as u8;
            first = index;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let shown = digits.len().wrapping_sub(first);
        for _ in shown..width {
            self.push(b' ');
        }
        for &digit in digits.iter().skip(first) {
            self.push(digit);
        }
        self
    }

    /// A word, padded on the right.
    pub fn text_left(mut self, text: &str, width: usize) -> Self {
        self = self.text(text);
        for _ in text.len()..width {
            self.push(b' ');
        }
        self
    }
}
