// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Interrupt numbers: vINTIDs, doorbells, the plan's own ITS devices, and the owners of SPIs.
//!
//! A vINTID that the TOML leaves open is the lowest free one of its VM from 8192 on, events before
//! channel ends; ends of a VM with a virtual ITS from 9216 on, out of the way of what its guest may
//! choose. Two devices that do not exist are given DeviceIDs above every real one: `channels`,
//! whose events ring channel ends, and `doorbells`, whose events stand for the doorbell LPIs so
//! that INV and CLEAR reach them on GICv4.0 (IHI 0069, 5.3). Where EL2 lists events the ITS knows
//! neither.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{ItsPolicy, System, Trigger};
use ::plan::{EventRoute, SpiRoute, VmIndex, VpeIndex};

pub const FIRST_LPI: u32 = 8192;
/// First vINTID of channel ends, of a VM whose guest numbers its events itself: operating systems
/// do so from 8192 on.
const FIRST_APART: u32 = 9216;

/// A channel end's interrupt.
#[derive(Clone, Copy, Debug)]
pub struct Ring {
    /// Event of the device `channels` that interrupts this end.
    pub event: u32,
    pub vintid: u32,
}

/// Everything that has a number.
#[derive(Debug)]
pub struct Interrupts {
    /// First vPE of each VM; a vPE's index is that plus its number.
    pub first_vpe: Vec<usize>,
    /// Sorted by (device, event).
    pub events: Vec<EventRoute>,
    /// Real devices with events: name, and one past the highest EventID.
    pub devices: BTreeMap<u32, (String, u32)>,
    /// DeviceID of `doorbells`.
    pub doorbell_device: u32,
    /// DeviceID of `channels`.
    pub channel_device: u32,
    /// `[channel][end]`.
    pub rings: Vec<Vec<Ring>>,
    /// The GIC delivers events itself, rings among them.
    pub direct: bool,
    /// For each vPE: what the ITS translates, or a virtual SGI, can reach it.
    pub reachable: Vec<bool>,
    /// Owner of INTID 32 + n.
    pub spis: Vec<Option<SpiRoute>>,
}

/// Numbers everything.
pub fn assign(system: &System) -> Interrupts {
    let mut first_vpe = Vec::new();
    let mut vpes = 0;
    for vm in &system.vms {
        first_vpe.push(vpes);
        vpes += vm.vpes.len();
    }
    let devices = devices(system);
    let above = highest_device(system).map_or(0, |id| id + 1);
    let mut out = Interrupts {
        spis: spis(system, &first_vpe),
        first_vpe,
        events: Vec::new(),
        devices,
        channel_device: above,
        doorbell_device: above + 1,
        rings: Vec::new(),
        direct: system.board.gic.direct_injection(),
        reachable: Vec::new(),
    };
    let mut reachable = vec![false; vpes];
    out.number(system);
    out.events.sort_by_key(|event| (event.device, event.event));
    for event in out.translated() {
        reachable[event.vpe.index()] = true;
    }
    // A guest with a virtual ITS may move its events to any of its vPEs. On a GIC with virtual SGIs
    // the vPEs of a VM reach each other by the ITS, which is there for some event.
    let virtual_sgis = system.board.gic.virtual_sgis() && !out.events.is_empty();
    for (vm, first) in system.vms.iter().zip(&out.first_vpe) {
        let vpes = &mut reachable[*first..first + vm.vpes.len()];
        let moves = vm.its.value != ItsPolicy::None && vpes.contains(&true);
        if moves || virtual_sgis && vpes.len() > 1 {
            vpes.fill(true);
        }
    }
    Interrupts { reachable, ..out }
}

impl Interrupts {
    /// Events that the ITS translates: all, or those of devices, which come first.
    pub fn translated(&self) -> &[EventRoute] {
        let rings = self.events.iter().filter(|event| event.ring && !self.direct).count();
        &self.events[..self.events.len() - rings]
    }

    fn number(&mut self, system: &System) {
        let mut pools: Vec<Pool> = (0..system.vms.len()).map(|vm| pool(system, vm)).collect();
        for (vm, owner) in system.vms.iter().enumerate() {
            for event in &owner.events {
                let device = &system.board.devices[event.device.value];
                let Some(id) = &device.device_id else { continue };
                self.events.push(EventRoute {
                    device: id.value,
                    event: event.event.value,
                    vintid: pools[vm].vintid(event.vintid.as_ref().map(|v| v.value)),
                    vpe: VpeIndex::at(self.first_vpe[vm] + event.vpe.value),
                    source: device.name.value.clone(),
                    ring: false,
                });
            }
        }
        for (pool, owner) in pools.iter_mut().zip(&system.vms) {
            if owner.its.value != ItsPolicy::None {
                pool.next = pool.next.max(FIRST_APART);
            }
        }
        let mut next = 0;
        for channel in &system.channels {
            let mut rings = Vec::new();
            for end in &channel.ends {
                let vintid = pools[end.vm.value].vintid(end.vintid.as_ref().map(|v| v.value));
                self.events.push(EventRoute {
                    device: self.channel_device,
                    event: next,
                    vintid,
                    vpe: VpeIndex::at(self.first_vpe[end.vm.value] + end.vpe.value),
                    source: channel.name.value.clone(),
                    ring: true,
                });
                rings.push(Ring { event: next, vintid });
                next += 1;
            }
            self.rings.push(rings);
        }
    }
}

/// Real devices whose events some VM has.
fn devices(system: &System) -> BTreeMap<u32, (String, u32)> {
    let mut out = BTreeMap::new();
    for event in system.vms.iter().flat_map(|vm| &vm.events) {
        let device = &system.board.devices[event.device.value];
        if let Some(id) = &device.device_id {
            let entry = out.entry(id.value).or_insert_with(|| (device.name.value.clone(), 0));
            entry.1 = entry.1.max(event.event.value + 1);
        }
    }
    out
}

/// The highest DeviceID of any device of the board, in use or not.
fn highest_device(system: &System) -> Option<u32> {
    let ids = system.board.devices.iter();
    ids.filter_map(|device| device.device_id.as_ref().map(|id| id.value)).max()
}

/// vINTIDs of one VM.
struct Pool {
    taken: BTreeSet<u32>,
    next: u32,
}

impl Pool {
    fn vintid(&mut self, wanted: Option<u32>) -> u32 {
        if let Some(vintid) = wanted {
            return vintid;
        }
        while self.taken.contains(&self.next) {
            self.next += 1;
        }
        self.next += 1;
        self.next - 1
    }
}

fn pool(system: &System, vm: usize) -> Pool {
    let events = system.vms[vm].events.iter().map(|event| &event.vintid);
    let ends = system.channels.iter().flat_map(|channel| &channel.ends);
    let ends = ends.filter(|end| end.vm.value == vm).map(|end| &end.vintid);
    Pool {
        taken: events.chain(ends).flatten().map(|vintid| vintid.value).collect(),
        next: FIRST_LPI,
    }
}

fn spis(system: &System, first_vpe: &[usize]) -> Vec<Option<SpiRoute>> {
    let mut out: Vec<Option<SpiRoute>> = vec![None; system.board.gic.spis.value as usize];
    for line in system.lines() {
        let Some(route) = out.get_mut(line.intid.value.wrapping_sub(32) as usize) else { continue };
        let name = &system.board.devices[line.device.value].name.value;
        match route {
            // Devices of one VM share it.
            Some(route) => route.source += &format!(", {name}"),
            None => {
                *route = Some(SpiRoute {
                    vm: VmIndex::at(line.vm),
                    vpe: VpeIndex::at(first_vpe[line.vm]),
                    number: 0,
                    edge: line.trigger == Trigger::Edge,
                    source: name.clone(),
                });
            }
        }
    }
    out
}
