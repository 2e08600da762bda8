// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Commands of GICv3, executed.

use super::late::{Late, LateVirtual};
use super::report::{Cause, Violation};
use super::state::{Device, State, Target};
use crate::command::{Command, Itt};
use crate::intid::{CollectionId, DeviceId, EventId, RdBase};
use std::collections::BTreeMap;
use std::vec::Vec;

impl State {
    pub(super) fn execute(&mut self, command: Command) -> Result<(), Cause> {
        match command {
            Command::Mapd { device, itt } => self.mapd(device, itt),
            Command::Mapc { collection, redistributor } => self.mapc(collection, redistributor),
            Command::Mapti { device, event, intid, collection } => {
                self.mapti(device, event, intid.value(), collection)
            }
            Command::Mapi { device, event, collection } => {
                self.mapti(device, event, event.value(), collection)
            }
            Command::Movi { device, event, collection } => self.movi(device, event, collection),
            Command::Movall { from, to } => self.movall(from, to),
            Command::Int { device, event } => self.translate(device, event),
            Command::Clear { device, event } => {
                let target = self.reachable(device, event)?;
                self.clear(target);
                Ok(())
            }
            Command::Discard { device, event } => {
                let target = self.reachable(device, event)?;
                self.clear(target);
                self.map_event(device, event, None);
                Ok(())
            }
            Command::Inv { device, event } => self.inv(device, event),
            Command::Invall { collection } => self.invall(collection),
            Command::Sync { redistributor } => {
                let cpu = self.ready(redistributor)?;
                self.sync(cpu);
                Ok(())
            }
            _ => self.execute_virtual(command),
        }
    }

    /// The redistributor that a command names, which must be up.
    pub(super) fn ready(&mut self, redistributor: RdBase) -> Result<usize, Cause> {
        let cpu = self.cpu_of(redistributor)?;
        if !self.redists[cpu].serves_commands() {
            self.violate(Violation::RedistributorNotReady { cpu: cpu as u16 });
        }
        Ok(cpu)
    }

    /// CLEAR, also as a part of DISCARD.
    fn clear(&mut self, target: Target) {
        match target {
            Target::Physical { intid, collection } => {
                if let Some(cpu) = self.collections.get(&collection.value()).copied() {
                    self.later(cpu, Late::Clear(intid));
                }
            }
            Target::Virtual { vintid, vpe, .. } => {
                self.later_virtual(vpe, LateVirtual::Clear(vintid));
            }
        }
    }

    /// Checks that a device's event can be mapped.
    pub(super) fn mappable(&mut self, device: DeviceId, event: EventId) -> Result<(), Cause> {
        match self.target(device, event) {
            Ok(_) => {
                self.violate(Violation::EventAlreadyMapped { device, event });
                Ok(())
            }
            Err(Cause::UnmappedInterrupt) => Ok(()),
            Err(cause) => Err(cause),
        }
    }

    pub(super) fn map_event(&mut self, device: DeviceId, event: EventId, target: Option<Target>) {
        if let Some(entry) = self.devices.get_mut(&device.value()) {
            match target {
                Some(target) => entry.events.insert(event.value(), target),
                None => entry.events.remove(&event.value()),
            };
        }
    }

    /// An event whose collection or vPE is mapped as well.
    pub(super) fn reachable(&self, device: DeviceId, event: EventId) -> Result<Target, Cause> {
        let target = self.target(device, event)?;
        match target {
            Target::Physical { collection, .. }
                if !self.collections.contains_key(&collection.value()) =>
            {
                Err(Cause::UnmappedCollection)
            }
            Target::Virtual { vpe, .. } if !self.vpes.contains_key(&vpe) => Err(Cause::UnmappedVpe),
            _ => Ok(target),
        }
    }

    fn mapd(&mut self, device: DeviceId, itt: Option<Itt>) -> Result<(), Cause> {
        if !self.device_in_range(device) {
            return Err(Cause::DeviceOutOfRange);
        }
        let Some(itt) = itt else {
            self.devices.remove(&device.value());
            return Ok(());
        };
        if itt.event_bits() > self.config.event_id_bits {
            return Err(Cause::IttSizeOutOfRange);
        }
        let entry = Device { event_bits: itt.event_bits(), events: BTreeMap::new() };
        if self.devices.insert(device.value(), entry).is_some() {
            self.violate(Violation::DeviceAlreadyMapped { device });
        }
        Ok(())
    }

    fn mapc(
        &mut self,
        collection: CollectionId,
        redistributor: Option<RdBase>,
    ) -> Result<(), Cause> {
        if !self.collection_in_range(collection.value()) {
            return Err(Cause::CollectionOutOfRange);
        }
        match redistributor {
            Some(redistributor) => {
                let cpu = self.ready(redistributor)?;
                self.collections.insert(collection.value(), cpu);
            }
            None => {
                self.collections.remove(&collection.value());
            }
        }
        Ok(())
    }

    fn mapti(
        &mut self,
        device: DeviceId,
        event: EventId,
        intid: u32,
        collection: CollectionId,
    ) -> Result<(), Cause> {
        self.mappable(device, event)?;
        if !self.collection_in_range(collection.value()) {
            return Err(Cause::CollectionOutOfRange);
        }
        if !self.lpi_in_range(intid) {
            return Err(Cause::IntIdOutOfRange);
        }
        self.map_event(device, event, Some(Target::Physical { intid, collection }));
        if let Some(cpu) = self.collections.get(&collection.value()).copied()
            && self.redists[cpu].lpis_enabled()
        {
            self.cache_lpi(cpu, intid);
        }
        Ok(())
    }

    fn movi(
        &mut self,
        device: DeviceId,
        event: EventId,
        collection: CollectionId,
    ) -> Result<(), Cause> {
        let Target::Physical { intid, collection: from } = self.reachable(device, event)? else {
            return Err(Cause::UnmappedInterrupt);
        };
        if !self.collection_in_range(collection.value()) {
            return Err(Cause::CollectionOutOfRange);
        }
        let to = *self.collections.get(&collection.value()).ok_or(Cause::UnmappedCollection)?;
        let from = self.collections[&from.value()];
        self.map_event(device, event, Some(Target::Physical { intid, collection }));
        self.later(from, Late::Move(intid, to));
        Ok(())
    }

    fn movall(&mut self, from: RdBase, to: RdBase) -> Result<(), Cause> {
        let (from, to) = (self.ready(from)?, self.ready(to)?);
        self.sync(from);
        let lpis: Vec<u32> = self.redists[from].lpis.iter().copied().collect();
        lpis.into_iter().for_each(|intid| self.move_lpi(intid, from, to));
        Ok(())
    }

    pub(super) fn move_lpi(&mut self, intid: u32, from: usize, to: usize) {
        if from == to {
            return;
        }
        self.redists[from].configs.remove(&intid);
        self.cache_lpi(to, intid);
        if self.redists[from].lpis.remove(&intid) {
            self.raise(to, intid);
        }
    }

    fn inv(&mut self, device: DeviceId, event: EventId) -> Result<(), Cause> {
        match self.reachable(device, event)? {
            Target::Physical { intid, collection } => {
                let cpu = self.collections[&collection.value()];
                self.later(cpu, Late::Reload(intid));
            }
            Target::Virtual { vintid, vpe, .. } => {
                self.later_virtual(vpe, LateVirtual::Reload(Some(vintid)));
            }
        }
        Ok(())
    }

    fn invall(&mut self, collection: CollectionId) -> Result<(), Cause> {
        if !self.collection_in_range(collection.value()) {
            return Err(Cause::CollectionOutOfRange);
        }
        let cpu = *self.collections.get(&collection.value()).ok_or(Cause::UnmappedCollection)?;
        self.later(cpu, Late::ReloadAll);
        Ok(())
    }
}
