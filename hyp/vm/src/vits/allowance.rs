//! How much of the physical ITS a VM may use: a number of batches in each millisecond.
//!
//! The queue is shared by all VMs, and the ITS that executes commands is the one that translates everybody's interrupts. What
//! is above the number waits, at the guest's expense: its store to GITS_CWRITER is executed again until time has passed. One command may
//! touch every event of the VM and overdraw; the next then waits.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Batches in a millisecond. Linux causes about a dozen while it boots, and a few for each CPU that it takes off line.
pub(super) const BATCHES: u32 = 32;

/// Used by the vPE that has the VM's turn.
#[derive(Debug)]
pub(super) struct Allowance {
    /// When the millisecond began, in ticks.
    since: AtomicU64,
    used: AtomicU32,
}

impl Allowance {
    pub const fn new() -> Self {
        Self { since: AtomicU64::new(0), used: AtomicU32::new(0) }
    }

    /// Some is left at time `now`, with `frequency` ticks in a second.
    pub fn left(&self, now: u64, frequency: u64) -> bool {
        if now.wrapping_sub(self.since.load(Relaxed)) >= frequency / 1000 {
            self.since.store(now, Relaxed);
            self.used.store(0, Relaxed);
        }
        self.used.load(Relaxed) < BATCHES
    }

    pub fn spend(&self, batches: u64) {
        let batches = u32::try_from(batches).unwrap_or(u32::MAX);
        self.used.store(self.used.load(Relaxed).saturating_add(batches), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_in_a_millisecond() {
        let allowance = Allowance::new();
        let start = 5_000_000;
        for _ in 0..BATCHES {
            assert!(allowance.left(start, 1_000_000_000));
            allowance.spend(1);
        }
        assert!(!allowance.left(start + 999_999, 1_000_000_000));
        assert!(allowance.left(start + 1_000_000, 1_000_000_000));
    }

    #[test]
    fn what_is_overdrawn_is_not_owed() {
        let allowance = Allowance::new();
        assert!(allowance.left(7_000, 1_000_000));
        allowance.spend(u64::MAX);
        assert!(!allowance.left(7_999, 1_000_000));
        assert!(allowance.left(8_000, 1_000_000));
    }
}
