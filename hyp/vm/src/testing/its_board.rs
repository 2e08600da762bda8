// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A board to test against: the software GIC, brought up as boot does, and two VMs with virtual
//! ITSs on it.
//!
//! VM 0 is "remap", VM 1 "fixed"; each has two vPEs, resident on CPUs of their own, and memory of
//! its own. A third device is the channels', with a ring for each. The GIC is a GICv4.0, a GICv4.1
//! that is told of configuration by its registers, or one that is used as a GICv3: EL2 lists events
//! then, and takes an LPI at once on a CPU that is not in a trap.

pub use super::its_setup::{
    EVENTS, GITS, KINDS, Kind, MEMORY, MEMORY_BYTES, PENDING, PROPERTIES, QUEUE, RINGS,
};
use super::{
    PHYSICAL_TIMER, TIMER,
    its_setup::{
        BITS, DOORBELLS, LPI_CONFIG, POLLS, bring_up, config_of, memory_of, plan, vmapp_v41, vpt,
    },
    leak,
};
use crate::{
    Guest, Platform, VmState, VpeState,
    mmio::{self, Written},
    platform::{ConfigSpace, ListRegisters, PhysicalGic, PhysicalIts},
    router::{Direct, Listed},
    vgic,
    vits::{Event, Renewal, Renewed, View},
};
use gicv4::{
    CollectionId, DeviceId, EventId, IntId, RdBase, VpeId,
    command::{Command, Encoded, Itt, VpeMapping, Vpt},
    layout,
    list_regs::ListReg,
    lpi::LpiConfig,
    model::{self, Config, Gic, ItsFrame, ModelQueue, VlpiFrame},
    queue::Queue,
    redist::Redist,
    vpe::{NonResident, Resident, Vacant},
    vpe41::{NonResidentV41, ResidentV41, VacantV41},
};
use plan::{Pa, PciBridge, PciFunction, Plan, Vm, VpeIndex};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    sync::atomic::AtomicU32,
    vec::Vec,
};

const V4_0: u8 = Kind::V4_0 as u8;
const V4_1: u8 = Kind::V4_1 as u8;
const LISTED: u8 = Kind::Listed as u8;

pub struct Board {
    pub gic: Gic,
    kind: Kind,
    /// List registers of each CPU, and what else EL2 keeps of events that it lists.
    lists: [[Cell<u64>; 4]; 4],
    waiting: &'static [AtomicU32],
    stale: &'static [AtomicU32],
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

/// What the emulation of a vPE may touch.
pub struct Chip<'a, const KIND: u8> {
    board: &'a Board,
    vm: u64,
    vpe: usize,
}

impl Board {
    pub fn new() -> Self {
        Self::of(Kind::V4_0)
    }

    /// The same of another kind.
    pub fn of(kind: Kind) -> Self {
        let plan = plan();
        let config = if kind == Kind::V4_1 { Config::V4_1 } else { Config::V4_0 };
        let gic = Gic::new(Config { cpus: 4, ..config });
        let (queue, vacants) = bring_up(&gic, kind);
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
            kind,
            lists: Default::default(),
            waiting: leak([AtomicU32::new(0)]),
            stale: leak([const { AtomicU32::new(0) }; EVENTS.len()]),
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
        if kind == Kind::Listed {
            board.clean();
            return board;
        }
        for n in 0..4 {
            let vpe = VpeId::new(n);
            board.run(&[Command::Vinvall { vpe }, Command::Vsync { vpe }]);
        }
        for (n, vpe) in (0..).zip(plan.vpes) {
            let tables = vpe.tables.as_ref().unwrap();
            if kind == Kind::V4_1 {
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
        if self.kind == Kind::V4_0 {
            return Command::Vmapp { vpe, mapping: Some(VpeMapping { redistributor, vpt }) };
        }
        vmapp_v41(n)
    }

    /// The boot script.
    fn map(&self, plan: &Plan) {
        if self.kind == Kind::Listed {
            return self.map_lpis(plan);
        }
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
                doorbell: match self.kind {
                    Kind::V4_1 => IntId::NONE,
                    _ => IntId::new(8192 + u32::from(route.vpe.value())),
                },
            }]);
        }
    }

    /// The same where EL2 lists events: those of devices are LPIs.
    fn map_lpis(&self, plan: &Plan) {
        for (n, device) in (0..).zip([0x10, 0x18, 0x20]) {
            let itt = Itt::new(0x5500_0000 + n * 0x1000, 3);
            self.run(&[Command::Mapd { device: DeviceId::new(device), itt }]);
        }
        for n in 0..4u16 {
            let redistributor = Some(Config::V4_0.redistributor(n));
            self.run(&[Command::Mapc { collection: CollectionId::new(n), redistributor }]);
        }
        for (n, route) in (0..).zip(plan.events).filter(|(_, route)| !route.ring) {
            self.run(&[Command::Mapti {
                device: DeviceId::new(route.device),
                event: EventId::new(route.event),
                intid: IntId::new(8192 + n),
                collection: CollectionId::new(route.vpe.value()),
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
        if self.kind == Kind::Listed {
            for vpe in [2 * vm, 2 * vm + 1] {
                self.interrupt(vpe);
                vgic::turn_off(&self.guests[vpe], &mut self.chip::<LISTED>(vpe));
            }
        }
        self.renew(vm, false);
        self.start(vm);
        if self.kind == Kind::Listed {
            return;
        }
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
            let vpe = 2 * vm;
            let renewed = match self.kind {
                Kind::V4_0 => renewal.step(view, allowance, &mut self.chip::<V4_0>(vpe), patient),
                Kind::V4_1 => renewal.step(view, allowance, &mut self.chip::<V4_1>(vpe), patient),
                Kind::Listed => {
                    renewal.step(view, allowance, &mut self.chip::<LISTED>(vpe), patient)
                }
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

    fn chip<const KIND: u8>(&self, vpe: usize) -> Chip<'_, KIND> {
        Chip { board: self, vm: vpe as u64 / 2, vpe }
    }

    /// The guest's vPE writes; tries again when it is to. How often it had to.
    pub fn write(&self, vpe: usize, ipa: u64, bytes: u32, value: u64) -> usize {
        for tries in 0.. {
            // The longest queue holds 32768 commands.
            assert!(tries < 40_000, "a write is to be tried again for ever");
            let guest = &self.guests[vpe];
            let written = match self.kind {
                Kind::V4_0 => mmio::write(guest, &mut self.chip::<V4_0>(vpe), ipa, bytes, value),
                Kind::V4_1 => mmio::write(guest, &mut self.chip::<V4_1>(vpe), ipa, bytes, value),
                Kind::Listed => {
                    mmio::write(guest, &mut self.chip::<LISTED>(vpe), ipa, bytes, value)
                }
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
        let guest = &self.guests[vpe];
        match self.kind {
            Kind::V4_0 => mmio::read(guest, &mut self.chip::<V4_0>(vpe), ipa, bytes),
            Kind::V4_1 => mmio::read(guest, &mut self.chip::<V4_1>(vpe), ipa, bytes),
            Kind::Listed => mmio::read(guest, &mut self.chip::<LISTED>(vpe), ipa, bytes),
        }
    }

    /// Writes the guest's memory.
    pub fn store(&self, vm: usize, ipa: u64, bytes: &[u8]) {
        let base = memory_of(vm as u64) + (ipa - MEMORY);
        for (address, byte) in (base..).zip(bytes) {
            self.gic.write_byte(address, *byte);
        }
    }

    /// A device's MSI, or a channel's ring.
    pub fn ring(&self, device: u32, event: u32) {
        if self.kind == Kind::Listed && device == RINGS {
            let place = EVENTS.iter().position(|known| (known.0, known.1) == (device, event));
            let place = place.expect("a ring of the plan's");
            let guest = &self.guests[usize::from(EVENTS[place].3)];
            if vgic::hold_ring(guest.vpe, self.waiting, place) {
                self.kicked.borrow_mut().push(EVENTS[place].3);
            }
            return;
        }
        let _ = self.gic.msi(DeviceId::new(device), EventId::new(event));
        if self.kind == Kind::Listed {
            (0..4).for_each(|cpu| self.interrupt(cpu));
        }
    }

    /// vINTIDs that the guest of a CPU takes now, in order.
    pub fn take(&self, vpe: usize) -> Vec<u32> {
        if self.kind == Kind::Listed {
            return self.take_listed(vpe);
        }
        let next = || self.gic.acknowledge_virtual(vpe as u16).map(|signal| signal.intid.value());
        let mut taken: Vec<u32> = core::iter::from_fn(next).collect();
        taken.sort_unstable();
        taken
    }

    fn take_listed(&self, vpe: usize) -> Vec<u32> {
        (0..4).for_each(|cpu| self.interrupt(cpu));
        // One CPU's flush may have another one look.
        loop {
            let Some(cpu) = self.kicked.borrow_mut().pop() else { break };
            let cpu = usize::from(cpu);
            vgic::deliver(&self.guests[cpu], &mut self.chip::<LISTED>(cpu));
        }
        let mut taken = Vec::new();
        loop {
            let before = taken.len();
            for list in &self.lists[vpe] {
                let entry = ListReg::from_bits(list.take());
                taken.extend((!entry.is_free()).then(|| entry.vintid().value()));
            }
            if taken.len() == before {
                taken.sort_unstable();
                return taken;
            }
            vgic::flush(&self.guests[vpe], &mut self.chip::<LISTED>(vpe));
        }
    }

    /// EL2 takes the LPIs of a CPU.
    fn interrupt(&self, cpu: usize) {
        self.gic.settle();
        while let Some(signal) = self.gic.acknowledge(cpu as u16) {
            let event = (signal.intid.value() - 8192) as usize;
            let (guest, mut chip) = (&self.guests[cpu], self.chip::<LISTED>(cpu));
            if !vgic::inject_lpi(guest, &mut chip, event)
                && let Some(number) = vgic::hold_lpi(&guest.view(), self.waiting, guest.vpes, event)
            {
                self.kicked.borrow_mut().push(guest.vpe_index(number).value());
            }
        }
    }

    /// The hypervisor kept every rule, and no command of its own failed.
    #[track_caller]
    pub fn clean(&self) {
        assert_eq!(self.gic.take_errors(), []);
        assert_eq!(self.gic.take_violations(), []);
    }
}

impl<const KIND: u8> PhysicalIts for Chip<'_, KIND> {
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
        if KIND == LISTED {
            (0..4).filter(|&cpu| cpu != self.vpe).for_each(|cpu| self.board.interrupt(cpu));
        }
    }
    fn configure_lpi(&mut self, event: usize, byte: u8) {
        assert!(EVENTS[event].0 != RINGS && usize::from(EVENTS[event].3) / 2 == self.vm as usize);
        self.board.gic.write_byte(LPI_CONFIG + event as u64, byte);
    }
    fn waiting_lpis(&self) -> &'static [AtomicU32] {
        self.board.waiting
    }
    fn stale_lpis(&self) -> &'static [AtomicU32] {
        self.board.stale
    }
    fn home(&self, vpe: VpeIndex) -> (CollectionId, RdBase) {
        (CollectionId::new(vpe.value()), Config::V4_0.redistributor(vpe.value()))
    }
    fn interrupted(&self) -> bool {
        self.board.interrupted.get()
    }
    fn ticks(&self) -> u64 {
        self.board.ticks.set(self.board.ticks.get() + self.board.tick.get());
        self.board.ticks.get()
    }
}

macro_rules! platforms {
    ($($kind:ident $router:ty),*) => {$(
        impl Platform for Chip<'_, $kind> {
            type Router = $router;
            const VIRTUAL_ITS: bool = true;
            const V41: bool = $kind == V4_1;
            const VIRTUAL_SGIS: bool = false;
            const INVALIDATES: bool = $kind == V4_1;
            const MSIX: bool = false;
            const INTX: bool = false;
            const SEVERAL_VPES: bool = true;
            const WATCHDOG: bool = false;
            const VIRTUAL_TIMER: u32 = TIMER;
            const PHYSICAL_TIMER: u32 = PHYSICAL_TIMER;
            fn kick(&mut self, vpe: VpeIndex) {
                assert_eq!((self.vm, self.vpe == vpe.index()), (vpe.index() as u64 / 2, false));
                self.board.kicked.borrow_mut().push(vpe.value());
            }
            fn deadline_moved(&mut self, _: VpeIndex) {}
            fn output_waits(&mut self) {}
        }
    )*};
}
platforms!(V4_0 Direct, V4_1 Direct, LISTED Listed);

/// Nothing but events is tried here.
impl<const KIND: u8> ListRegisters for Chip<'_, KIND> {
    fn count(&self) -> usize {
        4
    }
    fn read(&self, index: usize) -> ListReg {
        ListReg::from_bits(self.board.lists[self.vpe][index].get())
    }
    fn write(&mut self, index: usize, value: ListReg) {
        self.board.lists[self.vpe][index].set(value.bits());
    }
    fn empty(&self) -> u32 {
        (0..4).filter(|&n| self.read(n).is_free()).map(|n| 1 << n).sum()
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

impl<const KIND: u8> PhysicalGic for Chip<'_, KIND> {
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

impl<const KIND: u8> ConfigSpace for Chip<'_, KIND> {
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
