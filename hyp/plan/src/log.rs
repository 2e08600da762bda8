// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where the log is: EL2's lines on a board without a console. Its layout is the guests' business
//! too, and in `abi::log`.

use crate::Pa;

/// Of header and ring.
pub const BYTES: u64 = 64 << 10;

/// Where it is.
#[derive(Debug)]
#[cfg_attr(feature = "host", derive(Clone, Copy, serde::Serialize, crate::constant::Constant))]
pub struct Log {
    pub base: Pa,
    /// Of header and ring.
    pub bytes: u64,
}
