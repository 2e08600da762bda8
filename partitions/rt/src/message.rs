// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Messages whose every byte can be checked: what `producer` and `consumer` agree on.
//!
//! Number (8 bytes), bytes that follow from the number, of a length that follows from it too, and
//! an FNV-1a sum over all of that (8 bytes).

use crate::random::Random;
use crate::ring::LONGEST;

const FIXED: usize = 16;

/// The consumer's verdict when everything was as it should be.
pub const GOOD: &[u8] = b"good";
/// The verdict otherwise.
pub const BAD: &[u8] = b"bad";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Message {
    /// The message with this number.
    pub fn numbered(number: u64) -> Self {
        let mut random = Random::new(number);
        let body = random.below((LONGEST - FIXED + 1) as u64) as usize;
        let mut bytes = [0; LONGEST];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        for chunk in bytes[8..8 + body].chunks_mut(8) {
            let value = random.draw().to_le_bytes();
            chunk.copy_from_slice(&value[..chunk.len()]);
        }
        let sum = sum(&bytes[..8 + body]);
        bytes[8 + body..FIXED + body].copy_from_slice(&sum.to_le_bytes());
        Self { bytes, length: FIXED + body }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// The number a message carries, if its sum is right.
pub fn number(message: &[u8]) -> Option<u64> {
    let (content, end) = message.split_last_chunk::<8>()?;
    let (number, _) = content.split_first_chunk::<8>()?;
    (sum(content) == u64::from_le_bytes(*end)).then(|| u64::from_le_bytes(*number))
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_carries_its_number_and_any_change_shows() {
        for n in 0..100 {
            let message = Message::numbered(n);
            assert_eq!(number(message.bytes()), Some(n));
            let mut changed = message.bytes().to_vec();
            changed[n as usize % message.length] ^= 1;
            assert_eq!(number(&changed), None);
        }
        assert_eq!(number(b"short"), None);
    }

    #[test]
    fn the_sum_is_fnv() {
        assert_eq!(sum(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
