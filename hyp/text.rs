//! One line of EL2's own in a fixed buffer, without core::fmt. What does not fit is dropped.

use vm::text::Text;

pub struct Line {
    bytes: [u8; Line::ROOM],
    used: usize,
}

impl Text for Line {
    fn byte(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.used) {
            *place = byte;
            self.used += 1;
        }
    }
}

impl Line {
    const ROOM: usize = 240;

    /// Begins as all of EL2's lines do.
    pub fn new() -> Self {
        Self { bytes: [0; Self::ROOM], used: 0 }.text("bulkhead: ")
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or(&[])
    }

    pub fn text(mut self, text: &str) -> Self {
        Text::text(&mut self, text);
        self
    }

    pub fn hex(mut self, value: u64) -> Self {
        Text::hex(&mut self, value);
        self
    }

    pub fn number(mut self, value: u64) -> Self {
        self.decimal(value);
        self
    }
}
