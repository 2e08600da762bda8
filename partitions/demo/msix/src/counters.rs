// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the hypervisor counted for this vPE, and what reading it costs.

use rt::cpu;
use rt::hypercall::{Counter, counter};

/// Counters at one moment, or the difference of two.
#[derive(Clone, Copy, Debug)]
pub struct Counters {
    pub exits: u64,
    pub injections: u64,
    /// Events that EL2 put into list registers: on a GIC that does not deliver them itself.
    pub listed: u64,
    pub doorbells: u64,
    pub residency: u64,
    /// Exits that this reading itself made before it read `exits`.
    own: u64,
}

impl Counters {
    /// None: there is no hypervisor that counts.
    pub fn read() -> Option<Self> {
        let vpe = cpu::vpe();
        let get = |which| counter(vpe, which).ok();
        let start = get(Counter::Exits)?;
        let injections = get(Counter::InjectedSgi)?
            + get(Counter::InjectedTimer)?
            + get(Counter::InjectedEmulated)?;
        let listed = get(Counter::InjectedSpi)?;
        let doorbells = get(Counter::Doorbells)?;
        let residency = get(Counter::ResidencyChanges)?;
        let exits = get(Counter::Exits)?;
        Some(Self { exits, injections, listed, doorbells, residency, own: exits - start })
    }

    /// What moved from `before` to here, without the exits of the hypercalls that read them: as
    /// many as the first reading made from its first to its last are between `before`'s last and
    /// this one's last, and one more each for the call that reads `exits`.
    pub fn since(&self, before: &Self) -> Self {
        // From before.exits to self.exits lie: the call that opens this reading, and `own` calls up
        // to its last.
        let reading = self.own + 1;
        Self {
            exits: (self.exits - before.exits).saturating_sub(reading),
            injections: self.injections - before.injections,
            listed: self.listed - before.listed,
            doorbells: self.doorbells - before.doorbells,
            residency: self.residency - before.residency,
            own: 0,
        }
    }
}
