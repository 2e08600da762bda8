// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The GIC delivers events: each is a vLPI of its vPE, with the vPE's doorbell.
//!
//! EL2 does not see them. IHI 0069H 5.3; on a GICv4.1 a doorbell is the vPE's own, so that no event
//! names it, and configuration may be invalidated by GICR_INVLPIR.

use super::{Arrival, Router};
use crate::{
    Platform, VpeState,
    vits::{View, VmEvent},
};
use gicv4::{
    IntId, VpeId,
    command::{Command, Encoded},
    lpi::LpiConfig,
};
use plan::{EventRoute, VpeIndex};

/// See the module.
pub struct Direct;

impl<P: Platform> Router<P> for Direct {
    #[inline(always)]
    fn arrival(_: u32) -> Arrival {
        Arrival::Doorbell
    }

    #[inline(always)]
    fn raise(platform: &mut P, route: &EventRoute, _: usize, _: &VpeState) {
        platform.interrupt(route);
    }

    fn map(view: &View, _: &P, own: &VmEvent, vintid: u32, number: u16) -> Encoded {
        let (device, event) = own.name();
        let (vpe, doorbell) = vpe_and_doorbell::<P>(view, number);
        Command::Vmapti { device, event, vintid: IntId::new(vintid), vpe, doorbell }.encode()
    }

    fn relocate(view: &View, _: &mut P, own: &VmEvent, number: u16) -> Encoded {
        let (device, event) = own.name();
        let (vpe, doorbell) = vpe_and_doorbell::<P>(view, number);
        Command::Vmovi { device, event, vpe, doorbell: Some(doorbell) }.encode()
    }

    fn sync(view: &View, _: &P, number: u16) -> Encoded {
        let (vpe, _) = view.vpe(number);
        Command::Vsync { vpe }.encode()
    }

    fn configure(view: &View, platform: &mut P, _: &VmEvent, vintid: u32, config: LpiConfig) {
        platform.configure(view.vm(), vintid, config.byte());
    }

    fn reload(view: &View, platform: &mut P, own: &VmEvent, vintid: u32) -> Option<[Encoded; 2]> {
        if P::INVALIDATES {
            let vpe = view.vm().first_vpe.wrapping_add(own.vpe());
            platform.invalidate(VpeIndex::new(vpe), vintid);
            return None;
        }
        let (device, event) = own.name();
        let complete = Self::sync(view, platform, own.vpe());
        Some([Command::Inv { device, event }.encode(), complete])
    }

    fn renew(view: &View, platform: &mut P, own: &VmEvent) -> Option<[Encoded; 2]> {
        let (device, event) = own.name();
        let complete = Self::sync(view, platform, own.home);
        Some([Command::Clear { device, event }.encode(), complete])
    }
}

/// The vPE `number` as the ITS knows it, and the doorbell that its events name: none on GICv4.1.
fn vpe_and_doorbell<P: Platform>(view: &View, number: u16) -> (VpeId, IntId) {
    let (vpe, doorbell) = view.vpe(number);
    (vpe, if P::V41 { IntId::NONE } else { doorbell })
}
