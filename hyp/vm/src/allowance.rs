// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How much a VM may cause at the physical ITS.
//!
//! All VMs share one command queue, and the ITS that executes its commands is the one that
//! translates everybody's interrupts. Each batch of commands that a VM causes, whatever it is for,
//! is taken out of the VM's allowance: commands to its virtual ITS that need the hardware, rings of
//! its channels, and what a restart puts back. It holds [`plan::ItsAllowance::most`] batches and
//! gets one back every [`plan::ItsAllowance::interval`]. What finds it empty waits and is never
//! dropped.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use plan::ItsAllowance;

/// Of one VM; its vPEs use it at once. It outlives a restart.
#[derive(Debug)]
pub struct Allowance {
    /// When it is full again, in ticks of the counter.
    full_at: AtomicU64,
}

impl Allowance {
    pub const fn new() -> Self {
        Self { full_at: AtomicU64::new(0) }
    }

    /// Takes one batch at the time `now`. Otherwise: when there is one.
    pub fn take(&self, limit: ItsAllowance, now: u64) -> Result<(), u64> {
        let debt = limit.interval.saturating_mul(limit.most.into());
        let mut full_at = self.full_at.load(Relaxed);
        // Fails again only when another vPE has taken one meanwhile, which ends with the last of
        // them.
        loop {
            let next = full_at.max(now).saturating_add(limit.interval);
            if next > now.saturating_add(debt) {
                return Err(next.saturating_sub(debt));
            }
            match self.full_at.compare_exchange_weak(full_at, next, Relaxed, Relaxed) {
                Ok(_) => return Ok(()),
                Err(other) => full_at = other,
            }
        }
    }

    /// Takes batches that cannot wait: whatever comes next does.
    pub fn owe(&self, limit: ItsAllowance, now: u64, batches: u64) {
        let more = limit.interval.saturating_mul(batches);
        let owe = |full_at: u64| Some(full_at.max(now).saturating_add(more));
        let _ = self.full_at.fetch_update(Relaxed, Relaxed, owe);
    }

    /// When the next batch may be taken; the past, if now.
    pub fn ready_at(&self, limit: ItsAllowance) -> u64 {
        let debt = limit.interval.saturating_mul(u64::from(limit.most).saturating_sub(1));
        self.full_at.load(Relaxed).saturating_sub(debt)
    }
}

impl Default for Allowance {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    const LIMIT: ItsAllowance = ItsAllowance { most: 32, interval: 1_000 };

    #[test]
    fn so_many_at_once_then_one_by_one() {
        let allowance = Allowance::new();
        let start = 5_000_000;
        for _ in 0..LIMIT.most {
            assert_eq!(allowance.take(LIMIT, start), Ok(()));
        }
        assert_eq!(allowance.take(LIMIT, start), Err(start + 1_000));
        assert_eq!(allowance.ready_at(LIMIT), start + 1_000);
        assert_eq!(allowance.take(LIMIT, start + 999), Err(start + 1_000));
        assert_eq!(allowance.take(LIMIT, start + 1_000), Ok(()));
        assert_eq!(allowance.take(LIMIT, start + 1_000), Err(start + 2_000));
        for _ in 0..LIMIT.most {
            assert_eq!(allowance.take(LIMIT, start + 60_000), Ok(()), "it is full again");
        }
        assert!(allowance.take(LIMIT, start + 60_000).is_err());
    }

    #[test]
    fn what_could_not_wait_is_owed() {
        let allowance = Allowance::new();
        allowance.owe(LIMIT, 7_000, 40);
        assert_eq!(allowance.take(LIMIT, 7_000), Err(16_000));
        assert_eq!(allowance.take(LIMIT, 16_000), Ok(()));
        allowance.owe(LIMIT, 16_000, u64::MAX);
        assert_eq!(allowance.take(LIMIT, u64::MAX / 2), Err(u64::MAX - 32_000));
    }

    proptest! {
        /// In no time at all does a VM get more than it holds and what comes back meanwhile;
        /// whoever waits as long as it is told gets one.
        #[test]
        fn never_more_than_the_limit(
            most in 1..64u32,
            interval in 1..3_000u64,
            steps in prop::collection::vec(0..5_000u64, 1..200),
        ) {
            let limit = ItsAllowance { most, interval };
            let allowance = Allowance::new();
            let mut taken: Vec<u64> = Vec::new();
            let mut now = 1_000_000;
            for step in steps {
                match allowance.take(limit, now) {
                    Ok(()) => taken.push(now),
                    Err(at) => {
                        prop_assert!(at > now);
                        prop_assert_eq!(allowance.ready_at(limit), at);
                        if step % 2 == 0 {
                            now = at;
                            continue;
                        }
                    }
                }
                now += step;
            }
            for (first, &from) in taken.iter().enumerate() {
                for (n, &to) in taken.iter().enumerate().skip(first) {
                    let count = (n - first + 1) as u64;
                    prop_assert!(count <= u64::from(most) + (to - from) / interval);
                }
            }
        }
    }
}
