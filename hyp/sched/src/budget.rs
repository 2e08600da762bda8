// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How much of a period's CPU time a vPE has used.
//!
//! Period k is `epoch + k * period ..`, whatever happened before, so that nothing drifts. Each
//! begins with the whole budget; what was left of the last one is lost; what was used beyond it,
//! because the timer that ends a budget was late, is taken off. Over any number of periods a vPE
//! thus has its budgets and at most one lateness more. Renewals are applied when somebody looks: no
//! timer fires for them.

use core::num::NonZeroU64;

use plan::{Budget, Rest};

use crate::NEVER;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    budget: NonZeroU64,
    period: NonZeroU64,
    rest: Rest,
    /// Ticks used, as of the period that `renewal` ends.
    used: u64,
    /// End of the current period.
    renewal: u64,
}

impl Account {
    pub const fn new(budget: Budget, epoch: u64, now: u64) -> Self {
        let mut account = Self {
            budget: budget.ticks,
            period: budget.period,
            rest: budget.rest,
            used: 0,
            renewal: epoch,
        };
        account.renew(now);
        account
    }

    pub const fn rest(&self) -> Rest {
        self.rest
    }

    pub const fn is_empty(&self) -> bool {
        self.used >= self.budget.get()
    }

    /// Applies the renewals due by `now`.
    pub const fn renew(&mut self, now: u64) {
        if now >= self.renewal {
            let periods = (now - self.renewal) / self.period.get() + 1;
            self.used = self.used.saturating_sub(self.budget.get().saturating_mul(periods));
            self.renewal = self.renewal.saturating_add(self.period.get().saturating_mul(periods));
        }
    }

    /// Takes off the time from `since`, when it was renewed, to `now`.
    pub const fn charge(&mut self, since: u64, now: u64) {
        if now < self.renewal {
            self.used = self.used.saturating_add(now.saturating_sub(since));
            return;
        }
        // To the end of its period; then a renewal, and all of each whole period; then the start of
        // the last one.
        let (budget, period) = (self.budget.get(), self.period.get());
        let beyond = now - self.renewal;
        let periods = beyond / period;
        self.used = self
            .used
            .saturating_add(self.renewal.saturating_sub(since))
            .saturating_sub(budget)
            .saturating_add(period.saturating_sub(budget).saturating_mul(periods))
            .saturating_add(beyond % period);
        self.renewal =
            self.renewal.saturating_add(period.saturating_mul(periods.saturating_add(1)));
    }

    /// From when on there is something to use: 0 for already.
    pub const fn available_from(&self) -> u64 {
        let debt = self.used / self.budget.get();
        if debt == 0 {
            return 0;
        }
        self.renewal.saturating_add(self.period.get().saturating_mul(debt - 1))
    }

    /// When it is used up by a vPE that runs from `now` on without a pause.
    pub const fn exhausted_at(&self, now: u64) -> u64 {
        let (budget, period) = (self.budget.get(), self.period.get());
        let end = now.saturating_add(budget.saturating_sub(self.used));
        if end < self.renewal {
            end
        } else if budget < period {
            self.renewal.saturating_add(budget)
        } else {
            NEVER
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn account(budget: u64, period: u64) -> Account {
        Account::new(Budget::new(budget, period, Rest::Suspended), 1000, 1000)
    }

    #[test]
    fn a_late_timer_is_taken_off_the_next_period() {
        let mut account = account(20, 100);
        assert_eq!(account.exhausted_at(1000), 1020);
        account.charge(1000, 1025);
        assert_eq!(account.available_from(), 1100);
        account.renew(1100);
        assert_eq!(account.exhausted_at(1100), 1115);
    }

    #[test]
    fn a_debt_of_several_budgets_costs_several_periods() {
        let mut account = account(20, 100);
        account.charge(1000, 1050);
        assert_eq!(account.available_from(), 1200);
        account.renew(1199);
        assert!(account.is_empty());
        account.renew(1200);
        assert_eq!(account.exhausted_at(1200), 1210);
    }

    #[test]
    fn budgets_on_both_sides_of_a_renewal_join() {
        let mut account = account(20, 100);
        account.renew(1090);
        assert_eq!(account.exhausted_at(1090), 1120);
        account.charge(1090, 1120);
        assert!(account.is_empty());
        assert_eq!(account.available_from(), 1200);
    }

    #[test]
    fn a_whole_period_never_runs_out() {
        let mut account = account(100, 100);
        assert_eq!(account.exhausted_at(1000), NEVER);
        account.charge(1000, 12_345);
        assert!(!account.is_empty());
    }

    proptest! {
        /// Charging and renewing in any number of steps comes to the same as tick by tick.
        #[test]
        fn agrees_with_single_ticks(
            (budget, period) in (1..20u64).prop_flat_map(|period| (1..=period, Just(period))),
            spans in prop::collection::vec((any::<bool>(), 0..60u64), 1..30),
        ) {
            let mut account = account(budget, period);
            let (mut used, mut now) = (0u64, 1000u64);
            for (runs, ticks) in spans {
                account.renew(now);
                for tick in now..now + ticks {
                    used += u64::from(runs);
                    if (tick + 1 - 1000) % period == 0 {
                        used = used.saturating_sub(budget);
                    }
                }
                if runs {
                    account.charge(now, now + ticks);
                } else {
                    account.renew(now + ticks);
                }
                now += ticks;
                prop_assert_eq!(account.used, used);
                let from = account.available_from().max(now);
                let mut later = account;
                later.renew(from);
                prop_assert!(!later.is_empty());
                if from > now {
                    account.renew(from - 1);
                    prop_assert!(account.is_empty());
                    // Put it back: renewing is idempotent only for one moment.
                    account = later;
                    used = later.used;
                    now = from;
                }
            }
        }
    }
}
