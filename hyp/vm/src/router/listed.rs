// SPDX-License-Identifier: Apache-2.0 OR MIT
//! EL2 lists events: those of devices are physical LPIs of their vPE's CPU, rings are its own.
//!
//! An event's mask is the byte of its physical LPI; its priority is the list register's alone.
//! `vgic::lpi` has what holds for the list registers, docs/adr/0015-events-by-list-register.md why.

use super::{Arrival, Router};
use crate::{
    Guest, Platform, VpeState, vgic,
    vgic::{STALE, lpi},
    vits::{View, VmEvent},
};
use gicv4::{
    CollectionId, IntId, RdBase,
    command::{Command, Encoded},
    list_regs::ListReg,
    lpi::LpiConfig,
};
use plan::{EventRoute, VpeIndex};

/// See the module.
pub struct Listed;

/// Priority of every physical LPI: EL2 masks instead of ranking.
const PHYSICAL: u8 = 0xa0;
const FIRST_LPI: u32 = IntId::FIRST_LPI.value();

/// The byte of an event's physical LPI.
pub fn physical(enabled: bool) -> LpiConfig {
    LpiConfig::new(PHYSICAL, enabled)
}

impl<P: Platform> Router<P> for Listed {
    #[inline(always)]
    fn arrival(intid: u32) -> Arrival {
        Arrival::Event(intid.wrapping_sub(FIRST_LPI) as usize)
    }

    #[inline(always)]
    fn raise(platform: &mut P, route: &EventRoute, event: usize, vpe: &VpeState) {
        if vgic::hold_ring(vpe, platform.waiting_lpis(), event) {
            platform.kick(route.vpe);
        }
    }

    #[inline(always)]
    fn lists(intid: u32) -> bool {
        intid >= FIRST_LPI
    }

    fn begin_flush(guest: &Guest, platform: &mut P, attention: u32) {
        guest.vpe.redistributor.forget_rung();
        if attention & STALE != 0 {
            lpi::take_stale(guest, platform);
        }
    }

    fn most_urgent(
        guest: &Guest,
        platform: &P,
        from: u32,
        best: Option<(u32, u8)>,
    ) -> Option<(u32, u8)> {
        lpi::most_urgent(guest, platform, from, best)
    }

    fn entry(guest: &Guest, vintid: u32) -> Option<ListReg> {
        let event = guest.view().position_of(vintid)?;
        lpi::deliverable(guest, event).map(|lpi| lpi::fresh(&lpi))
    }

    fn take(guest: &Guest, platform: &P, vintid: u32) -> bool {
        guest.view().position_of(vintid).is_some_and(|event| lpi::take(platform, event))
    }

    fn withdraw(guest: &Guest, platform: &mut P, listed: ListReg) -> Option<ListReg> {
        lpi::withdraw(guest, platform, listed)
    }

    fn put_back(guest: &Guest, platform: &P, listed: ListReg) {
        lpi::put_back(guest, platform, listed);
    }

    #[inline(always)]
    fn is_rung(guest: &Guest) -> bool {
        guest.vpe.redistributor.is_only_rung()
    }

    #[inline(always)]
    fn take_rung(guest: &Guest, platform: &P) -> Option<ListReg> {
        lpi::take_rung(guest, platform)
    }

    fn map(view: &View, platform: &P, own: &VmEvent, _: u32, number: u16) -> Encoded {
        let (device, event) = own.name();
        let intid = IntId::new((view.index_of(own) as u32).wrapping_add(FIRST_LPI));
        let (collection, _) = home(view, platform, number);
        Command::Mapti { device, event, intid, collection }.encode()
    }

    fn relocate(view: &View, platform: &mut P, own: &VmEvent, number: u16) -> Encoded {
        // It may be masked until the vPE runs that it goes away from.
        platform.configure_lpi(view.index_of(own), physical(own.config().enabled()).byte());
        let (device, event) = own.name();
        let (collection, _) = home(view, platform, number);
        Command::Movi { device, event, collection }.encode()
    }

    fn sync(view: &View, platform: &P, number: u16) -> Encoded {
        let (_, redistributor) = home(view, platform, number);
        Command::Sync { redistributor }.encode()
    }

    fn configure(view: &View, platform: &mut P, own: &VmEvent, _: u32, config: LpiConfig) {
        platform.configure_lpi(view.index_of(own), physical(config.enabled()).byte());
    }

    fn reload(view: &View, platform: &mut P, own: &VmEvent, _: u32) -> Option<[Encoded; 2]> {
        let (device, event) = own.name();
        let complete = Self::sync(view, platform, own.vpe());
        Some([Command::Inv { device, event }.encode(), complete])
    }

    fn renew(view: &View, platform: &mut P, own: &VmEvent) -> Option<[Encoded; 2]> {
        let position = view.index_of(own);
        if own.route.ring {
            // EL2's own: the ITS does not know it.
            lpi::forget(platform, position);
            return None;
        }
        platform.configure_lpi(position, physical(view.planned().enabled()).byte());
        let (device, event) = own.name();
        let inv = Command::Inv { device, event }.encode();
        Some([inv, Command::Clear { device, event }.encode()])
    }

    fn set(guest: &Guest, platform: &mut P, own: &VmEvent) -> bool {
        if own.route.ring {
            let _ = lpi::wait(platform.waiting_lpis(), guest.view().index_of(own));
            Self::changed(guest, platform, own.vpe());
        }
        own.route.ring
    }

    fn renewed(view: &View, platform: &mut P, own: &VmEvent) {
        let complete = Self::sync(view, platform, own.home);
        platform.command(&[complete]);
        lpi::forget(platform, view.index_of(own));
    }

    fn dropped(guest: &Guest, platform: &mut P, own: &VmEvent, vintid: u32) {
        lpi::drop(guest, platform, guest.view().index_of(own), (own.vpe(), vintid));
        Self::changed(guest, platform, own.vpe());
    }

    fn moved(guest: &Guest, platform: &mut P, own: &VmEvent, before: u16) {
        Self::changed(guest, platform, before);
        Self::changed(guest, platform, own.vpe());
    }

    fn changed(guest: &Guest, platform: &mut P, number: u16) {
        vgic::notify(guest, platform, usize::from(number));
    }
}

/// The CPU of the vPE `number`, as commands name it.
fn home<P: Platform>(view: &View, platform: &P, number: u16) -> (CollectionId, RdBase) {
    platform.home(VpeIndex::new(view.vm().first_vpe.wrapping_add(number)))
}
