// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A board to test against: the software GIC, brought up as boot does, and two VMs with virtual
//! ITSs on it.
//!
//! VM 0 is "remap", VM 1 "fixed"; each has two vPEs, resident on CPUs of their own, and memory of
//! its own. A third device is the channels', with a ring for each. The GIC is a GICv4.0, or a
//! GICv4.1 that is told of configuration by its registers.

use super::{GICD, GICR, PHYSICAL_TIMER, TIMER, leak};
use crate::{
    Guest, Platform, VmState, VpeState,
    mmio::{self, Written},
    platform::{ConfigSpace, ListRegisters, PhysicalGic, PhysicalIts},
    vits::{Event, Renewal, Renewed, View},
};
use gicv4::{
    CollectionId, DeviceId, EventId, IntId, VpeId,
    command::{Command, ConfigAddress, Encoded, Itt, VpeMapping, VpeMappingV41, Vpt},
    its::{Its, Table},
    layout::{self, Attributes, Room, TableKind},
    list_regs::ListReg,
    lpi::LpiConfig,
    model::{self, Config, Gic, ItsFrame, ModelQueue, VlpiFrame},
    queue::Queue,
    redist::Redist,
    vpe::{NonResident, Resident, Vacant},
    vpe_table,
    vpe41::{NonResidentV41, ResidentV41, VacantV41},
};
use plan::{
    Doorbell, EventRoute, Ipa, ItsPolicy, Mapping, Mmio, MmioKind, Pa, PciBridge, PciFunction,
    Plan, Span, Vm, VmIndex, Vpe, VpeIndex, VpeTables,
};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    vec::Vec,
};

pub const GITS: u64 = 0x0808_0000;
/// Where a guest sees its memory, how much it is, and where it lets its tables lie.
pub const MEMORY: u64 = 0x4000_0000;
pub const MEMORY_BYTES: u64 = 0x20_0000;
pub const QUEUE: u64 = MEMORY + 0x1_0000;
pub const PROPERTIES: u64 = MEMORY + 0x2_0000;
pub const PENDING: u64 = MEMORY + 0x3_0000;

const POLLS: u32 = 1000;
const BITS: u8 = 14;
const DOORBELLS: u32 = 0x1fe;
pub const RINGS: u32 = 0x1ff;
/// (device, event, vINTID, vPE): what the plan says.
pub const EVENTS: [(u32, u32, u32, u16); 9] = [
    (0x10, 0, 8192, 0),
    (0x10, 1, 8193, 1),
    (0x10, 3, 8194, 0),
    (0x18, 0, 8195, 1),
    (0x20, 0, 8192, 2),
    (0x20, 1, 8193, 3),
    (0x20, 2, 8300, 2),
    (RINGS, 0, 8200, 0),
    (RINGS, 1, 8200, 2),
];

/// Physical memory of a VM, and its virtual configuration table.
const fn memory_of(vm: u64) -> u64 {
    0x6000_0000 + vm * 0x1000_0000
}
const fn config_of(vm: u64) -> u64 {
    0x5400_0000 + vm * 0x1_0000
}

pub struct Board {
    pub gic: Gic,
    v41: bool,
    queue: RefCell<Queue<ItsFrame, ModelQueue>>,
    pub guests: [Guest; 4],
    /// A physical interrupt waits all the time.
    pub interrupted: Cell<bool>,
    /// Time, which passes by being looked at.
    pub ticks: Cell<u64>,
    /// How much of it at each look.
    pub tick: Cell<u64>,
    /// Times that a write was to be tried again later, and vPEs that were to look, by the number of
    /// the CPU.
    pub slept: Cell<u64>,
    pub kicked: RefCell<Vec<u16>>,
    _residents: Vec<Resident<VlpiFrame>>,
    _residents_v41: Vec<ResidentV41<VlpiFrame>>,
    /// GICv4.1: of each CPU on which nobody is resident yet.
    vacants: VecDeque<VacantV41<VlpiFrame>>,
}

/// What a guest's emulation may touch.
pub struct Chip<'a, const V41: bool> {
    board: &'a Board,
    vm: u64,
}

fn vm(number: u64, its: ItsPolicy) -> Vm {
    let region = |base, bytes, kind| Mmio { base: Ipa::new(base), bytes, kind };
    Vm {
        memory: leak([Mapping {
            ipa: Ipa::new(MEMORY),
            pa: Pa::new(memory_of(number)),
            bytes: MEMORY_BYTES,
        }]),
        mmio: leak([
            region(GICD, 0x1_0000, MmioKind::Distributor),
            region(GITS, 0x1_0000, MmioKind::Its),
            region(GICR, 0x4_0000, MmioKind::Redistributors),
        ]),
        vlpi_config: Span { base: Pa::new(config_of(number)), bytes: 0x2000 },
        ..super::vm("guest", 2 * number as u16, 2, 0, (0, 0), its)
    }
}

fn plan() -> &'static Plan {
    let vpe = |n: u16| Vpe {
        vm: VmIndex::new(n / 2),
        number: n % 2,
        cpu: plan::CpuIndex::new(n),
        slot: 0,
        tables: Some(VpeTables {
            vpropbaser: layout::vpropbaser(config_of(u64::from(n / 2)), BITS, Attributes::COHERENT)
                .unwrap(),
            vpendbaser: layout::vpendbaser(vpt(n), Attributes::COHERENT).unwrap(),
            doorbell: Doorbell {
                intid: 8192 + u32::from(n),
                device: DOORBELLS,
                event: u32::from(n),
            },
        }),
    };
    let events = EVENTS.map(|(device, event, vintid, vpe)| EventRoute {
        device,
        event,
        vintid,
        vpe: VpeIndex::new(vpe),
        source: "device",
        ring: device == RINGS,
    });
    let mut plan = super::plan_of(
        leak([vm(0, ItsPolicy::Remap), vm(1, ItsPolicy::Fixed)]),
        leak([0, 1, 2, 3].map(vpe)),
    );
    plan.events = leak(events);
    leak(plan)
}

const fn vpt(vpe: u16) -> u64 {
    0x5300_0000 + vpe as u64 * 0x1_0000
}

impl Board {
    pub fn new() -> Self {
        Self::of(false)
    }

    /// The same with a GICv4.1.
    pub fn of(v41: bool) -> Self {
        let plan = plan();
        let config = if v41 { Config::V4_1 } else { Config::V4_0 };
        let gic = Gic::new(Config { cpus: 4, ..config });
        let (queue, vacants) = bring_up(&gic, v41);
        let queue = RefCell::new(queue);
        let vms: &'static [VmState] = leak([const { VmState::new() }; 2]);
        let vpes: &'static [VpeState] = leak([const { VpeState::new() }; 4]);
        let cells: &'static [Event] = leak([const { Event::new() }; EVENTS.len()]);
        let guests = [0, 1, 2, 3]
            .map(|n| Guest::new(plan, vms, vpes, cells, VpeIndex::new(n)).expect("it exists"));
        let interrupted = Cell::new(false);
        let (ticks, tick) = (Cell::new(0), Cell::new(20_000));
        let mut board = Self {
            gic,
            v41,
            queue,
            guests,
            interrupted,
            ticks,
            tick,
            slept: Cell::new(0),
            kicked: RefCell::default(),
            _residents: Vec::new(),
            _residents_v41: Vec::new(),
            vacants,
        };
        board.map(plan);
        for vm in 0..2 {
            board.start(vm);
        }
        for n in 0..4 {
            let vpe = VpeId::new(n);
            board.run(&[Command::Vinvall { vpe }, Command::Vsync { vpe }]);
        }
        for (n, vpe) in (0..).zip(plan.vpes) {
            let tables = vpe.tables.as_ref().unwrap();
            if v41 {
                board.enter_v41(n);
                continue;
            }
            let vacant = Vacant::take(board.gic.vlpis(n), BITS, POLLS).unwrap();
            let away =
                NonResident::new(model::base(tables.vpropbaser), model::base(tables.vpendbaser));
            board._residents.push(away.enter(vacant));
        }
        board.clean();
        board
    }

    fn enter_v41(&mut self, n: u16) {
        let vacant = self.vacants.pop_front().expect("one for each CPU");
        let away = NonResidentV41::new(layout::vpendbaser_v41(VpeId::new(n), false));
        self._residents_v41.push(away.enter(vacant));
    }

    /// VMAPP of a vPE.
    fn vmapp(&self, n: u16) -> Command {
        let (vpe, redistributor) = (VpeId::new(n), Config::V4_0.redistributor(n));
        let vpt = Vpt::new(vpt(n), BITS).unwrap();
        if !self.v41 {
            return Command::Vmapp { vpe, mapping: Some(VpeMapping { redistributor, vpt }) };
        }
        let config = ConfigAddress::new(config_of(u64::from(n / 2))).unwrap();
        let doorbell = IntId::new(8192 + u32::from(n));
        let mapping = VpeMappingV41 { redistributor, vpt, config, zeroed: true, doorbell };
        Command::VmappV41 { vpe, allocate: true, mapping: Some(mapping) }
    }

    /// The boot script.
    fn map(&self, plan: &Plan) {
        let itt = |n: u64| Itt::new(0x5500_0000 + n * 0x1000, 3).unwrap();
        for (n, device) in (0..).zip([0x10, 0x18, 0x20, DOORBELLS, RINGS]) {
            self.run(&[Command::Mapd { device: DeviceId::new(device), itt: Some(itt(n)) }]);
        }
        for n in 0..4u16 {
            let redistributor = Config::V4_0.redistributor(n);
            let collection = CollectionId::new(n);
            self.run(&[
                Command::Mapc { collection, redistributor: Some(redistributor) },
                Command::Mapti {
                    device: DeviceId::new(DOORBELLS),
                    event: EventId::new(n.into()),
                    intid: IntId::new(8192 + u32::from(n)),
                    collection,
                },
                self.vmapp(n),
            ]);
        }
        for route in plan.events {
            self.run(&[Command::Vmapti {
                device: DeviceId::new(route.device),
                event: EventId::new(route.event),
                vintid: IntId::new(route.vintid),
                vpe: VpeId::new(route.vpe.value()),
                doorbell: match self.v41 {
                    true => IntId::NONE,
                    false => IntId::new(8192 + u32::from(route.vpe.value())),
                },
            }]);
        }
    }

    fn run(&self, commands: &[Command]) {
        let encoded: Vec<_> = commands.iter().map(Command::encode).collect();
        self.queue.borrow_mut().run_words(&encoded).unwrap();
    }

    fn view(&self, vm: usize) -> View {
        self.guests[2 * vm].view()
    }

    /// As the image starts a VM.
    fn start(&self, vm: usize) {
        let table = config_of(vm as u64);
        for index in 0..0x2000 {
            self.gic.write_byte(table + index, 0);
        }
        for (_, _, vintid, _) in EVENTS.iter().filter(|event| usize::from(event.3) / 2 == vm) {
            let byte = LpiConfig::new(0xa0, true).byte();
            self.gic.write_byte(table + u64::from(vintid - 8192), byte);
        }
        let guest = &self.guests[2 * vm];
        guest.vm.reset(guest.plan, guest.config);
        self.view(vm).reset();
        for vpe in guest.vpes {
            vpe.reset();
        }
    }

    /// As the image starts it again.
    pub fn restart(&self, vm: usize) {
        self.renew(vm, false);
        self.start(vm);
        for n in [2 * vm as u16, 2 * vm as u16 + 1] {
            let vpe = VpeId::new(n);
            self.run(&[Command::Vinvall { vpe }, Command::Vsync { vpe }]);
        }
    }

    /// What the image has the ITS do for that. How often it had to wait.
    pub fn renew(&self, vm: usize, patient: bool) -> usize {
        let (mut renewal, mut waits) = (Renewal::new(), 0);
        let (view, allowance) = (self.view(vm), &self.guests[2 * vm].vm.allowance);
        loop {
            let renewed = match self.v41 {
                true => renewal.step(view, allowance, &mut self.chip::<true>(vm), patient),
                false => renewal.step(view, allowance, &mut self.chip::<false>(vm), patient),
            };
            match renewed {
                Renewed::All => return waits,
                Renewed::More => {}
                Renewed::Until(time) => {
                    assert!(patient);
                    waits += 1;
                    self.ticks.set(time);
                }
            }
        }
    }

    fn chip<const V41: bool>(&self, vm: usize) -> Chip<'_, V41> {
        Chip { board: self, vm: vm as u64 }
    }

    /// The guest's vPE writes; tries again when it is to. How often it had to.
    pub fn write(&self, vpe: usize, ipa: u64, bytes: u32, value: u64) -> usize {
        for tries in 0.. {
            // The longest queue holds 32768 commands.
            assert!(tries < 40_000, "a write is to be tried again for ever");
            let (guest, vm) = (&self.guests[vpe], vpe / 2);
            let written = match self.v41 {
                true => mmio::write(guest, &mut self.chip::<true>(vm), ipa, bytes, value),
                false => mmio::write(guest, &mut self.chip::<false>(vm), ipa, bytes, value),
            };
            match written {
                Written::Again => {}
                Written::Later(time) => {
                    assert!(time > self.ticks.get(), "it is that late already");
                    self.slept.set(self.slept.get() + 1);
                    self.ticks.set(time);
                }
                Written::Done | Written::Refused => return tries,
            }
        }
        unreachable!()
    }

    pub fn read(&self, vpe: usize, ipa: u64, bytes: u32) -> Option<u64> {
        let (guest, vm) = (&self.guests[vpe], vpe / 2);
        match self.v41 {
            true => mmio::read(guest, &mut self.chip::<true>(vm), ipa, bytes),
            false => mmio::read(guest, &mut self.chip::<false>(vm), ipa, bytes),
        }
    }

    /// Writes the guest's memory.
    pub fn store(&self, vm: usize, ipa: u64, bytes: &[u8]) {
        let base = memory_of(vm as u64) + (ipa - MEMORY);
        for (address, byte) in (base..).zip(bytes) {
            self.gic.write_byte(address, *byte);
        }
    }

    /// A device's MSI.
    pub fn ring(&self, device: u32, event: u32) {
        let _ = self.gic.msi(DeviceId::new(device), EventId::new(event));
    }

    /// vINTIDs that the guest of a CPU takes now, in order.
    pub fn take(&self, vpe: usize) -> Vec<u32> {
        let next = || self.gic.acknowledge_virtual(vpe as u16).map(|signal| signal.intid.value());
        let mut taken: Vec<u32> = core::iter::from_fn(next).collect();
        taken.sort_unstable();
        taken
    }

    /// The hypervisor kept every rule, and no command of its own failed.
    #[track_caller]
    pub fn clean(&self) {
        assert_eq!(self.gic.take_errors(), []);
        assert_eq!(self.gic.take_violations(), []);
    }
}

type Vacants = VecDeque<VacantV41<VlpiFrame>>;

fn bring_up(gic: &Gic, v41: bool) -> (Queue<ItsFrame, ModelQueue>, Vacants) {
    for index in 0..0x2000 {
        gic.write_byte(0x5100_0000 + index, LpiConfig::new(0xa0, false).byte());
    }
    for cpu in 0..4u16 {
        gic.power_up(cpu);
        let redist = Redist::new(gic.redistributor(cpu));
        redist.wake(POLLS).unwrap();
        let propbaser = layout::propbaser(0x5100_0000, BITS, Attributes::COHERENT).unwrap();
        let pending = 0x5200_0000 + u64::from(cpu) * 0x1_0000;
        let pendbaser = layout::pendbaser(pending, true, Attributes::COHERENT).unwrap();
        let (propbaser, pendbaser) = (model::base(propbaser), model::base(pendbaser));
        redist.enable_lpis(propbaser, pendbaser, POLLS).unwrap();
    }
    let tables = [TableKind::Devices, TableKind::Collections, TableKind::Vpes];
    let tables = (0u64..).zip(tables).map(|(index, kind)| {
        let memory = model::memory(0x5000_0000 + index * 0x10_0000, 0x1_0000);
        let attributes = Attributes::COHERENT;
        Table { kind, memory, entries: 512, entry_bytes: 32, attributes }
    });
    let queue = Room { bytes: 0x1000, align: 0x1_0000 };
    let cbaser = model::base(layout::cbaser(0x5030_0000, queue, Attributes::COHERENT).unwrap());
    let mut vacants = VecDeque::new();
    let its = Its::new(gic.its());
    its.enable(tables.collect::<Vec<_>>(), cbaser, POLLS).unwrap();
    if v41 {
        let take = |cpu| VacantV41::take(gic.vlpis(cpu), POLLS).unwrap();
        vacants.extend((0..4).map(take));
        vpe_table::install(&its, None, (0..4).map(|cpu| gic.vlpis(cpu))).unwrap();
    }
    (Queue::new(gic.its(), gic.queue(0x5030_0000, 128), POLLS), vacants)
}

impl<const V41: bool> PhysicalIts for Chip<'_, V41> {
    fn read_command(&self, from: Pa) -> Encoded {
        core::array::from_fn(|n| {
            let bytes =
                core::array::from_fn(|byte| self.read_byte(from.offset((8 * n + byte) as u64)));
            u64::from_le_bytes(bytes)
        })
    }
    fn read_byte(&self, from: Pa) -> u8 {
        let inside = from.value().wrapping_sub(memory_of(self.vm)) < MEMORY_BYTES;
        assert!(inside, "{from:?} is not the VM's memory");
        self.board.gic.read_byte(from.value())
    }
    fn configure(&mut self, vm: &Vm, vintid: u32, byte: u8) {
        assert_eq!(vm.vlpi_config.base.value(), config_of(self.vm), "another VM's table");
        let index = vintid.checked_sub(8192).filter(|index| *index < 0x2000).expect("a vLPI");
        self.board.gic.write_byte(config_of(self.vm) + u64::from(index), byte);
    }
    fn invalidate(&mut self, vpe: VpeIndex, vintid: u32) {
        let redistributor = Redist::new(self.board.gic.redistributor(vpe.value()));
        let (vpe, vintid) = (VpeId::new(vpe.value()), IntId::new(vintid));
        redistributor.invalidate(Some(vpe), vintid, POLLS).unwrap();
    }
    fn command(&mut self, commands: &[Encoded]) {
        assert!(commands.len() <= crate::platform::BATCH);
        self.board.queue.borrow_mut().run_words(commands).unwrap();
    }
    fn interrupted(&self) -> bool {
        self.board.interrupted.get()
    }
    fn ticks(&self) -> u64 {
        self.board.ticks.set(self.board.ticks.get() + self.board.tick.get());
        self.board.ticks.get()
    }
}

impl<const V41: bool> Platform for Chip<'_, V41> {
    const VIRTUAL_ITS: bool = true;
    const LISTED: bool = false;
    const V41: bool = V41;
    const INVALIDATES: bool = V41;
    const MSIX: bool = false;
    const INTX: bool = false;
    const SEVERAL_VPES: bool = true;
    const WATCHDOG: bool = false;
    const VIRTUAL_TIMER: u32 = TIMER;
    const PHYSICAL_TIMER: u32 = PHYSICAL_TIMER;
    fn kick(&mut self, vpe: VpeIndex) {
        self.board.kicked.borrow_mut().push(vpe.value());
    }
    fn deadline_moved(&mut self, _: VpeIndex) {}
    fn output_waits(&mut self) {}
}

/// Nothing but the ITS is tried here.
impl<const V41: bool> ListRegisters for Chip<'_, V41> {
    fn count(&self) -> usize {
        4
    }
    fn read(&self, _: usize) -> ListReg {
        ListReg::from_bits(0)
    }
    fn write(&mut self, _: usize, _: ListReg) {}
    fn empty(&self) -> u32 {
        0xf
    }
    fn take_eoi_count(&mut self) -> u32 {
        0
    }
    fn maintenance(&mut self, _: u32) {}
    fn masked(&self) -> bool {
        false
    }
    fn splits_end(&self) -> bool {
        false
    }
}

impl<const V41: bool> PhysicalGic for Chip<'_, V41> {
    fn enable(&mut self, _: usize, _: u32) {}
    fn disable(&mut self, _: usize, _: u32) {}
    fn set_pending(&mut self, _: usize, _: u32) {}
    fn clear_pending(&mut self, _: usize, _: u32) {}
    fn set_active(&mut self, _: usize, _: u32) {}
    fn clear_active(&mut self, _: usize, _: u32) {}
    fn pending(&self, _: usize) -> u32 {
        0
    }
    fn active(&self, _: usize) -> u32 {
        0
    }
    fn config(&self, _: usize) -> u32 {
        0
    }
    fn set_config(&mut self, _: usize, _: u32, _: u32) {}
    fn route(&mut self, _: u32, _: Option<VpeIndex>) {}
    fn enable_ppis(&mut self, _: VpeIndex, _: u32, _: bool) {}
    fn deactivate(&mut self, _: u32) {}
    fn activate(&mut self, _: u32) {}
    fn pending_ppis(&self, _: VpeIndex) -> u32 {
        0
    }
}

impl<const V41: bool> ConfigSpace for Chip<'_, V41> {
    fn config_read(&self, _: &PciFunction, _: u16) -> u32 {
        u32::MAX
    }
    fn config_write(&mut self, _: &PciFunction, _: u16, _: u8, _: u32) {}
    fn table_read(&self, _: &PciFunction, _: u32) -> u32 {
        u32::MAX
    }
    fn table_write(&mut self, _: &PciFunction, _: u32, _: u32) {}
    fn bridge_read(&self, _: &PciBridge, _: u16) -> u32 {
        u32::MAX
    }
}
