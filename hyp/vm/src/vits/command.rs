// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What one command of a guest does to its view (IHI 0069H 5.3).
//!
//! An event that is mapped is delivered if its collection is mapped, too, and the guest's property
//! table has it enabled. Three liberties keep a guest whose vINTIDs are the plan's from causing any
//! hardware command:
//!
//! * an event that the guest has not mapped yet is translated as planned, enabled;
//! * MAPTI of such an event leaves it enabled, whatever the property table says, until the first
//!   INV or INVALL;
//! * its configuration byte is looked at by INV and INVALL only, as hardware may.

use super::{Refusal, batches::Batches, config, event::VmEvent, its::COLLECTIONS, wait::Stop};
use crate::{Guest, Platform};
use gicv4::{
    CollectionId, DeviceId, EventId, IntId, RdBase,
    command::{Command, Encoded},
    lpi::LpiConfig,
};
use plan::ItsPolicy;

type Result<T = ()> = core::result::Result<T, Stop>;

/// Decodes it, checks it, does it. One that has to wait is executed again from its beginning.
pub(super) fn execute<P: Platform>(batches: &mut Batches<'_, P>, words: Encoded) -> Result {
    let mut on = On { guest: batches.guest, batches };
    match Command::decode(words).map_err(|_| Refusal::Opcode)? {
        Command::Mapd { device, itt } => on.mapd(device, itt.map(|itt| itt.event_bits())),
        Command::Mapc { collection, redistributor } => on.mapc(collection, redistributor),
        Command::Mapti { device, event, intid, collection } => {
            on.mapti(device, event, intid, collection)
        }
        Command::Mapi { device, event, collection } => {
            on.mapti(device, event, IntId::new(event.value()), collection)
        }
        Command::Movi { device, event, collection } => on.movi(device, event, collection),
        // An event takes its pending state along when its collection or itself moves: nothing is
        // left behind to be moved.
        Command::Movall { from, to } => on.vpe(from).and(on.vpe(to)).map(drop),
        Command::Inv { device, event } => {
            let own = on.mapped(device, event)?;
            on.reload(&own)
        }
        Command::Invall { collection } => on.invall(collection),
        Command::Discard { device, event } => {
            let own = on.mapped(device, event)?;
            on.batches.unmap(&own)?;
            own.set_collection(None);
            Ok(())
        }
        Command::Int { device, event } => {
            let own = on.delivered(device, event)?;
            Ok(on.batches.ring(&own)?)
        }
        Command::Clear { device, event } => {
            let own = on.delivered(device, event)?;
            Ok(on.batches.clear(&own)?)
        }
        // Every command above is complete before the next is looked at.
        Command::Sync { redistributor } => on.vpe(redistributor).map(drop),
        _ => Err(Refusal::Opcode.into()),
    }
}

/// A guest and the hardware behind its ITS.
struct On<'h, 'g, P> {
    guest: &'g Guest,
    batches: &'h mut Batches<'g, P>,
}

impl<'g, P: Platform> On<'_, 'g, P> {
    /// The vPE whose redistributor a command names, by its number.
    fn vpe(&self, redistributor: RdBase) -> Result<u16> {
        let number = redistributor.processor_number();
        match u16::try_from(number) {
            Ok(number) if usize::from(number) < self.guest.vpes.len() => Ok(number),
            _ => Err(Refusal::Redistributor.into()),
        }
    }

    fn collection(&self, collection: CollectionId) -> Result<u16> {
        let icid = collection.value();
        if usize::from(icid) < COLLECTIONS { Ok(icid) } else { Err(Refusal::Collection.into()) }
    }

    /// An event of the VM's whose device is mapped with room for it.
    fn own(&self, device: DeviceId, event: EventId) -> Result<VmEvent> {
        let view = self.guest.view();
        let first = view.first_of(device.value()).ok_or(Refusal::Device)?;
        match first.device_bits() {
            0 => Err(Refusal::DeviceUnmapped.into()),
            bits if u64::from(event.value()) >> bits != 0 => Err(Refusal::Size.into()),
            _ => Ok(view.find(device.value(), event.value()).ok_or(Refusal::Event)?),
        }
    }

    /// One that is mapped.
    fn mapped(&self, device: DeviceId, event: EventId) -> Result<VmEvent> {
        let own = self.own(device, event)?;
        Ok(own.collection().map(|_| own).ok_or(Refusal::EventUnmapped)?)
    }

    /// One whose collection is mapped as well.
    fn delivered(&self, device: DeviceId, event: EventId) -> Result<VmEvent> {
        let own = self.mapped(device, event)?;
        Ok(self.target(&own).map(|_| own).ok_or(Refusal::CollectionUnmapped)?)
    }

    /// vPE that the guest wants an event to go to.
    fn target(&self, own: &VmEvent) -> Option<u16> {
        self.guest.vm.its.target(own.collection()?)
    }

    fn mapd(&mut self, device: DeviceId, bits: Option<u8>) -> Result {
        let view = self.guest.view();
        view.first_of(device.value()).ok_or(Refusal::Device)?;
        if bits.is_some_and(|bits| bits > view.id_bits().0) {
            return Err(Refusal::Size.into());
        }
        // A new table has nothing in it, an old one is gone.
        self.each(view.positions(device.value()), |batches, own| {
            if own.collection().is_some() {
                batches.unmap(own)?;
                own.set_collection(None);
            }
            own.set_device_bits(bits.unwrap_or(0));
            Ok(())
        })
    }

    fn mapc(&mut self, collection: CollectionId, redistributor: Option<RdBase>) -> Result {
        let icid = self.collection(collection)?;
        let target = redistributor.map(|redistributor| self.vpe(redistributor)).transpose()?;
        let before = self.guest.vm.its.target(icid);
        if before != target {
            self.each_of_collection(icid, |batches, own| retarget(batches, own, before, target))?;
        }
        self.guest.vm.its.set_target(icid, target);
        Ok(())
    }

    /// Does it to the VM's events at `positions`, over several traps if need be.
    fn each(
        &mut self,
        positions: core::ops::Range<usize>,
        each: impl FnMut(&mut Batches<'g, P>, &VmEvent) -> Result,
    ) -> Result {
        self.batches.each(positions, &self.guest.vm.its.reached, each)
    }

    /// The same for those that the guest mapped to a collection.
    fn each_of_collection(
        &mut self,
        icid: u16,
        mut each: impl FnMut(&mut Batches<'g, P>, &VmEvent) -> Result,
    ) -> Result {
        self.each(0..self.guest.view().end(), |batches, own| {
            if own.collection() == Some(icid) { each(batches, own) } else { Ok(()) }
        })
    }

    fn mapti(
        &mut self,
        device: DeviceId,
        event: EventId,
        intid: IntId,
        collection: CollectionId,
    ) -> Result {
        let own = self.own(device, event)?;
        let icid = self.collection(collection)?;
        let vintid = intid.value();
        if intid.lpi_index().is_none() || vintid >> self.guest.config.vintid_bits.min(31) != 0 {
            return Err(Refusal::Intid.into());
        }
        let target = self.guest.vm.its.target(icid);
        own.set_asked(vintid, target);
        if vintid != own.route.vintid && self.guest.config.its != ItsPolicy::Remap {
            return Err(Refusal::Fixed.into());
        }
        self.make_room(&own, vintid)?;
        let vpe = target.unwrap_or(own.vpe());
        let dead = own.collection().is_some_and(|icid| self.guest.vm.its.target(icid).is_none());
        if own.vintid() != Some(vintid) {
            let config = config(self.batches, vpe, vintid);
            let config = config.with_enabled(config.enabled() && target.is_some());
            self.batches.map(&own, vintid, vpe, config)?;
            own.set_collection(Some(icid));
            return Ok(());
        }
        retarget(self.batches, &own, if dead { None } else { Some(own.vpe()) }, target)?;
        own.set_collection(Some(icid));
        Ok(())
    }

    /// No other event has the vINTID. One that the guest has not mapped gives way: its turn to
    /// choose comes.
    fn make_room(&mut self, own: &VmEvent, vintid: u32) -> Result {
        let others = || self.guest.view().events().filter(|other| !other.is(own));
        let Some(other) = others().find(|other| other.vintid() == Some(vintid)) else {
            return Ok(());
        };
        if other.route.ring || other.collection().is_some() {
            return Err(Refusal::Taken.into());
        }
        Ok(self.batches.unmap(&other)?)
    }

    fn movi(&mut self, device: DeviceId, event: EventId, collection: CollectionId) -> Result {
        let own = self.mapped(device, event)?;
        let icid = self.collection(collection)?;
        let target = self.guest.vm.its.target(icid).ok_or(Refusal::CollectionUnmapped)?;
        let before = self.target(&own);
        retarget(self.batches, &own, before, Some(target))?;
        own.set_collection(Some(icid));
        Ok(())
    }

    fn invall(&mut self, collection: CollectionId) -> Result {
        let icid = self.collection(collection)?;
        self.guest.vm.its.target(icid).ok_or(Refusal::CollectionUnmapped)?;
        let its = &self.guest.vm.its;
        self.each_of_collection(icid, |batches, own| {
            let target = own.collection().and_then(|icid| its.target(icid));
            reload(batches, own, target)
        })
    }

    /// Looks at the guest's configuration byte again.
    fn reload(&mut self, own: &VmEvent) -> Result {
        let target = self.target(own);
        reload(self.batches, own, target)
    }
}

/// The collection of a mapped event went from one vPE to another, or came or went.
fn retarget<P: Platform>(
    batches: &mut Batches<'_, P>,
    own: &VmEvent,
    before: Option<u16>,
    target: Option<u16>,
) -> Result {
    let Some(vpe) = target else {
        return Ok(batches.configure(own, own.config().with_enabled(false))?);
    };
    batches.move_to(own, vpe)?;
    // It had no redistributor: it gets the configuration that it is to have.
    if before.is_none()
        && let Some(vintid) = own.vintid()
    {
        let config = config(batches, own.vpe(), vintid);
        batches.configure(own, config)?;
    }
    Ok(())
}

/// How the guest configured a vLPI; as planned, if it has no table yet.
fn config<P: Platform>(batches: &Batches<'_, P>, vpe: u16, vintid: u32) -> LpiConfig {
    config::of_guest(batches.guest, batches.platform, vpe, vintid).unwrap_or(batches.view.planned())
}

/// Looks at the guest's configuration byte of an event again; `target` is where its collection
/// goes.
fn reload<P: Platform>(batches: &mut Batches<'_, P>, own: &VmEvent, target: Option<u16>) -> Result {
    let (Some(vintid), Some(_)) = (own.vintid(), target) else { return Ok(()) };
    let guest = batches.guest;
    if let Some(config) = config::of_guest(guest, batches.platform, own.vpe(), vintid) {
        if config.enabled() {
            guest.vm.its.asked_priority(config.priority());
        }
        batches.configure(own, config)?;
    }
    Ok(())
}
