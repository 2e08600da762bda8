// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Layout of the message rings in a channel's memory, as `rt` has them.
//!
//! EL2 does not look into a channel: two guests that agree on something else may use that. The two
//! halves of the memory are one ring each: the lower one carries from the first end to the second,
//! the upper one back. Memory that is all zero is two empty rings. A half, in 64-bit words:
//!
//! | word | written by | what |
//! |---|---|---|
//! | 0 | sender | messages sent so far |
//! | 8 | receiver | messages taken so far |
//! | 16 | receiver 1, sender 0 | the receiver waits: ring after sending |
//! | 24 | sender 1, receiver 0 | the sender waits for room: ring after taking |
//! | 32 + 32 n | sender | slot n: length in bytes, then up to 248 bytes |

/// Word of the messages sent so far.
pub const SENT: usize = 0;
/// Word of the messages taken so far.
pub const TAKEN: usize = 8;
/// Word by which the receiver says that it waits.
pub const RECEIVER_WAITS: usize = 16;
/// Word by which the sender says that it waits.
pub const SENDER_WAITS: usize = 24;
/// Word of the first slot.
pub const SLOTS: usize = 32;
/// Words of a slot.
pub const SLOT: usize = 32;
/// The longest message, in bytes.
pub const LONGEST: usize = (SLOT - 1) * 8;
