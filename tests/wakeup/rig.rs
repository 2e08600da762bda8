// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One CPU's GIC with a device that may ring between any two accesses to it, and another CPU that
//! may enable its events.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use gicv4::command::{Command, ConfigAddress, Itt, SgiChange, VpeMapping, VpeMappingV41, Vpt};
use gicv4::doorbell::Proxy;
use gicv4::frame::{Readable, Register, Width, Writable};
use gicv4::its::{Its, Table};
use gicv4::layout::{self, Attributes, PageSize, TableKind};
use gicv4::lpi::{ConfigTable, LpiConfig};
use gicv4::model::{self, Config, Gic, ItsFrame, ModelQueue, ModelTable, VlpiFrame};
use gicv4::queue::Queue;
use gicv4::redist::Redist;
use gicv4::regs::gits::QueueBase;
use gicv4::residency::Form;
use gicv4::vpe41::send_sgi;
use gicv4::{CollectionId, DeviceId, EventId, Frame, IntId, RdBase, VpeId, vpe_table};

use crate::choices::Choices;

pub const POLLS: u32 = 16;
/// Of CPU 0 of the model.
pub const REDISTRIBUTOR: RdBase = RdBase::processor(3);
pub const VPE: VpeId = VpeId::new(0);
const BITS: u8 = 14;
const DEVICE: DeviceId = DeviceId::new(0x10);
const PROXY: DeviceId = DeviceId::new(0x1ff);
const COLLECTION: CollectionId = CollectionId::new(0);
const DOORBELL: IntId = IntId::new(8192);

const LPI_CONFIG: u64 = 0x10_0000;
const LPI_PENDING: u64 = 0x11_0000;
const VLPI_CONFIG: u64 = 0x12_0000;
const VLPI_PENDING: u64 = 0x13_0000;
const ITT: u64 = 0x14_0000;
const PROXY_ITT: u64 = 0x15_0000;
const QUEUE: u64 = 0x16_0000;
const TABLES: [(u64, TableKind); 3] = [
    (0x20_0000, TableKind::Devices),
    (0x21_0000, TableKind::Collections),
    (0x22_0000, TableKind::Vpes),
];

/// The ITS's queue, which one CPU at a time has.
pub type SharedQueue<'a> = Rc<ItsQueue<'a>>;
type ItsQueue<'a> = RefCell<Queue<Watched<'a, ItsFrame>, ModelQueue>>;

/// A device with a number of events, each of which rings once, at any moment; and a vPE on another
/// CPU, which enables at any moment those that boot has left disabled, one after the other.
#[derive(Debug)]
pub struct Device<'a> {
    gic: Gic,
    choices: &'a Choices,
    events: u32,
    rung: Cell<u32>,
    /// Events that are enabled, from the first.
    enabled: Cell<u32>,
    /// Not yet while the board boots.
    awake: Cell<bool>,
    its: RefCell<Weak<ItsQueue<'a>>>,
    /// An event was enabled, and the vPE's CPU was told by SGI.
    pub told: Cell<bool>,
    /// It is told.
    pub tells: bool,
    /// GICv4.1: every other event is an SGI that the vPE on the other CPU sends.
    v41: bool,
}

impl<'a> Device<'a> {
    /// All events are enabled from the start, or with `late` none.
    pub fn new(
        gic: &Gic,
        (events, v41): (u32, bool),
        late: bool,
        tells: bool,
        choices: &'a Choices,
    ) -> Self {
        Self {
            gic: gic.clone(),
            choices,
            events,
            rung: Cell::new(0),
            enabled: Cell::new(if late { 0 } else { events }),
            awake: Cell::new(false),
            its: RefCell::default(),
            told: Cell::new(false),
            tells,
            v41,
        }
    }

    /// The SGI that an event is. None: it is a device's.
    fn sgi(&self, event: u32) -> Option<u8> {
        (self.v41 && event.is_multiple_of(2)).then_some(event as u8)
    }

    /// What the guest knows an event by.
    pub fn intid(&self, event: u32) -> IntId {
        self.sgi(event).map_or(IntId::new(8192 + event), |sgi| IntId::new(sgi.into()))
    }

    /// The event whose turn it is to be enabled, and the ITS, if it is not in use.
    fn next(&self) -> Option<(u32, SharedQueue<'a>)> {
        let event = self.enabled.get();
        let its = self.its.borrow().upgrade()?;
        (event != self.events && its.try_borrow_mut().is_ok()).then_some((event, its))
    }

    /// Enables the next event. False: there is none.
    pub fn enable(&self) -> bool {
        let Some((event, its)) = self.next() else { return false };
        self.enabled.set(event + 1);
        let change = match self.sgi(event) {
            Some(sgi) => vsgi(sgi, true),
            None => {
                let mut table = self.gic.config_table(VLPI_CONFIG, self.events);
                table.store(IntId::new(8192 + event), LpiConfig::new(0xa0, true));
                table.publish();
                Command::Inv { device: DEVICE, event: EventId::new(event) }
            }
        };
        let commands = [change, Command::Vsync { vpe: VPE }].map(|command| command.encode());
        its.borrow_mut().run_words(&commands).expect("they are consumed");
        self.told.set(self.tells);
        true
    }

    /// The board has booted.
    pub fn wake(&self) {
        self.awake.set(true);
    }

    pub const fn rung(&self) -> u32 {
        self.rung.get()
    }

    /// Here the device may ring, once or several times.
    pub fn may_ring(&self) {
        if !self.awake.get() {
            return;
        }
        for _ in 0..self.choices.choose((self.events - self.rung() + 1) as usize) {
            self.ring();
        }
        if self.next().is_some() && self.choices.choose(2) == 1 {
            self.enable();
        }
    }

    /// Rings the next event. False: there is none.
    pub fn ring(&self) -> bool {
        let event = self.rung();
        if event == self.events {
            return false;
        }
        self.rung.set(event + 1);
        match self.sgi(event) {
            Some(sgi) => send_sgi(&self.gic.its_sgis(), VPE, sgi),
            None => self.gic.msi(DEVICE, EventId::new(event)).expect("the event is mapped"),
        }
        true
    }
}

/// A frame or table of the model, with the device ringing before each access.
#[derive(Debug)]
pub struct Watched<'a, T> {
    inner: T,
    device: Rc<Device<'a>>,
}

impl<F: Frame> Frame for Watched<'_, F> {
    type Block = F::Block;

    fn read<W: Width, A: Readable, L>(&self, register: Register<F::Block, W, A, L>) -> W {
        self.device.may_ring();
        self.inner.read(register)
    }
    fn write<W: Width, A: Writable<W, L>, L>(
        &self,
        register: Register<F::Block, W, A, L>,
        value: A::Value,
    ) {
        self.device.may_ring();
        self.inner.write(register, value);
    }
}

impl<T: ConfigTable> ConfigTable for Watched<'_, T> {
    fn store(&mut self, intid: IntId, config: LpiConfig) {
        self.device.may_ring();
        self.inner.store(intid, config);
    }
    fn publish(&self) {
        self.inner.publish();
    }
}

const fn vsgi(sgi: u8, enabled: bool) -> Command {
    let change = SgiChange::Configure { enabled, group1: true, priority: 0xa0 };
    Command::Vsgi { vpe: VPE, sgi, change }
}

/// What EL2 works with.
pub struct Parts<'a, R: Form> {
    pub vpe: R::NonResident,
    pub vacant: R::Vacant<Watched<'a, VlpiFrame>>,
    pub queue: SharedQueue<'a>,
    pub config: Watched<'a, ModelTable>,
    pub proxy: Proxy,
}

pub fn gic(v41: bool) -> Gic {
    let version = if v41 { Config::V4_1 } else { Config::V4_0 };
    let config = Config {
        cpus: 1,
        intid_bits: BITS,
        dirty_polls: 1,
        command_polls: 1,
        write_polls: 0,
        ..version
    };
    Gic::new(config)
}

/// As boot leaves it: the doorbell masked, event n mapped to vLPI 8192 + n and enabled, nobody
/// resident.
pub fn boot<'a, R: Form>(gic: &Gic, device: &Rc<Device<'a>>) -> Parts<'a, R> {
    let proxy = Proxy::new(DOORBELL, PROXY, EventId::new(0));
    let mut config = gic.config_table(LPI_CONFIG, 1);
    // GICv4.1's rings when a vPE asks.
    config.store(DOORBELL, proxy.config(device.v41));
    config.publish();
    enable_lpis(gic);
    let cbaser = enable_its(gic);
    let mut virtual_config = gic.config_table(VLPI_CONFIG, device.events);
    for n in 0..device.events {
        let enabled = n < device.enabled.get();
        virtual_config.store(IntId::new(8192 + n), LpiConfig::new(0xa0, enabled));
    }
    let mut script = vec![
        Command::Mapc { collection: COLLECTION, redistributor: Some(REDISTRIBUTOR) },
        Command::Mapd { device: DEVICE, itt: Itt::new(ITT, 4) },
    ];
    if device.v41 {
        script.push(vmapp_v41());
        script.extend((0..16).map(|sgi| vsgi(sgi, u32::from(sgi) < device.enabled.get())));
    } else {
        script.extend([
            Command::Mapd { device: PROXY, itt: Itt::new(PROXY_ITT, 1) },
            proxy.map(COLLECTION),
            vmapp(),
        ]);
    }
    for n in 0..device.events {
        let (event, vintid) = (EventId::new(n), IntId::new(8192 + n));
        let doorbell = if device.v41 { IntId::NONE } else { DOORBELL };
        let (device, vpe) = (DEVICE, VPE);
        script.push(Command::Vmapti { device, event, vintid, vpe, doorbell });
    }
    virtual_config.publish();
    script.extend([Command::Vinvall { vpe: VPE }, Command::Vsync { vpe: VPE }]);
    let script: Vec<_> = script.iter().map(Command::encode).collect();
    let redistributor = Watched { inner: gic.vlpis(0), device: device.clone() };
    let vacant = R::take(redistributor, BITS, POLLS).expect("nobody is resident");
    if device.v41 {
        install(gic);
    }
    let its = Watched { inner: gic.its(), device: device.clone() };
    let mut queue = Queue::new(its, gic.queue(QUEUE, slots(cbaser.bits())), POLLS);
    queue.run_words(&script).expect("it is consumed");

    let coherent = Attributes::COHERENT;
    let vpropbaser = layout::vpropbaser(VLPI_CONFIG, BITS, coherent).expect("aligned");
    let vpendbaser = match device.v41 {
        true => layout::vpendbaser_v41(VPE, false),
        false => layout::vpendbaser(VLPI_PENDING, coherent).expect("aligned"),
    };
    let queue = Rc::new(RefCell::new(queue));
    *device.its.borrow_mut() = Rc::downgrade(&queue);
    let parts = Parts {
        vpe: R::absent(model::base(vpropbaser), model::base(vpendbaser)),
        vacant,
        queue,
        config: Watched { inner: config, device: device.clone() },
        proxy,
    };
    device.wake();
    parts
}

fn vmapp() -> Command {
    let vpt = Vpt::new(VLPI_PENDING, BITS);
    let mapping = vpt.map(|vpt| VpeMapping { redistributor: REDISTRIBUTOR, vpt });
    Command::Vmapp { vpe: VPE, mapping }
}

fn vmapp_v41() -> Command {
    let (redistributor, doorbell) = (REDISTRIBUTOR, DOORBELL);
    let vpt = Vpt::new(VLPI_PENDING, BITS).expect("aligned");
    let config = ConfigAddress::new(VLPI_CONFIG).expect("aligned");
    let mapping = VpeMappingV41 { redistributor, vpt, config, zeroed: true, doorbell };
    Command::VmappV41 { vpe: VPE, allocate: true, mapping: Some(mapping) }
}

/// The redistributor has the ITS's vPE table.
fn install(gic: &Gic) {
    let frames = core::iter::once(gic.vlpis(0));
    vpe_table::install(&Its::new(gic.its()), None, frames).expect("it is shared");
}

fn enable_lpis(gic: &Gic) {
    gic.power_up(0);
    let redistributor = Redist::new(gic.redistributor(0));
    redistributor.wake(POLLS).expect("it wakes");
    let propbaser = layout::propbaser(LPI_CONFIG, BITS, Attributes::COHERENT).expect("aligned");
    let pendbaser = layout::pendbaser(LPI_PENDING, true, Attributes::COHERENT).expect("aligned");
    let (propbaser, pendbaser) = (model::base(propbaser), model::base(pendbaser));
    redistributor.enable_lpis(propbaser, pendbaser, POLLS).expect("LPIs are off");
}

fn enable_its(gic: &Gic) -> QueueBase {
    let (page, coherent) = (PageSize::Kib64, Attributes::COHERENT);
    let room = layout::flat_table(512, 32, page).expect("it fits");
    let attributes = coherent;
    let tables = TABLES.into_iter().map(|(address, kind)| Table {
        kind,
        memory: model::memory(address, room.bytes),
        entries: 512,
        entry_bytes: 32,
        attributes,
    });
    let room = layout::command_queue(100).expect("it fits");
    let cbaser = model::base(layout::cbaser(QUEUE, room, coherent).expect("aligned"));
    Its::new(gic.its()).enable(tables, cbaser, POLLS).expect("the tables are what it wants");
    cbaser
}

/// Commands that the queue holds.
const fn slots(cbaser: u64) -> u32 {
    ((cbaser & 0xff) as u32 + 1) * 0x1000 / layout::COMMAND_BYTES as u32
}
