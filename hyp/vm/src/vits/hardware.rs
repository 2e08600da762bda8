//! What a view's changes need of the physical ITS: one batch of the hypervisor's commands for one event.
//!
//! Each batch ends with VSYNC of the vPE that gets the event, so that its effect is there when the guest goes on. A vINTID is
//! changed by DISCARD and VMAPTI, the vPE by VMOVI, which takes the pending state along (IHI 0069H 5.3).

use super::event::{Own, View};
use crate::{
    counters::{Counter, Counters},
    platform::PhysicalIts,
};
use gicv4::{DeviceId, EventId, IntId, command::Command, lpi::LpiConfig};

/// The physical ITS, as a vPE's commands may change it.
pub(super) struct Hardware<'a, P> {
    pub view: View,
    pub platform: &'a mut P,
    /// Of the vPE that gave the commands.
    pub counters: &'static Counters,
}

fn name(own: &Own) -> (DeviceId, EventId) {
    (DeviceId::new(own.route.device), EventId::new(own.route.event))
}

impl<P: PhysicalIts> Hardware<'_, P> {
    /// Makes it the vLPI `vintid` of the vPE `number`, nothing of it pending.
    pub fn map(&mut self, own: &Own, vintid: u32, number: u16, config: LpiConfig) {
        self.unmap(own);
        let (device, event) = name(own);
        let (vpe, doorbell) = self.view.vpe(number);
        self.platform.configure(self.view.vm(), vintid, config.byte());
        let vintid_of = IntId::new(vintid);
        self.platform.command(&[
            Command::Vmapti { device, event, vintid: vintid_of, vpe, doorbell }.encode(),
            Command::Inv { device, event }.encode(),
            Command::Vsync { vpe }.encode(),
        ]);
        own.place(vintid, number, config);
        self.counters.count(Counter::ItsRemapped);
    }

    /// Takes it out: it is not translated any more, and nothing of it is pending.
    pub fn unmap(&mut self, own: &Own) {
        if own.vintid().is_none() {
            return;
        }
        discard(&self.view, self.platform, own);
        self.counters.count(Counter::ItsDiscarded);
    }

    /// To another vPE, with its pending state. INV, because that vPE's redistributor may have looked at the configuration before it
    /// was changed.
    pub fn move_to(&mut self, own: &Own, number: u16) {
        if own.vpe() == number || own.vintid().is_none() {
            return;
        }
        let (device, event) = name(own);
        let (vpe, doorbell) = self.view.vpe(number);
        self.platform.command(&[
            Command::Vmovi { device, event, vpe, doorbell: Some(doorbell) }.encode(),
            Command::Inv { device, event }.encode(),
            Command::Vsync { vpe }.encode(),
        ]);
        own.set_vpe(number);
        self.counters.count(Counter::ItsMoved);
    }

    /// Enables, disables or changes the priority. Nothing happens when it is so already.
    pub fn configure(&mut self, own: &Own, config: LpiConfig) {
        let Some(vintid) = own.vintid() else { return };
        let same = |of: LpiConfig| (of.priority(), of.enabled());
        if same(own.config()) == same(config) {
            return;
        }
        let (device, event) = name(own);
        let (vpe, _) = self.view.vpe(own.vpe());
        self.platform.configure(self.view.vm(), vintid, config.byte());
        self.platform
            .command(&[Command::Inv { device, event }.encode(), Command::Vsync { vpe }.encode()]);
        own.set_config(config);
        self.counters.count(Counter::ItsConfigured);
    }

    /// Makes it pending, as its device would.
    pub fn ring(&mut self, own: &Own) {
        let (device, event) = name(own);
        self.set(own, Command::Int { device, event });
    }

    /// Makes it not pending.
    pub fn clear(&mut self, own: &Own) {
        let (device, event) = name(own);
        self.set(own, Command::Clear { device, event });
    }

    fn set(&mut self, own: &Own, command: Command) {
        if own.vintid().is_none() {
            return;
        }
        let (vpe, _) = self.view.vpe(own.vpe());
        self.platform.command(&[command.encode(), Command::Vsync { vpe }.encode()]);
        self.counters.count(Counter::ItsSet);
    }
}

fn discard<P: PhysicalIts>(view: &View, platform: &mut P, own: &Own) {
    let (device, event) = name(own);
    let (vpe, _) = view.vpe(own.vpe());
    platform
        .command(&[Command::Discard { device, event }.encode(), Command::Vsync { vpe }.encode()]);
    own.displace();
}

/// Puts every event of a VM whose vPEs are all off back to where the plan has it. The configuration table is the caller's.
pub fn restore<P: PhysicalIts>(view: View, platform: &mut P) {
    let away = |own: &Own| own.vintid() != Some(own.route.vintid) || own.vpe() != own.home;
    // All of them go before the first one comes back: two may have changed places.
    for own in view.events().filter(|own| away(own) && own.vintid().is_some()) {
        discard(&view, platform, &own);
    }
    for own in view.events().filter(away) {
        let (device, event) = name(&own);
        let (vpe, doorbell) = view.vpe(own.home);
        let vintid = IntId::new(own.route.vintid);
        platform.command(&[
            Command::Vmapti { device, event, vintid, vpe, doorbell }.encode(),
            Command::Vsync { vpe }.encode(),
        ]);
        own.place(own.route.vintid, own.home, view.planned());
    }
}
