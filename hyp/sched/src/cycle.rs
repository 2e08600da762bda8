// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The cyclic policy: where in its frame a moment lies.
//!
//! A pure function of the absolute time. A decision that comes late, or never, changes nothing for
//! the next one. The cost is one division and a binary search among the frame's windows, which the
//! plan fixes.

use plan::Frame;

use crate::Slot;

/// A window, or the gap before one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// None: a gap.
    pub slot: Option<Slot>,
    pub start: u64,
    pub end: u64,
}

/// Frames begin at `epoch` and every `frame.ticks` from there; before it is a gap.
pub(crate) fn position(frame: &Frame, epoch: u64, now: u64) -> Position {
    let Some(elapsed) = now.checked_sub(epoch) else {
        return Position { slot: None, start: 0, end: epoch };
    };
    let phase = elapsed % frame.ticks;
    let frame_start = now - phase;
    let after = frame.windows.partition_point(|window| window.start <= phase);
    let next = frame.windows.get(after).map_or(frame.ticks.get(), |window| window.start);
    let window = after.checked_sub(1).and_then(|last| frame.windows.get(last));
    let (slot, start, end) = match window {
        Some(window) => {
            let end = window.start.saturating_add(window.ticks);
            if phase < end {
                (Slot::new(window.slot), window.start, end)
            } else {
                (None, end, next)
            }
        }
        None => (None, 0, next),
    };
    Position {
        slot,
        start: frame_start.saturating_add(start),
        end: frame_start.saturating_add(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::num::NonZeroU64;
    use plan::{VpeIndex, Window};

    const FRAME: Frame = Frame {
        ticks: NonZeroU64::new(100).unwrap(),
        vpes: &[VpeIndex::new(4), VpeIndex::new(7)],
        windows: &[
            Window { start: 10, ticks: 20, slot: 0 },
            Window { start: 30, ticks: 10, slot: 1 },
            Window { start: 90, ticks: 10, slot: 0 },
        ],
    };

    #[test]
    fn windows_and_gaps_by_absolute_time() {
        for (now, slot, start, end) in [
            (0, None, 0, 1000),
            (1000, None, 1000, 1010),
            (1010, Some(0), 1010, 1030),
            (1029, Some(0), 1010, 1030),
            (1030, Some(1), 1030, 1040),
            (1040, None, 1040, 1090),
            (1090, Some(0), 1090, 1100),
            (1_000_099, Some(0), 1_000_090, 1_000_100),
            (1_000_100, None, 1_000_100, 1_000_110),
        ] {
            assert_eq!(
                position(&FRAME, 1000, now),
                Position { slot: slot.and_then(Slot::new), start, end },
                "at {now}"
            );
        }
    }

    #[test]
    fn a_frame_without_windows_is_one_gap() {
        let frame = Frame { windows: &[], ..FRAME };
        assert_eq!(position(&frame, 0, 150), Position { slot: None, start: 100, end: 200 });
    }
}
