// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a vPE's scheduling has come to: counts and latencies that never overflow.

/// How long something took, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
    buckets: [u32; Self::BUCKETS],
}

impl Latency {
    pub const BUCKETS: usize = 32;

    pub const NONE: Self =
        Self { count: 0, sum: 0, min: u64::MAX, max: 0, buckets: [0; Self::BUCKETS] };

    pub fn record(&mut self, ticks: u64) {
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(ticks);
        self.min = self.min.min(ticks);
        self.max = self.max.max(ticks);
        let last = Self::BUCKETS as u32 - 1;
        if let Some(bucket) = self.buckets.get_mut((ticks | 1).ilog2().min(last) as usize) {
            *bucket = bucket.saturating_add(1);
        }
    }

    pub const fn count(&self) -> u64 {
        self.count
    }

    /// None: nothing recorded.
    pub const fn min(&self) -> Option<u64> {
        if self.count == 0 { None } else { Some(self.min) }
    }

    /// None: nothing recorded.
    pub const fn max(&self) -> Option<u64> {
        if self.count == 0 { None } else { Some(self.max) }
    }

    /// Rounded down. None: nothing recorded.
    pub const fn mean(&self) -> Option<u64> {
        self.sum.checked_div(self.count)
    }

    /// Bucket n counts 2^n up to 2^(n+1) - 1 ticks; the first also 0, the last everything above.
    pub const fn buckets(&self) -> &[u32; Self::BUCKETS] {
        &self.buckets
    }
}

/// Of one vPE; it travels with it when a mode moves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Times it got the CPU, from another vPE or from nobody.
    pub switches: u64,
    /// Budgets that it used up and was stopped for.
    pub overruns: u64,
    /// From when it had reason to run (a wake, its virtual timer, being switched on) to when it
    /// did.
    pub wake_to_run: Latency,
}

impl Statistics {
    pub const NONE: Self = Self { switches: 0, overruns: 0, wake_to_run: Latency::NONE };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_recorded_has_no_figures() {
        assert_eq!(
            (Latency::NONE.min(), Latency::NONE.mean(), Latency::NONE.max()),
            (None, None, None)
        );
    }

    #[test]
    fn buckets_are_powers_of_two() {
        for (ticks, bucket) in [
            (0, 0),
            (1, 0),
            (2, 1),
            (3, 1),
            (4, 2),
            (1023, 9),
            (1024, 10),
            (u64::from(u32::MAX), 31),
            (u64::MAX, 31),
        ] {
            let mut latency = Latency::NONE;
            latency.record(ticks);
            assert_eq!(latency.buckets()[bucket], 1, "{ticks}");
        }
    }

    #[test]
    fn figures_saturate() {
        let mut latency = Latency::NONE;
        latency.record(u64::MAX);
        latency.record(4);
        assert_eq!(latency.min(), Some(4));
        assert_eq!(latency.max(), Some(u64::MAX));
        assert_eq!(latency.mean(), Some(u64::MAX / 2));
        latency.buckets[2] = u32::MAX;
        latency.record(4);
        assert_eq!(latency.buckets()[2], u32::MAX);
    }
}
