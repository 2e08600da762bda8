// SPDX-License-Identifier: Apache-2.0 OR MIT
//! For each slot, from when on it may run; and which slot goes first.
//!
//! A complete binary tree with one leaf for each slot, in the order of rank. A leaf holds the time
//! from which its slot has a claim to the CPU: 0 is "already", `NEVER` is "not before something
//! happens". An inner node holds the smaller of its children. From there:
//!
//! 1. A change of one leaf repairs its path to the root: at most 5 nodes, fewer when an ancestor
//!    does not change.
//! 2. The first slot with a claim is found by walking down and keeping left wherever the left child
//!    is due: 5 steps.
//! 3. Each subtree that the walk passes on its left holds ranks above the slot it ends at, none of
//!    them due yet: the least of them is the next time at which the answer can change. Ranks below
//!    cannot change it, so their times interrupt nobody.
//!
//! A time that passes therefore needs no work of its own: no queue is drained, whatever number of
//! slots becomes due at once. The cost is the same for 2 slots and for 32.

use plan::Masked;

use crate::{SLOTS, Slot};

/// Later than every time.
pub const NEVER: u64 = u64::MAX;

const NODES: usize = 2 * SLOTS;
const ROOT: usize = 1;

/// See the module.
#[derive(Clone)]
pub(crate) struct Calendar {
    /// Node n has the children 2n and 2n + 1; the leaves are the upper half; entry 0 is not used.
    nodes: Masked<u64, NODES>,
}

impl Calendar {
    pub const fn new() -> Self {
        Self { nodes: Masked::new([NEVER; NODES]) }
    }

    pub fn clear(&mut self) {
        self.nodes.fill(NEVER);
    }

    fn node(&self, n: usize) -> u64 {
        self.nodes[n]
    }

    /// From `time` on, `slot` may run.
    pub fn set(&mut self, slot: Slot, time: u64) {
        let mut n = SLOTS + slot.index();
        self.nodes[n] = time;
        while n > ROOT {
            n /= 2;
            let least = self.node(2 * n).min(self.node(2 * n + 1));
            if self.node(n) == least {
                return;
            }
            self.nodes[n] = least;
        }
    }

    /// The first slot with a claim at `now`, and when another one may come before it; without any,
    /// when one may come.
    pub fn first(&self, now: u64) -> (Option<Slot>, u64) {
        let now = now.min(NEVER - 1);
        if self.node(ROOT) > now {
            return (None, self.node(ROOT));
        }
        let mut n = ROOT;
        let mut next = NEVER;
        while n < SLOTS {
            n *= 2;
            let left = self.node(n);
            if left > now {
                next = next.min(left);
                n += 1;
            }
        }
        (Some(Slot::wrapping(n)), next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slot(n: usize) -> Slot {
        Slot::wrapping(n)
    }

    #[test]
    fn empty_has_nobody_at_any_time() {
        let calendar = Calendar::new();
        assert_eq!(calendar.first(0), (None, NEVER));
        assert_eq!(calendar.first(NEVER), (None, NEVER));
    }

    #[test]
    fn times_of_lower_ranks_interrupt_nobody() {
        let mut calendar = Calendar::new();
        calendar.set(slot(3), 0);
        calendar.set(slot(9), 20);
        assert_eq!(calendar.first(10), (Some(slot(3)), NEVER));
        calendar.set(slot(1), 30);
        assert_eq!(calendar.first(10), (Some(slot(3)), 30));
        assert_eq!(calendar.first(30), (Some(slot(1)), NEVER));
    }

    proptest! {
        #[test]
        fn agrees_with_a_search_through_all_slots(
            changes in prop::collection::vec((0..SLOTS, prop_oneof![0..50u64, Just(NEVER)]), 0..100),
            now in 0..60u64,
        ) {
            let mut calendar = Calendar::new();
            let mut times = [NEVER; SLOTS];
            for (n, time) in changes {
                calendar.set(slot(n), time);
                times[n] = time;
                let first = times.iter().position(|&time| time <= now);
                let next = times[..first.unwrap_or(SLOTS)].iter().copied().min().unwrap_or(NEVER);
                prop_assert_eq!(calendar.first(now), (first.map(slot), next));
            }
        }
    }
}
