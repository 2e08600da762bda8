// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a view's changes need of the physical ITS: one batch of the hypervisor's commands for one
//! event.
//!
//! Which commands those are is [`Router`]'s to say. Each batch ends with VSYNC of the vPE that gets
//! the event (SYNC where EL2 lists it), so that its effect is there when the guest goes on. A
//! vINTID is changed by DISCARD and a new mapping, the vPE by VMOVI or MOVI, which takes the
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
use crate::{Guest, Platform, counters::Counter, router::Router};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use gicv4::{
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
        let (device, event) = own.name();
        P::Router::configure(&self.view, self.platform, own, vintid, config);
        let commands = [
            P::Router::map(&self.view, self.platform, own, vintid, number),
            Command::Inv { device, event }.encode(),
            self.sync(number),
        ];
        self.give(&commands, Counter::ItsRemapped);
        own.place(vintid, number, config);
        P::Router::changed(self.guest, self.platform, number);
        Ok(())
    }

    /// Takes it out: it is not translated any more, and nothing of it is pending.
    pub fn unmap(&mut self, own: &VmEvent) -> Result<(), Wait> {
        if let Some(vintid) = own.vintid() {
            self.allow()?;
            let commands = discard(&self.view, self.platform, own);
            self.give(&commands, Counter::ItsDiscarded);
            own.displace();
            P::Router::dropped(self.guest, self.platform, own, vintid);
        }
        Ok(())
    }

    /// To another vPE, with its pending state. INV, because that vPE's redistributor may have
    /// looked at the configuration before it was changed.
    pub fn move_to(&mut self, own: &VmEvent, number: u16) -> Result<(), Wait> {
        if own.vpe() == number || own.vintid().is_none() {
            return Ok(());
        }
        let (device, event) = own.name();
        let commands = [
            P::Router::relocate(&self.view, self.platform, own, number),
            Command::Inv { device, event }.encode(),
            self.sync(number),
        ];
        self.batch(&commands, Counter::ItsMoved)?;
        let before = own.vpe();
        own.set_vpe(number);
        P::Router::moved(self.guest, self.platform, own, before);
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
        P::Router::configure(&self.view, self.platform, own, vintid, config);
        match P::Router::reload(&self.view, self.platform, own, vintid) {
            Some(commands) => self.give(&commands, Counter::ItsConfigured),
            None => {
                self.work = self.work.wrapping_add(1);
                self.guest.vpe.counters.count(Counter::ItsConfigured);
            }
        }
        own.set_config(config);
        P::Router::changed(self.guest, self.platform, own.vpe());
        if config.enabled() && !before.enabled() {
            self.wake(own.vpe());
        }
        Ok(())
    }

    /// Makes it pending, as its device would.
    pub fn ring(&mut self, own: &VmEvent) -> Result<(), Wait> {
        if P::Router::set(self.guest, self.platform, own) {
            self.worked();
            return Ok(());
        }
        let (device, event) = own.name();
        self.set(own, Command::Int { device, event })
    }

    /// Makes it not pending.
    pub fn clear(&mut self, own: &VmEvent) -> Result<(), Wait> {
        let (device, event) = own.name();
        self.set(own, Command::Clear { device, event })?;
        if let Some(vintid) = own.vintid() {
            P::Router::dropped(self.guest, self.platform, own, vintid);
        }
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
        P::Router::sync(&self.view, self.platform, number)
    }
}

pub(super) fn discard<P: Platform>(view: &View, platform: &P, own: &VmEvent) -> [Encoded; 2] {
    let (device, event) = own.name();
    [Command::Discard { device, event }.encode(), P::Router::sync(view, platform, own.vpe())]
}
