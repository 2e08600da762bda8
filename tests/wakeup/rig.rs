// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One CPU's GIC with a device that may ring between any two accesses to it, and another CPU that
//! may enable its events.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use gicv4::command::{Command, Itt, VpeMapping, Vpt};
use gicv4::doorbell::Proxy;
use gicv4::frame::{Readable, Register, Width, Writable};
use gicv4::its::{Its, Table};
use gicv4::layout::{self, Attributes, PageSize, TableKind};
use gicv4::lpi::{ConfigTable, LpiConfig};
use gicv4::model::{self, Config, Gic, ItsFrame, ModelQueue, ModelTable, VlpiFrame};
use gicv4::queue::Queue;
use gicv4::redist::Redist;
use gicv4::regs::gits::QueueBase;
use gicv4::vpe::{NonResident, Vacant};
use gicv4::{CollectionId, DeviceId, EventId, Frame, IntId, RdBase, VpeId};

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
}

impl<'a> Device<'a> {
    /// All events are enabled from the start, or with `late` none.
    pub fn new(gic: &Gic, events: u32, late: bool, tells: bool, choices: &'a Choices) -> Self {
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
        }
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
        let mut table = self.gic.config_table(VLPI_CONFIG, self.events);
        table.store(IntId::new(8192 + event), LpiConfig::new(0xa0, true));
        table.publish();
        let inv = Command::Inv { device: DEVICE, event: EventId::new(event) };
        let commands = [inv, Command::Vsync { vpe: VPE }].map(|command| command.encode());
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
        self.gic.msi(DEVICE, EventId::new(event)).expect("the event is mapped");
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

/// What EL2 works with.
pub struct Parts<'a> {
    pub vpe: NonResident,
    pub vacant: Vacant<Watched<'a, VlpiFrame>>,
    pub queue: SharedQueue<'a>,
    pub config: Watched<'a, ModelTable>,
    pub proxy: Proxy,
}

pub fn gic() -> Gic {
    let config = Config {
        cpus: 1,
        intid_bits: BITS,
        dirty_polls: 1,
        command_polls: 1,
        write_polls: 0,
        ..Config::V4_0
    };
    Gic::new(config)
}

/// As boot leaves it: the doorbell masked, event n mapped to vLPI 8192 + n and enabled, nobody
/// resident.
pub fn boot<'a>(gic: &Gic, device: &Rc<Device<'a>>) -> Parts<'a> {
    let proxy = Proxy::new(DOORBELL, PROXY, EventId::new(0));
    let mut config = gic.config_table(LPI_CONFIG, 1);
    config.store(DOORBELL, proxy.config(false));
    config.publish();
    enable_lpis(gic);
    let cbaser = enable_its(gic);
    let mut virtual_config = gic.config_table(VLPI_CONFIG, device.events);
    let vpt = Vpt::new(VLPI_PENDING, BITS);
    let mut script = vec![
        Command::Mapc { collection: COLLECTION, redistributor: Some(REDISTRIBUTOR) },
        Command::Mapd { device: PROXY, itt: Itt::new(PROXY_ITT, 1) },
        proxy.map(COLLECTION),
        Command::Mapd { device: DEVICE, itt: Itt::new(ITT, 4) },
        Command::Vmapp {
            vpe: VPE,
            mapping: vpt.map(|vpt| VpeMapping { redistributor: REDISTRIBUTOR, vpt }),
        },
    ];
    for n in 0..device.events {
        let (event, vintid) = (EventId::new(n), IntId::new(8192 + n));
        virtual_config.store(vintid, LpiConfig::new(0xa0, n < device.enabled.get()));
        let (device, vpe, doorbell) = (DEVICE, VPE, DOORBELL);
        script.push(Command::Vmapti { device, event, vintid, vpe, doorbell });
    }
    virtual_config.publish();
    script.extend([Command::Vinvall { vpe: VPE }, Command::Vsync { vpe: VPE }]);
    let script: Vec<_> = script.iter().map(Command::encode).collect();
    let its = Watched { inner: gic.its(), device: device.clone() };
    let mut queue = Queue::new(its, gic.queue(QUEUE, slots(cbaser.bits())), POLLS);
    queue.run_words(&script).expect("it is consumed");

    let coherent = Attributes::COHERENT;
    let vpropbaser = layout::vpropbaser(VLPI_CONFIG, BITS, coherent).expect("aligned");
    let vpendbaser = layout::vpendbaser(VLPI_PENDING, coherent).expect("aligned");
    let redistributor = Watched { inner: gic.vlpis(0), device: device.clone() };
    let queue = Rc::new(RefCell::new(queue));
    *device.its.borrow_mut() = Rc::downgrade(&queue);
    let parts = Parts {
        vpe: NonResident::new(model::base(vpropbaser), model::base(vpendbaser)),
        vacant: Vacant::take(redistributor, BITS, POLLS).expect("nobody is resident"),
        queue,
        config: Watched { inner: config, device: device.clone() },
        proxy,
    };
    device.wake();
    parts
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
