// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a restart puts back at the physical ITS: every event where the plan has it, nothing
//! pending.
//!
//! A VM has any number of events, so this goes in pieces, each a batch of commands at most; they
//! come out of the VM's allowance like all that it causes. The caller writes the configuration
//! table before, invalidates the vPEs behind it, and knows that none of them runs.
//!
//! 1. What the guest mapped elsewhere goes, all of it before the first one comes back: two may have
//!    changed places.
//! 2. It comes back to where the plan has it.
//! 3. Nothing is pending.

use super::{
    batches::discard,
    event::{View, VmEvent},
};
use crate::{Platform, allowance::Allowance, router::Router};
use gicv4::command::Encoded;

/// Entries of the plan's table that a piece looks at.
const LOOKS: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Discard,
    Map,
    Clear,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    stage: Stage,
    position: usize,
}

/// What is left to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Renewed {
    All,
    More,
    /// Nothing before this time: the allowance is used up.
    Until(u64),
}

impl Renewal {
    /// At the beginning.
    pub const fn new() -> Self {
        Self { stage: Stage::Discard, position: 0 }
    }

    /// The next piece. Whoever is not `patient` never hears `Until`, and the VM owes instead.
    pub fn step<P: Platform>(
        &mut self,
        view: View,
        allowance: &Allowance,
        platform: &mut P,
        patient: bool,
    ) -> Renewed {
        // Without a virtual ITS nothing was ever mapped elsewhere.
        if !P::VIRTUAL_ITS && self.stage != Stage::Clear {
            *self = Self { stage: Stage::Clear, position: 0 };
        }
        let end = view.end().min(self.position.saturating_add(LOOKS));
        for (position, own) in view.entries(self.position..end) {
            self.position = position;
            let Some((own, commands)) =
                own.and_then(|own| Some((own, self.batch(&view, platform, &own)?)))
            else {
                continue;
            };
            let limit = view.vm().its_allowance;
            match allowance.take(limit, platform.ticks()) {
                Ok(()) => {}
                Err(time) if patient => return Renewed::Until(time),
                Err(_) => allowance.owe(limit, platform.ticks(), 1),
            }
            platform.command(&commands);
            P::Router::renewed(&view, platform, &own);
            self.done(&view, &own);
            self.position = position.saturating_add(1);
            return Renewed::More;
        }
        self.position = end;
        if end < view.end() {
            return Renewed::More;
        }
        let stage = match self.stage {
            Stage::Discard => Stage::Map,
            Stage::Map => Stage::Clear,
            Stage::Clear => return Renewed::All,
        };
        *self = Self { stage, position: 0 };
        Renewed::More
    }

    /// What the stage has to do for an event, if anything.
    fn batch<P: Platform>(
        &self,
        view: &View,
        platform: &mut P,
        own: &VmEvent,
    ) -> Option<[Encoded; 2]> {
        let away = own.vintid() != Some(own.route.vintid) || own.vpe() != own.home;
        match self.stage {
            Stage::Discard => {
                (away && own.vintid().is_some()).then(|| discard(view, platform, own))
            }
            Stage::Map => {
                let map = P::Router::map(view, platform, own, own.route.vintid, own.home);
                away.then(|| [map, P::Router::sync(view, platform, own.home)])
            }
            Stage::Clear => P::Router::renew(view, platform, own),
        }
    }

    fn done(&self, view: &View, own: &VmEvent) {
        match self.stage {
            Stage::Discard => own.displace(),
            Stage::Map => own.place(own.route.vintid, own.home, view.planned()),
            Stage::Clear => {}
        }
    }
}

impl Default for Renewal {
    fn default() -> Self {
        Self::new()
    }
}
