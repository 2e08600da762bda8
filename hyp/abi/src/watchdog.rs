// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Registers of the watchdog: an SBSA generic watchdog (DEN 0029), revision 1.
//!
//! Offsets are those of one frame, [`FRAME`] bytes long: [`WRR`] is in the refresh frame, the
//! others are in the control frame.

/// Bytes of a frame.
pub const FRAME: u64 = 0x1000;
/// From the control frame to the refresh frame.
pub const REFRESH: u64 = 0x1_0000;

/// Refresh frame: any write is a feed.
pub const WRR: u64 = 0x000;
/// Control and status.
pub const WCS: u64 = 0x000;
/// Offset: ticks from a feed to the first signal.
pub const WOR: u64 = 0x008;
pub const WOR_HIGH: u64 = 0x00c;
/// Compare value: when the next signal comes.
pub const WCV: u64 = 0x010;
pub const WCV_HIGH: u64 = 0x014;
/// Identification, in both frames.
pub const W_IIDR: u64 = 0xfcc;

/// Every register with its name; those of 64 bits have a high half, too.
pub const REGISTERS: [(u64, &str); 5] =
    [(WRR, "WRR"), (WCS, "WCS"), (WOR, "WOR"), (WCV, "WCV"), (W_IIDR, "W_IIDR")];

/// WCS: armed, first signal, second signal.
pub const ENABLE: u32 = 1;
pub const WS0: u32 = 1 << 1;
pub const WS1: u32 = 1 << 2;
