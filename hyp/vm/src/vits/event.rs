// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An event of a VM: where the hardware has it, and how the guest mapped it.
//!
//! Cells are changed by the vPE that holds the VM's turn ([`super::Its`]), or while no vPE of the
//! VM runs.

use super::place::Place;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};
use gicv4::{DeviceId, EventId, IntId, VpeId, list_regs::ListReg, lpi::LpiConfig};
use plan::{EventRoute, Plan, VpeIndex};

/// What changes about one entry of `Plan::events`. A slice of them stands beside that table.
#[derive(Debug)]
pub struct Event {
    /// Where the hardware has it: a [`Place`].
    place: AtomicU64,
    /// EventID bits of the device, as the guest mapped it; 0: it did not.
    device_bits: AtomicU8,
    /// Collection that the guest mapped the event to, plus one; 0: it did not.
    collection: AtomicU8,
    /// vPE of that collection when the guest mapped the event, plus one, and the vINTID it asked
    /// for; 0: never. They outlive a restart.
    asked_vpe: AtomicU16,
    asked: AtomicU32,
}

impl Event {
    /// [`View::reset`] comes before its VM's first start.
    pub const fn new() -> Self {
        Self {
            place: AtomicU64::new(Place::NOWHERE.bits()),
            device_bits: AtomicU8::new(0),
            collection: AtomicU8::new(0),
            asked_vpe: AtomicU16::new(0),
            asked: AtomicU32::new(0),
        }
    }

    /// Where in it its place is, for whoever lists it without a call.
    pub const PLACE: usize = offset_of!(Self, place);

    #[inline(always)]
    fn place(&self) -> Place {
        Place::from_bits(self.place.load(Relaxed))
    }

    fn set_place(&self, place: Place) {
        self.place.store(place.bits(), Relaxed);
    }

    /// Its list register on the vPE `vpe`. None: it goes elsewhere, or is disabled.
    #[inline(always)]
    pub fn entry(&self, vpe: VpeIndex) -> Option<ListReg> {
        self.place().entry(vpe)
    }
}

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

/// A VM's events, with what the plan says of them.
#[derive(Clone, Copy, Debug)]
pub struct View {
    plan: &'static Plan,
    config: &'static plan::Vm,
    cells: &'static [Event],
}

/// An event that is a physical LPI, as it is delivered.
#[derive(Clone, Copy, Debug)]
pub struct Lpi {
    pub vintid: u32,
    /// vPE that it goes to, by its number in the VM.
    pub number: u16,
    pub priority: u8,
    pub enabled: bool,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub struct VmEvent {
    pub route: &'static EventRoute,
    /// vPE that the plan has it on, by its number in the VM.
    pub home: u16,
    cell: &'static Event,
}

impl View {
    /// The events of the VM `config`. `cells` stand beside `plan.events`.
    pub const fn new(
        plan: &'static Plan,
        config: &'static plan::Vm,
        cells: &'static [Event],
    ) -> Self {
        Self { plan, config, cells }
    }

    pub(crate) fn vm(&self) -> &'static plan::Vm {
        self.config
    }

    /// Configuration of every event at the start, as codegen writes it into the virtual
    /// configuration table.
    pub(crate) fn planned(&self) -> LpiConfig {
        LpiConfig::new(self.config.vlpi_priority, true)
    }

    /// EventID bits that GITS_TYPER tells, and DeviceID bits. Without a planned event in the
    /// system, any.
    pub(super) fn id_bits(&self) -> (u8, u8) {
        self.plan.its.as_ref().map_or((16, 16), |its| (its.event_id_bits, its.device_id_bits))
    }

    fn routes(&self) -> &'static [EventRoute] {
        self.plan.events
    }

    fn own(&self, (route, cell): (&'static EventRoute, &'static Event)) -> Option<VmEvent> {
        let home = route.vpe.value().checked_sub(self.config.first_vpe)?;
        (home < self.config.vpe_count).then_some(VmEvent { route, home, cell })
    }

    /// Events of all VMs.
    pub(crate) fn len(&self) -> usize {
        self.routes().len().min(self.cells.len())
    }

    /// Event `index` of all VMs', if it is one of this VM's.
    pub(super) fn at(&self, index: usize) -> Option<VmEvent> {
        self.own((self.routes().get(index)?, self.cells.get(index)?))
    }

    /// All of them, channels' rings too.
    pub(super) fn events(self) -> impl Iterator<Item = VmEvent> {
        self.routes().iter().zip(self.cells).filter_map(move |pair| self.own(pair))
    }

    /// The entries of the plan's table from `range`, each with its position; None: another VM's.
    pub(super) fn entries(
        self,
        range: core::ops::Range<usize>,
    ) -> impl Iterator<Item = (usize, Option<VmEvent>)> {
        let routes = self.routes().get(range.clone()).unwrap_or(&[]);
        let cells = self.cells.get(range.clone()).unwrap_or(&[]);
        let pairs = range.zip(routes.iter().zip(cells));
        pairs.map(move |(position, pair)| (position, self.own(pair)))
    }

    /// Positions of a device's events.
    pub(super) fn positions(self, device: u32) -> core::ops::Range<usize> {
        let routes = self.routes();
        let first = routes.partition_point(|route| route.device < device);
        first..routes.partition_point(|route| route.device <= device)
    }

    /// Position after the last one.
    pub(super) fn end(self) -> usize {
        self.routes().len()
    }

    /// An event of a device which a guest may map: a device is one VM's with all its events.
    pub(super) fn first_of(self, device: u32) -> Option<VmEvent> {
        let (_, own) = self.entries(self.positions(device)).next()?;
        own.filter(|own| !own.route.ring)
    }

    /// One that a guest may map.
    pub(super) fn find(&self, device: u32, event: u32) -> Option<VmEvent> {
        let routes = self.routes();
        let key = |route: &EventRoute| (route.device, route.event);
        let index = routes.binary_search_by_key(&(device, event), key).ok()?;
        let own = self.own((routes.get(index)?, self.cells.get(index)?))?;
        (!own.route.ring).then_some(own)
    }

    /// The vPE `number` as the ITS knows it, and its doorbell.
    pub(crate) fn vpe(&self, number: u16) -> (VpeId, IntId) {
        let index = self.config.first_vpe.wrapping_add(number);
        let tables = self.plan.vpes.get(usize::from(index)).and_then(|vpe| vpe.tables.as_ref());
        let doorbell = tables.map_or(IntId::NONE, |tables| IntId::new(tables.doorbell.intid));
        (VpeId::new(index), doorbell)
    }

    /// Event `index` of all VMs', if it is one of this VM's and mapped.
    #[inline(always)]
    pub fn lpi(&self, index: usize) -> Option<Lpi> {
        let own = self.at(index)?;
        let config = own.config();
        let (priority, enabled) = (config.priority(), config.enabled());
        Some(Lpi { vintid: own.vintid()?, number: own.vpe(), priority, enabled })
    }

    /// As the guest's configuration table has it.
    #[cfg(test)]
    pub(crate) fn enable(&self, index: usize, enabled: bool) {
        let own = self.at(index).expect("an event of this VM's");
        own.set_config(own.config().with_enabled(enabled));
    }

    /// Which of all VMs' events is this VM's vINTID.
    pub(crate) fn position_of(&self, vintid: u32) -> Option<usize> {
        let mut all = self.entries(0..self.end());
        all.find_map(|(index, own)| (own?.vintid() == Some(vintid)).then_some(index))
    }

    /// Its place among all VMs' events.
    pub(crate) fn index_of(&self, own: &VmEvent) -> usize {
        let key = |route: &EventRoute| (route.device, route.event);
        let wanted = (own.route.device, own.route.event);
        self.routes().binary_search_by_key(&wanted, key).unwrap_or(usize::MAX)
    }

    /// As at power-up: the guest mapped nothing, the hardware is as planned. Before the VM starts;
    /// what the hardware has besides the plan is put back by [`super::Renewal`] before that.
    pub fn reset(&self) {
        for own in self.events() {
            let (vintid, vpe) = (own.route.vintid, own.route.vpe);
            own.cell.set_place(Place::new(vintid, vpe, self.planned()));
            own.set_collection(None);
            own.set_device_bits(0);
        }
    }
}

impl VmEvent {
    /// As commands name it.
    pub fn name(&self) -> (DeviceId, EventId) {
        (DeviceId::new(self.route.device), EventId::new(self.route.event))
    }

    /// vINTID that the physical ITS makes of it.
    pub fn vintid(&self) -> Option<u32> {
        self.cell.place().vintid()
    }

    /// vPE there, by its number.
    pub fn vpe(&self) -> u16 {
        self.cell.place().vpe().value().wrapping_sub(self.first_vpe())
    }

    fn first_vpe(&self) -> u16 {
        self.route.vpe.value().wrapping_sub(self.home)
    }

    /// Its byte in the virtual configuration table.
    pub fn config(&self) -> LpiConfig {
        self.cell.place().config()
    }

    /// The hardware has it there now.
    pub fn place(&self, vintid: u32, vpe: u16, config: LpiConfig) {
        let vpe = VpeIndex::new(self.first_vpe().wrapping_add(vpe));
        self.cell.set_place(Place::new(vintid, vpe, config));
    }

    pub fn set_vpe(&self, vpe: u16) {
        let vpe = VpeIndex::new(self.first_vpe().wrapping_add(vpe));
        self.cell.set_place(self.cell.place().with_vpe(vpe));
    }

    /// Of an event that the hardware has.
    pub fn set_config(&self, config: LpiConfig) {
        if let Some(vintid) = self.vintid() {
            self.place(vintid, self.vpe(), config);
        }
    }

    /// The hardware does not have it any more.
    pub fn displace(&self) {
        self.cell.set_place(Place::NOWHERE.with_vpe(self.cell.place().vpe()));
    }

    /// EventID bits of its device, as the guest mapped it; 0: it did not.
    pub fn device_bits(&self) -> u8 {
        self.cell.device_bits.load(Relaxed)
    }

    pub fn set_device_bits(&self, bits: u8) {
        self.cell.device_bits.store(bits, Relaxed);
    }

    /// Collection that the guest mapped it to.
    pub fn collection(&self) -> Option<u16> {
        self.cell.collection.load(Relaxed).checked_sub(1).map(u16::from)
    }

    pub fn set_collection(&self, collection: Option<u16>) {
        let one_more = collection.map_or(0, |icid| icid.wrapping_add(1));
        self.cell.collection.store(one_more as u8, Relaxed);
    }

    /// vINTID and vPE that the guest asked for when it last mapped the event; None: it never did.
    pub fn asked(&self) -> Option<(u32, Option<u16>)> {
        match self.cell.asked.load(Relaxed) {
            0 => None,
            vintid => Some((vintid, self.cell.asked_vpe.load(Relaxed).checked_sub(1))),
        }
    }

    pub fn set_asked(&self, vintid: u32, vpe: Option<u16>) {
        self.cell.asked_vpe.store(vpe.map_or(0, |vpe| vpe.wrapping_add(1)), Relaxed);
        self.cell.asked.store(vintid, Relaxed);
    }

    /// It is the same event.
    pub fn is(&self, other: &VmEvent) -> bool {
        core::ptr::eq(self.cell, other.cell)
    }
}
