// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a view's changes need of the physical ITS: one batch of the hypervisor's commands for one
//! event.
//!
//! Each batch ends with VSYNC of the vPE that gets the event, so that its effect is there when the
//! guest goes on. A vINTID is changed by DISCARD and VMAPTI, the vPE by VMOVI, which takes the
//! pending state along (IHI 0069H 5.3).
//!
//! A batch is taken out of the VM's allowance before it is given to the ITS. Without one nothing is
//! changed, and the guest's store is executed again later: each change here does nothing where it
//! has been made already.
//!
//! An event that was disabled may be pending when it is enabled or moved. No doorbell tells a vPE
//! that sleeps of that, so it is made to look.

use super::{
    event::{View, VmEvent},
    wait::Wait,
};
use crate::{Guest, Platform, counters::Counter, vgic};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use gicv4::{
    CollectionId, DeviceId, EventId, IntId, RdBase, VpeId,
    command::{Command, Encoded},
    lpi::LpiConfig,
};
use plan::VpeIndex;

/// Commands of the guest and batches of the hypervisor's that one trap executes.
pub(super) const BUDGET: u32 = 32;
/// Entries of the plan's table that one trap looks at.
const LOOKS: u32 = 512;

/// The physical ITS, as one trap of a guest may change it.
pub(super) struct Batches<'a, P> {
    pub guest: &'a Guest,
    pub view: View,
    pub platform: &'a mut P,
    /// What the trap has done so far, of [`BUDGET`] and of [`LOOKS`].
    work: u32,
    looks: u32,
}

pub(super) fn name(own: &VmEvent) -> (DeviceId, EventId) {
    (DeviceId::new(own.route.device), EventId::new(own.route.event))
}

impl<'a, P: Platform> Batches<'a, P> {
    pub fn new(guest: &'a Guest, platform: &'a mut P) -> Self {
        Self { guest, view: guest.view(), platform, work: 0, looks: 0 }
    }

    /// The trap may go on with a command of the guest's.
    pub fn goes_on(&self) -> Result<(), Wait> {
        let enough = self.work >= BUDGET || self.looks >= LOOKS;
        let worked = self.work != 0 || self.looks != 0;
        if enough || worked && self.platform.interrupted() { Err(Wait::Again) } else { Ok(()) }
    }

    /// One of the guest's commands is done.
    pub fn worked(&mut self) {
        self.work = self.work.wrapping_add(1);
    }

    /// Gives the ITS a batch, if the trap and the VM's allowance have room for one.
    fn batch(&mut self, commands: &[Encoded], counter: Counter) -> Result<(), Wait> {
        self.allow()?;
        self.give(commands, counter);
        Ok(())
    }

    fn allow(&mut self) -> Result<(), Wait> {
        self.goes_on()?;
        let limit = self.guest.config.its_allowance;
        self.guest.vm.allowance.take(limit, self.platform.ticks()).map_err(|time| {
            self.guest.vpe.counters.count(Counter::ItsWaits);
            Wait::Until(time)
        })
    }

    fn give(&mut self, commands: &[Encoded], counter: Counter) {
        self.work = self.work.wrapping_add(1);
        self.platform.command(commands);
        self.guest.vpe.counters.count(counter);
    }

    /// Calls `each` on the VM's events at `positions`, on from where `reached` says; when it has to
    /// stop, it goes on there the next time.
    pub fn each<E: From<Wait>>(
        &mut self,
        positions: core::ops::Range<usize>,
        reached: &AtomicU32,
        mut each: impl FnMut(&mut Self, &VmEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        let from = positions.start.max(reached.load(Relaxed) as usize);
        for (position, own) in self.view.entries(from..positions.end) {
            reached.store(position as u32, Relaxed);
            self.goes_on()?;
            self.looks = self.looks.wrapping_add(1);
            if let Some(own) = own {
                each(self, &own)?;
            }
        }
        reached.store(0, Relaxed);
        Ok(())
    }

    /// The vPE `number` looks at what is pending, if it may be asleep.
    fn wake(&mut self, number: u16) {
        if usize::from(number) != self.guest.number {
            let index = self.guest.config.first_vpe.wrapping_add(number);
            self.platform.kick(VpeIndex::new(index));
        }
    }

    /// Makes it the vLPI `vintid` of the vPE `number`, nothing of it pending.
    pub fn map(
        &mut self,
        own: &VmEvent,
        vintid: u32,
        number: u16,
        config: LpiConfig,
    ) -> Result<(), Wait> {
        self.unmap(own)?;
        self.allow()?;
        let (device, event) = name(own);
        self.write(own, vintid, config);
        let commands = [
            map_command(&self.view, self.platform, own, vintid, number),
            Command::Inv { device, event }.encode(),
            self.sync(number),
        ];
        self.give(&commands, Counter::ItsRemapped);
        own.place(vintid, number, config);
        self.look(number);
        Ok(())
    }

    /// Takes it out: it is not translated any more, and nothing of it is pending.
    pub fn unmap(&mut self, own: &VmEvent) -> Result<(), Wait> {
        if let Some(vintid) = own.vintid() {
            self.allow()?;
            let commands = discard(&self.view, self.platform, own);
            self.give(&commands, Counter::ItsDiscarded);
            own.displace();
            if P::LISTED {
                let event = self.view.index_of(own);
                vgic::unmap_lpi(self.guest, self.platform, event, (own.vpe(), vintid));
            }
            self.look(own.vpe());
        }
        Ok(())
    }

    /// To another vPE, with its pending state. INV, because that vPE's redistributor may have
    /// looked at the configuration before it was changed.
    pub fn move_to(&mut self, own: &VmEvent, number: u16) -> Result<(), Wait> {
        if own.vpe() == number || own.vintid().is_none() {
            return Ok(());
        }
        let (device, event) = name(own);
        if P::LISTED
            && let Some(vintid) = own.vintid()
        {
            // It may be masked until the vPE runs that it goes away from.
            self.write(own, vintid, own.config());
        }
        let commands = [
            self.move_command(own, number),
            Command::Inv { device, event }.encode(),
            self.sync(number),
        ];
        self.batch(&commands, Counter::ItsMoved)?;
        let before = own.vpe();
        own.set_vpe(number);
        if P::LISTED {
            vgic::move_lpi(self.platform, self.view.index_of(own));
        }
        self.look(before);
        self.look(number);
        self.wake(number);
        Ok(())
    }

    /// Enables, disables or changes the priority. Nothing happens when it is so already.
    pub fn configure(&mut self, own: &VmEvent, config: LpiConfig) -> Result<(), Wait> {
        let Some(vintid) = own.vintid() else { return Ok(()) };
        let same = |of: LpiConfig| (of.priority(), of.enabled());
        let before = own.config();
        if same(before) == same(config) {
            return Ok(());
        }
        self.allow()?;
        let (device, event) = name(own);
        self.write(own, vintid, config);
        if P::INVALIDATES {
            let vpe = self.guest.config.first_vpe.wrapping_add(own.vpe());
            self.work = self.work.wrapping_add(1);
            self.platform.invalidate(VpeIndex::new(vpe), vintid);
            self.guest.vpe.counters.count(Counter::ItsConfigured);
        } else {
            let commands = [Command::Inv { device, event }.encode(), self.sync(own.vpe())];
            self.give(&commands, Counter::ItsConfigured);
        }
        own.set_config(config);
        self.look(own.vpe());
        if config.enabled() && !before.enabled() {
            self.wake(own.vpe());
        }
        Ok(())
    }

    /// Makes it pending, as its device would.
    pub fn ring(&mut self, own: &VmEvent) -> Result<(), Wait> {
        let (device, event) = name(own);
        self.set(own, Command::Int { device, event })
    }

    /// Makes it not pending.
    pub fn clear(&mut self, own: &VmEvent) -> Result<(), Wait> {
        let (device, event) = name(own);
        self.set(own, Command::Clear { device, event })?;
        if P::LISTED {
            vgic::clear_lpi(self.guest, self.platform, self.view.index_of(own));
        }
        self.look(own.vpe());
        Ok(())
    }

    fn set(&mut self, own: &VmEvent, command: Command) -> Result<(), Wait> {
        if own.vintid().is_none() {
            return Ok(());
        }
        let commands = [command.encode(), self.sync(own.vpe())];
        self.batch(&commands, Counter::ItsSet)
    }

    fn sync(&self, number: u16) -> Encoded {
        sync(&self.view, self.platform, number)
    }

    /// The event's byte in the configuration table.
    fn write(&mut self, own: &VmEvent, vintid: u32, config: LpiConfig) {
        if P::LISTED {
            let byte = physical(config.enabled()).byte();
            self.platform.configure_lpi(self.view.index_of(own), byte);
        } else {
            self.platform.configure(self.view.vm(), vintid, config.byte());
        }
    }

    fn move_command(&self, own: &VmEvent, number: u16) -> Encoded {
        let (device, event) = name(own);
        if P::LISTED {
            let (collection, _) = home(&self.view, self.platform, number);
            return Command::Movi { device, event, collection }.encode();
        }
        let (vpe, doorbell) = vpe_and_doorbell::<P>(&self.view, number);
        Command::Vmovi { device, event, vpe, doorbell: Some(doorbell) }.encode()
    }

    /// List registers of the vPE `number` are to follow what has changed.
    fn look(&mut self, number: u16) {
        if P::LISTED {
            vgic::notify(self.guest, self.platform, usize::from(number));
        }
    }
}

/// Priority of every physical LPI: EL2 masks instead of ranking.
const PHYSICAL: u8 = 0xa0;

/// The byte of an event's physical LPI: the guest's priority is the list register's.
pub fn physical(enabled: bool) -> LpiConfig {
    LpiConfig::new(PHYSICAL, enabled)
}

/// The CPU of the vPE `number`, as commands name it.
fn home<P: Platform>(view: &View, platform: &P, number: u16) -> (CollectionId, RdBase) {
    platform.home(VpeIndex::new(view.vm().first_vpe.wrapping_add(number)))
}

/// The vPE `number` as the ITS knows it, and the doorbell that its events name: none on GICv4.1.
fn vpe_and_doorbell<P: Platform>(view: &View, number: u16) -> (VpeId, IntId) {
    let (vpe, doorbell) = view.vpe(number);
    (vpe, if P::V41 { IntId::NONE } else { doorbell })
}

/// What makes a batch complete: the event goes to the vPE `number`.
pub(super) fn sync<P: Platform>(view: &View, platform: &P, number: u16) -> Encoded {
    if P::LISTED {
        let (_, redistributor) = home(view, platform, number);
        return Command::Sync { redistributor }.encode();
    }
    let (vpe, _) = view.vpe(number);
    Command::Vsync { vpe }.encode()
}

/// Maps an event that is not mapped.
pub(super) fn map_command<P: Platform>(
    view: &View,
    platform: &P,
    own: &VmEvent,
    vintid: u32,
    number: u16,
) -> Encoded {
    let (device, event) = name(own);
    if P::LISTED {
        let first = IntId::FIRST_LPI.value();
        let intid = IntId::new((view.index_of(own) as u32).wrapping_add(first));
        let (collection, _) = home(view, platform, number);
        return Command::Mapti { device, event, intid, collection }.encode();
    }
    let (vpe, doorbell) = vpe_and_doorbell::<P>(view, number);
    Command::Vmapti { device, event, vintid: IntId::new(vintid), vpe, doorbell }.encode()
}

pub(super) fn discard<P: Platform>(view: &View, platform: &P, own: &VmEvent) -> [Encoded; 2] {
    let (device, event) = name(own);
    [Command::Discard { device, event }.encode(), sync(view, platform, own.vpe())]
}
