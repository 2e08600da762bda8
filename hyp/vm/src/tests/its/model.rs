// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a VM's events do, by the rules of `command`, with maps and nothing clever.

use crate::testing::its_board::{EVENTS, RINGS};
use std::{collections::BTreeMap, vec::Vec};

use gicv4::command::{Command, Encoded};
use plan::ItsPolicy;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mapping {
    /// As the plan has it; the guest never mapped it.
    Planned,
    Mapped {
        vintid: u32,
        collection: u16,
    },
    Gone,
}

#[derive(Clone, Copy, Debug)]
struct Route {
    mapping: Mapping,
    enabled: bool,
    pending: bool,
}

/// One VM. vPEs are numbered as on the board.
#[derive(Clone, Debug)]
pub struct Naive {
    first_vpe: u16,
    policy: ItsPolicy,
    devices: BTreeMap<u32, u8>,
    collections: BTreeMap<u16, u16>,
    events: BTreeMap<(u32, u32), Route>,
    /// The guest's property table: enabled or not. None: it has none yet.
    pub table: Option<BTreeMap<u32, bool>>,
    pub refused: u64,
}

fn planned(key: (u32, u32)) -> (u32, u16) {
    let event = EVENTS.iter().find(|event| (event.0, event.1) == key).expect("it is planned");
    (event.2, event.3)
}

impl Naive {
    pub fn new(vm: u16, policy: ItsPolicy) -> Self {
        let own = |vpe: u16| vpe / 2 == vm;
        let route = Route { mapping: Mapping::Planned, enabled: true, pending: false };
        let events = EVENTS.iter().filter(|event| own(event.3));
        Self {
            first_vpe: 2 * vm,
            policy,
            devices: BTreeMap::new(),
            collections: BTreeMap::new(),
            events: events.map(|event| ((event.0, event.1), route)).collect(),
            table: None,
            refused: 0,
        }
    }

    /// As after a restart; refused commands stay counted.
    pub fn restart(&mut self) {
        let fresh = Self::new(self.first_vpe / 2, self.policy);
        *self = Self { refused: self.refused, ..fresh };
    }

    pub fn ring(&mut self, device: u32, event: u32) {
        if let Some(route) = self.events.get_mut(&(device, event))
            && route.mapping != Mapping::Gone
        {
            route.pending = true;
        }
    }

    /// (vPE, vINTID) of an event, if it is delivered anywhere.
    fn place(&self, key: (u32, u32)) -> Option<(u16, u32)> {
        match self.events[&key].mapping {
            Mapping::Planned => Some((planned(key).1, planned(key).0)),
            Mapping::Mapped { vintid, collection } => {
                Some((self.collections.get(&collection).copied()?, vintid))
            }
            Mapping::Gone => None,
        }
    }

    /// What the guest of a vPE takes now, in order.
    pub fn take(&mut self, vpe: u16) -> Vec<u32> {
        let keys: Vec<_> = self.events.keys().copied().collect();
        let mut taken = Vec::new();
        for key in keys {
            let route = self.events[&key];
            match self.place(key) {
                Some((to, vintid)) if to == vpe && route.pending && route.enabled => {
                    taken.push(vintid);
                    self.events.get_mut(&key).expect("it exists").pending = false;
                }
                _ => {}
            }
        }
        taken.sort_unstable();
        taken
    }

    pub fn execute(&mut self, words: Encoded) {
        if self.try_execute(words).is_none() {
            self.refused += 1;
        }
    }

    /// None: refused.
    fn try_execute(&mut self, words: Encoded) -> Option<()> {
        let vpe = |field: gicv4::RdBase| {
            (field.processor_number() < 2).then(|| self.first_vpe + field.processor_number() as u16)
        };
        let icid = |collection: gicv4::CollectionId| {
            (collection.value() < 64).then_some(collection.value())
        };
        let words = Command::decode(words).ok()?;
        match words {
            Command::Mapd { device, itt } => {
                let device = device.value();
                let keys = self.of_device(device)?;
                if itt.is_some_and(|itt| itt.event_bits() > 16) {
                    return None;
                }
                for key in keys {
                    if let Mapping::Mapped { .. } = self.events[&key].mapping {
                        self.forget(key);
                    }
                }
                match itt {
                    Some(itt) => self.devices.insert(device, itt.event_bits()),
                    None => self.devices.remove(&device),
                };
            }
            Command::Mapc { collection, redistributor } => {
                let icid = icid(collection)?;
                let before = self.collections.get(&icid).copied();
                match redistributor {
                    Some(redistributor) => {
                        self.collections.insert(icid, vpe(redistributor)?);
                    }
                    None => {
                        self.collections.remove(&icid);
                    }
                }
                if before.is_none() {
                    for key in self.in_collection(icid) {
                        self.refresh(key, true);
                    }
                }
            }
            Command::Mapti { device, event, intid, collection } => {
                self.map((device.value(), event.value()), intid.value(), icid(collection))?
            }
            Command::Mapi { device, event, collection } => {
                self.map((device.value(), event.value()), event.value(), icid(collection))?
            }
            Command::Movi { device, event, collection } => {
                let key = self.mapped(device.value(), event.value())?;
                let icid = icid(collection)?;
                self.collections.get(&icid)?;
                let dead = self.place(key).is_none();
                if let Mapping::Mapped { collection, .. } =
                    &mut self.events.get_mut(&key).expect("it exists").mapping
                {
                    *collection = icid;
                }
                if dead {
                    self.refresh(key, true);
                }
            }
            Command::Movall { from, to } => {
                vpe(from)?;
                vpe(to)?;
            }
            Command::Sync { redistributor } => {
                vpe(redistributor)?;
            }
            Command::Inv { device, event } => {
                let key = self.mapped(device.value(), event.value())?;
                if self.place(key).is_some() {
                    self.refresh(key, false);
                }
            }
            Command::Invall { collection } => {
                let icid = icid(collection)?;
                self.collections.get(&icid)?;
                for key in self.in_collection(icid) {
                    self.refresh(key, false);
                }
            }
            Command::Discard { device, event } => {
                let key = self.mapped(device.value(), event.value())?;
                self.forget(key);
            }
            Command::Int { device, event } => {
                let key = self.mapped(device.value(), event.value())?;
                self.place(key)?;
                self.ring(key.0, key.1);
            }
            Command::Clear { device, event } => {
                let key = self.mapped(device.value(), event.value())?;
                self.place(key)?;
                self.events.get_mut(&key)?.pending = false;
            }
            _ => return None,
        }
        Some(())
    }

    fn map(&mut self, key: (u32, u32), vintid: u32, icid: Option<u16>) -> Option<()> {
        let key = self.known(key.0, key.1)?;
        let collection = icid?;
        if !(8192..1 << 14).contains(&vintid) {
            return None;
        }
        let now = |key| match self.events[&key].mapping {
            Mapping::Planned => Some(planned(key).0),
            Mapping::Mapped { vintid, .. } => Some(vintid),
            Mapping::Gone => None,
        };
        if vintid != planned(key).0 && self.policy != ItsPolicy::Remap {
            return None;
        }
        let other =
            self.events.keys().copied().find(|&other| other != key && now(other) == Some(vintid));
        if let Some(other) = other {
            if other.0 == RINGS || self.events[&other].mapping != Mapping::Planned {
                return None;
            }
            self.forget(other);
        }
        let route = self.events[&key];
        let dead = route.mapping != Mapping::Planned && self.place(key).is_none();
        let fresh = match route.mapping {
            Mapping::Planned => planned(key).0 != vintid,
            Mapping::Mapped { vintid: before, .. } => before != vintid,
            Mapping::Gone => true,
        };
        if fresh {
            self.forget(key);
        }
        self.events.get_mut(&key)?.mapping = Mapping::Mapped { vintid, collection };
        if fresh || dead {
            self.refresh(key, true);
        }
        Some(())
    }

    fn of_device(&self, device: u32) -> Option<Vec<(u32, u32)>> {
        let keys: Vec<_> =
            self.events.keys().copied().filter(|key| key.0 == device && device != RINGS).collect();
        (!keys.is_empty()).then_some(keys)
    }

    /// An event of a mapped device with room for it.
    fn known(&self, device: u32, event: u32) -> Option<(u32, u32)> {
        let bits = self.devices.get(&device)?;
        ((event as u64) < 1 << bits && self.events.contains_key(&(device, event)))
            .then_some((device, event))
    }

    fn mapped(&self, device: u32, event: u32) -> Option<(u32, u32)> {
        let key = self.known(device, event)?;
        matches!(self.events[&key].mapping, Mapping::Mapped { .. }).then_some(key)
    }

    fn in_collection(&self, icid: u16) -> Vec<(u32, u32)> {
        let of = |route: &Route| matches!(route.mapping, Mapping::Mapped { collection, .. } if collection == icid);
        self.events.iter().filter(|(_, route)| of(route)).map(|(key, _)| *key).collect()
    }

    fn forget(&mut self, key: (u32, u32)) {
        let route = self.events.get_mut(&key).expect("it exists");
        (route.mapping, route.pending) = (Mapping::Gone, false);
    }

    /// Looks at the property table; without one, `anew` says that the event is enabled.
    fn refresh(&mut self, key: (u32, u32), anew: bool) {
        let Mapping::Mapped { vintid, .. } = self.events[&key].mapping else { return };
        let enabled = self.table.as_ref().map(|table| table.get(&vintid).copied().unwrap_or(false));
        if let Some(enabled) = enabled.or(anew.then_some(true)) {
            self.events.get_mut(&key).expect("it exists").enabled = enabled;
        }
    }
}
