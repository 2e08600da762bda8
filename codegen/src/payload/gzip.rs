// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Payloads packed by gzip (RFC 1952), as distributions pack kernels.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

use crate::bounds;

/// `bytes` begin as a gzip file does.
pub fn is_packed(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// What is packed in `bytes`.
pub fn unpack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    unpack_at_most(bytes, bounds::UNPACKED)
}

fn unpack_at_most(bytes: &[u8], most: u64) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    MultiGzDecoder::new(bytes).take(most + 1).read_to_end(&mut out)?;
    match out.len() as u64 > most {
        true => Err(bounds::too_big(most)),
        false => Ok(out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf hello | gzip -n`.
    const HELLO: [u8; 25] = [
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 7, 0, 0x86, 0xa6, 0x10,
        0x36, 5, 0, 0, 0,
    ];

    #[test]
    fn unpacks_what_gzip_packed() {
        assert!(is_packed(&HELLO));
        assert_eq!(unpack(&HELLO).unwrap(), b"hello");
        assert_eq!(unpack(&[HELLO, HELLO].concat()).unwrap(), b"hellohello");
    }

    #[test]
    fn a_bomb_is_not_unpacked_to_its_end() {
        assert_eq!(unpack_at_most(&HELLO, 5).unwrap(), b"hello");
        assert_eq!(unpack_at_most(&HELLO, 4).unwrap_err().to_string(), "it is bigger than 4 B");
        let many = HELLO.repeat(1000);
        assert!(unpack_at_most(&many, 4999).is_err());
    }

    #[test]
    fn damage_is_an_error() {
        let mut wrong = HELLO;
        wrong[18] ^= 1; // the checksum
        assert!(unpack(&wrong).is_err());
        for end in 0..HELLO.len() {
            assert!(unpack(&HELLO[..end]).is_err() || end == 0, "{end}");
        }
    }
}
