// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How the bytes of the console say whose they are.
//!
//! Shared by the image, which writes them, and the host, which takes them apart; docs/console.md
//! draws the format. Five control bytes are EL2's own: a guest's are sent as [`ESCAPE`] and a
//! letter, so whatever is lost or cut, no guest can begin a line of EL2's. `ESCAPE` is CAN, which
//! makes a terminal forget a control sequence that was not finished.

/// Begins a line of EL2's (SOH).
pub const OWN: u8 = 0x01;
/// Begins a stretch of a VM's output, by a prefix that ends with a space (STX).
pub const VM: u8 = 0x02;
/// Ends a VM's line before its time, or the text of a line of EL2's (ETX).
pub const CUT: u8 = 0x03;
/// Around what a VM's cut line had shown before (EOT).
pub const AGAIN: u8 = 0x04;
/// Before `OWN` and `VM`, for terminals; before a letter: a guest's byte that is one of these five
/// (CAN).
pub const ESCAPE: u8 = 0x18;

/// What a guest's reserved byte is sent as, behind `ESCAPE`, is that much more.
pub const LETTER: u8 = 0x40;

/// After `OWN`, for terminals: the usual letters, the usual colours.
pub const NEUTRAL: &str = "\x0f\x1b(B\x1b[m";
/// After the check of a line of EL2's, for terminals: takes it off the screen.
pub const ERASE: &str = "\r\x1b[K";
/// Stands for the number of a line that EL2 sent although the console was in use.
pub const UNNUMBERED: [u8; 2] = *b"--";

/// These bytes never come from a guest as they are.
#[inline]
pub const fn is_reserved(byte: u8) -> bool {
    byte == ESCAPE || byte.wrapping_sub(OWN) <= AGAIN - OWN
}

/// CRC-16 of a line of EL2's: polynomial 0x1021, from 0xffff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check(u16);

impl Check {
    pub const START: Self = Self(0xffff);
    /// Nobody's: for what is all zero before it is used.
    pub const ZERO: Self = Self(0);

    /// The check of what came so far and one more byte.
    pub const fn with(self, byte: u8) -> Self {
        let mut x = self.0 >> 8 ^ byte as u16;
        x ^= x >> 4;
        Self(self.0 << 8 ^ x << 12 ^ x << 5 ^ x)
    }

    pub const fn value(self) -> u16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_is_the_usual_one() {
        let check = b"123456789".iter().fold(Check::START, |check, &byte| check.with(byte));
        assert_eq!(check.value(), 0x29b1, "CRC-16/CCITT-FALSE");
    }

    #[test]
    fn five_bytes_are_reserved() {
        let reserved = (0..=255).filter(|&byte| is_reserved(byte));
        assert!(reserved.eq([OWN, VM, CUT, AGAIN, ESCAPE]));
    }
}
