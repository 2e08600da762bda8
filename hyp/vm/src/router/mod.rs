// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How events reach vPEs: the one interface to it, and a type for each way.
//!
//! | type | GIC | who delivers |
//! |---|---|---|
//! | [`Direct`] | GICv4 | the GIC: each event is a vLPI of its vPE |
//! | [`Listed`] | any other | EL2: it takes an event and puts it into a list register |
//!
//! The plan makes the choice ([`Choose`]). Whoever changes an event (`vits`) or a list register
//! (`vgic`), and whoever rings, calls [`Router`] and does not ask which it is: what one way does
//! not need compiles to nothing.

mod choose;
mod direct;
mod listed;

pub use choose::{Choose, Events};
pub use direct::Direct;
pub use listed::{Listed, physical};

use crate::{Guest, VpeState, vits::View, vits::VmEvent};
use gicv4::{command::Encoded, list_regs::ListReg, lpi::LpiConfig};
use plan::EventRoute;

/// What a physical LPI is to the CPU that takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The doorbell of a vPE.
    Doorbell,
    /// The plan's event of this number.
    Event(usize),
}

/// A way, on a [`crate::Platform`] `P`.
pub trait Router<P> {
    /// What the physical LPI `intid` is.
    fn arrival(intid: u32) -> Arrival;

    /// EL2 raises an event of its own, `route`, the plan's number `event`, for the vPE `vpe`, which
    /// is not the calling one.
    fn raise(platform: &mut P, route: &EventRoute, event: usize, vpe: &VpeState);

    // List registers of the calling CPU. By default the GIC delivers events, and none has one.

    /// An interrupt of the guest's is an event that a list register may have.
    #[inline(always)]
    fn lists(_intid: u32) -> bool {
        false
    }

    /// A flush begins, which was wanted for `attention`.
    #[inline(always)]
    fn begin_flush(_: &Guest, _: &mut P, _attention: u32) {}

    /// INTID and priority of the most urgent event that waits here, or `best`, if that is more
    /// urgent; of urgency `from` or less.
    #[inline(always)]
    fn most_urgent(_: &Guest, _: &P, _from: u32, best: Option<(u32, u8)>) -> Option<(u32, u8)> {
        best
    }

    /// The event `vintid`, if it is to be delivered here: its entry in a list register.
    #[inline(always)]
    fn entry(_: &Guest, _vintid: u32) -> Option<ListReg> {
        None
    }

    /// It does not wait any more. True: it did, and is the caller's to list.
    #[inline(always)]
    fn take(_: &Guest, _: &P, _vintid: u32) -> bool {
        false
    }

    /// What is left of a listed event that is not to be delivered here any more; None: it stays.
    #[inline(always)]
    fn withdraw(_: &Guest, _: &mut P, _listed: ListReg) -> Option<ListReg> {
        None
    }

    /// An event leaves its list register: what is pending of it waits.
    #[inline(always)]
    fn put_back(_: &Guest, _: &P, _listed: ListReg) {}

    /// One event that EL2 raised is all that the vPE is to look at.
    #[inline(always)]
    fn is_rung(_: &Guest) -> bool {
        false
    }

    /// It, to be listed. None: there is more by now, and the vPE flushes.
    #[inline(always)]
    fn take_rung(_: &Guest, _: &P) -> Option<ListReg> {
        None
    }

    // The ITS: commands for one event of a VM's, of `view`.

    /// Maps one that is not mapped.
    fn map(view: &View, platform: &P, own: &VmEvent, vintid: u32, number: u16) -> Encoded;

    /// Moves one to the vPE `number`, with its pending state.
    fn relocate(view: &View, platform: &mut P, own: &VmEvent, number: u16) -> Encoded;

    /// Makes a batch complete: its event goes to the vPE `number`.
    fn sync(view: &View, platform: &P, number: u16) -> Encoded;

    /// Its byte in the configuration table.
    fn configure(view: &View, platform: &mut P, own: &VmEvent, vintid: u32, config: LpiConfig);

    /// That byte is in use from here on: by these commands, or already.
    fn reload(view: &View, platform: &mut P, own: &VmEvent, vintid: u32) -> Option<[Encoded; 2]>;

    /// What a restart has the ITS do for one that is where the plan has it: nothing is pending.
    fn renew(view: &View, platform: &mut P, own: &VmEvent) -> Option<[Encoded; 2]>;

    /// Makes one pending that is EL2's own, and not the ITS's. False: it is the ITS's.
    #[inline(always)]
    fn set(_: &Guest, _: &mut P, _: &VmEvent) -> bool {
        false
    }

    // What follows them. By default nothing.

    /// The VM restarts, and a batch for the event was given.
    #[inline(always)]
    fn renewed(_: &View, _: &mut P, _: &VmEvent) {}

    /// The guest cleared the event, or unmapped it; it was `vintid`.
    #[inline(always)]
    fn dropped(_: &Guest, _: &mut P, _: &VmEvent, _vintid: u32) {}

    /// The guest moved the event away from the vPE `before`.
    #[inline(always)]
    fn moved(_: &Guest, _: &mut P, _: &VmEvent, _before: u16) {}

    /// Something else changed for an event of the vPE `number`.
    #[inline(always)]
    fn changed(_: &Guest, _: &mut P, _number: u16) {}
}
