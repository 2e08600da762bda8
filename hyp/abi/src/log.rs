// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Layout of the log: where EL2's lines go on a board without a console.
//!
//! A ring in RAM that boot leaves as it is, so that the lines before a reset are still there. Its
//! words are little-endian:
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 8 | [`MAGIC`] |
//! | 8 | 8 | bytes of the ring |
//! | 16 | 8 | bytes ever written: the next goes to that number modulo the ring's bytes |
//! | 64 | | the ring |

/// "BULKLOG1".
pub const MAGIC: u64 = u64::from_le_bytes(*b"BULKLOG1");
/// Offset of the ring's bytes.
pub const SIZE: u64 = 8;
/// Offset of the bytes written.
pub const HEAD: u64 = 16;
/// Offset of the ring.
pub const RING: u64 = 64;
