//! The log: where EL2's lines go on a board without a console.
//!
//! A ring in RAM that boot leaves as it is, so that the lines before a reset are still there. Its words are little-endian:
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 8 | [`MAGIC`] |
//! | 8 | 8 | bytes of the ring |
//! | 16 | 8 | bytes that were ever written: the next one goes to that number modulo the ring's bytes |
//! | 64 | | the ring |

use crate::Pa;

/// "BULKLOG1".
pub const MAGIC: u64 = u64::from_le_bytes(*b"BULKLOG1");
/// Offset of the ring's bytes.
pub const SIZE: u64 = 8;
/// Offset of the bytes written.
pub const HEAD: u64 = 16;
/// Offset of the ring.
pub const RING: u64 = 64;
/// Of header and ring.
pub const BYTES: u64 = 64 << 10;

/// Where it is.
#[derive(Debug)]
pub struct Log {
    pub base: Pa,
    /// Of header and ring.
    pub bytes: u64,
}
