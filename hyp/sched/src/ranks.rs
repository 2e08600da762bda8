// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The priority policy: two orders of rank, with and without a claim to the CPU.
//!
//! The foreground holds every vPE that has budget left or needs none; the background those that may
//! run without. A vPE is in both when it has a budget and `rest` is background. The first of the
//! foreground runs; when it has nobody, the first of the background.

use plan::{Masked, PrioritySlot, Rest};

use crate::budget::Account;
use crate::calendar::Calendar;
use crate::choice::Choice;
use crate::{NEVER, SLOTS, Slot};

#[derive(Clone)]
pub(crate) struct Ranks {
    accounts: Masked<Option<Account>, SLOTS>,
    foreground: Calendar,
    background: Calendar,
}

impl Ranks {
    pub const fn new() -> Self {
        Self {
            accounts: Masked::new([None; SLOTS]),
            foreground: Calendar::new(),
            background: Calendar::new(),
        }
    }

    /// Nobody has an account or is ready. In place: the whole would not fit on a small stack.
    pub fn clear(&mut self) {
        self.accounts.fill(None);
        self.foreground.clear();
        self.background.clear();
    }

    /// Fresh budgets for this table; nobody is ready.
    pub fn open(&mut self, table: &[PrioritySlot], epoch: u64, now: u64) {
        self.clear();
        for (account, slot) in self.accounts.iter_mut().zip(table) {
            *account = slot.budget.map(|budget| Account::new(budget, epoch, now));
        }
    }

    /// After a change of the slot's vPE or account.
    pub fn refresh(&mut self, slot: Slot, ready_from: u64) {
        let (foreground, background) = match &self.accounts[slot.index()] {
            None => (ready_from, NEVER),
            Some(account) => (
                ready_from.max(account.available_from()),
                match account.rest() {
                    Rest::Background => ready_from,
                    Rest::Suspended => NEVER,
                },
            ),
        };
        self.foreground.set(slot, foreground);
        self.background.set(slot, background);
    }

    pub fn choose(&self, now: u64) -> Choice {
        let (slot, until) = self.foreground.first(now);
        if slot.is_some() {
            return Choice { slot, until, charged: true };
        }
        let (slot, sooner) = self.background.first(now);
        Choice { slot, until: until.min(sooner), charged: false }
    }

    /// The slot runs on its account from `now` on. When that is used up.
    pub fn start(&mut self, slot: Slot, now: u64) -> u64 {
        match &mut self.accounts[slot.index()] {
            None => NEVER,
            Some(account) => {
                account.renew(now);
                account.exhausted_at(now)
            }
        }
    }

    /// The slot has run on its account. True: its budget is used up, and it needs a refresh.
    pub fn charge(&mut self, slot: Slot, since: u64, now: u64) -> bool {
        match &mut self.accounts[slot.index()] {
            None => false,
            Some(account) => {
                account.charge(since, now);
                account.is_empty()
            }
        }
    }
}
