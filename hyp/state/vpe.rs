// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A vPE as EL2 runs it: what its exits need at hand.
//!
//! One for each vPE, found through TPIDR_EL2 (arch/this.rs) while it runs. `residency` is used by
//! the vPE's CPU alone; its lock is never contended.

use super::parts::{Direct, SHARED};
use super::places;
use super::plan_data::{PLAN, VPE_COUNT};
use super::vms::{EVENTS, VMS, VPES};
use arch::mmu::VlpiFrame;
use arch::once::Once;
use gicv4::doorbell::Doorbell;
use gicv4::residency::Form;
use plan::VpeIndex;
use spin::Mutex;
use vm::Guest;

static ALL: [Once<Vpe>; VPE_COUNT] = [const { Once::new() }; VPE_COUNT];

pub struct Vpe {
    /// All that it may touch.
    pub guest: Guest,
    /// Its number in the plan.
    pub index: VpeIndex,
    shares: bool,
    pub residency: Mutex<Residency>,
}

/// Whether a vPE is resident, and what its doorbell does (gic/residency.rs).
pub struct Residency {
    pub place: Place,
    pub bell: Doorbell,
}

pub enum Place {
    /// The vPE has no vLPIs, or the board no virtual LPIs.
    None,
    /// It was never resident.
    First,
    Out(<Direct as Form>::NonResident),
    In(<Direct as Form>::Resident<VlpiFrame>),
}

impl Residency {
    /// A vPE that has not begun.
    fn first(vpe: VpeIndex) -> Self {
        let has_tables = |vpe: &plan::Vpe| vpe.tables.is_some();
        let place = match PLAN.vpes.get(vpe.index()).is_some_and(has_tables) {
            true if PLAN.board.direct_injection => Place::First,
            _ => Place::None,
        };
        Self { place, bell: Doorbell::Silent }
    }
}

/// The vPE `index`, made at the first call, which is its first CPU's. None: the plan has no such
/// vPE.
pub fn make(index: VpeIndex) -> Option<&'static Vpe> {
    let guest = Guest::new(&PLAN, &VMS, &VPES, &EVENTS, index)?;
    let residency = Mutex::new(Residency::first(index));
    let place = ALL.get(index.index())?;
    let shares = places::shares(index);
    Some(place.get_or_make(|| Vpe { guest, index, shares, residency }))
}

/// A vPE that has been made.
pub fn of(index: VpeIndex) -> Option<&'static Vpe> {
    ALL.get(index.index())?.get()
}

impl Vpe {
    /// Its CPU is shared. If not, its registers never leave that CPU while it is on.
    #[inline(always)]
    pub fn shares(&self) -> bool {
        SHARED && self.shares
    }
}
