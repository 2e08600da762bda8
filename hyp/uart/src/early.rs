// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How the first instructions of EL2 put a byte, without a stack and with the MMU off.

use crate::Width;

/// One register says by one bit that there is room; the byte goes to another. That is all that a
/// message about a wrong entry needs, of any kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Early {
    /// Offset of the register that says so.
    pub status: u64,
    pub status_width: Width,
    /// Number of its bit.
    pub bit: u8,
    /// There is room while the bit has this value.
    pub ready: bool,
    /// Words to write before a byte, as offset and value.
    pub command: &'static [(u64, u32)],
    /// Offset of the register that takes the byte.
    pub data: u64,
    pub data_width: Width,
}
