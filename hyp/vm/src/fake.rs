//! A board to test against: physical interrupts, CPUs with list registers, and guests that acknowledge and end.

extern crate std;

use crate::{
    Guest, Platform, VmState, VpeState,
    platform::{
        ConfigSpace, ListRegisters, NO_PENDING, NOT_PRESENT, PhysicalGic, PhysicalIts, TRAP_DIR,
        TRAP_GROUP1, UNDERFLOW,
    },
    vgic, vits,
};
use core::cell::RefCell;
use gicv4::list_regs::{ListReg, State};
use plan::{
    Bar, Board, BridgeView, ChannelEnd, Conduit, CpuIndex, EventRoute, Fault, Ipa, Its, ItsPolicy,
    Messages, Mmio, MmioKind, Msix, Pa, PciBridge, PciFunction, Plan, PowerOff, Restarts, SpiRoute,
    StandIn, Vm, VmId, VmIndex, Vpe, VpeIndex,
};
use std::{boxed::Box, vec, vec::Vec};

pub const LIST_REGISTERS: usize = 4;
pub const GICD: u64 = 0x0800_0000;
pub const GICR: u64 = 0x080a_0000;
pub const UART: u64 = 0x0900_0000;
pub const ECAM: u64 = 0x40_1000_0000;
/// ECAM of the second host: where that of the first would go on with bus 128.
pub const FAR_ECAM: u64 = ECAM + (128 << 20);
/// VM 0's functions, 00:02.0 behind the first host and 80:02.0 behind the second, and the bridge on its way.
pub const FUNCTION: u64 = ECAM + (2 << 15);
pub const FAR_FUNCTION: u64 = FAR_ECAM + (2 << 15);
pub const BRIDGE: u64 = ECAM + (8 << 15);
/// What stands for 00:09.0.
pub const STAND_IN: u64 = ECAM + (9 << 15);
/// Where the messages of the first function go, with EventIDs below 3, and its MSI-X table: 4
/// vectors, in its third page.
pub const TRANSLATER: u64 = 0x0809_0040;
pub const TABLE: u64 = 0x80_1000_6000;
pub const RAM: u64 = 0x4000_0000;
/// No CPU's number.
pub const ABSENT: usize = usize::MAX;
pub const UART_INTID: u32 = 33;
/// VM 0's watchdog.
pub const WATCHDOG: u64 = 0x0a00_0000;
pub const WATCHDOG_INTID: u32 = 34;
/// SPIs of VM 0; 43 is VM 1's. Odd ones are level-sensitive.
pub const SPIS: [u32; 4] = [40, 41, 42, 70];
pub const FOREIGN: u32 = 43;
/// PPIs of the VMs', not where most boards have them: nothing relies on that.
pub const TIMER: u32 = 20;
pub const PHYSICAL_TIMER: u32 = 22;
pub const PMU: u32 = 23;

/// A physical interrupt.
#[derive(Clone, Copy, Default, Debug)]
pub struct Line {
    pub enabled: bool,
    pub pending: bool,
    pub active: bool,
    pub edge: bool,
    pub level: bool,
    pub cpu: usize,
}

/// The virtual CPU interface of one CPU.
#[derive(Clone, Default, Debug)]
pub struct Interface {
    pub registers: [u64; LIST_REGISTERS],
    pub eoi_count: u32,
    pub maintenance: u32,
    /// ICC_CTLR_EL1.EOImode.
    pub split: bool,
    /// PSTATE.I.
    pub masked: bool,
    /// Who runs here.
    pub guest: Option<Guest>,
    /// Priorities of what the guest has acknowledged and not ended.
    pub running: Vec<u8>,
    pub kicked: bool,
    pub timer: Line,
    pub physical: Line,
    pub pmu: Line,
}

#[derive(Debug)]
pub struct Machine {
    pub lines: Vec<Line>,
    pub cpus: Vec<Interface>,
    pub config: Vec<u32>,
    pub far_config: Vec<u32>,
    pub bridge: Vec<u32>,
    /// The pages of the first function's MSI-X table.
    pub table: Vec<u32>,
    /// What was written to the first function, and to the one behind the second host.
    pub written: Vec<(u16, u8, u32)>,
    pub far_written: Vec<(u16, u8, u32)>,
    /// The first function's configuration space becomes what is written to it.
    pub keeps: bool,
    pub output: usize,
    pub ticks: u64,
    /// A word that another vPE writes in the middle of what this one does: after so many changes of enables, once.
    pub meanwhile: Option<(usize, Guest, u64, u64)>,
    /// Deadlines that became earlier.
    pub deadlines: usize,
}

/// One CPU of the machine, which runs the vPE of the same index.
#[derive(Clone, Copy)]
pub struct Cpu<'a> {
    pub machine: &'a RefCell<Machine>,
    pub index: usize,
}

impl Machine {
    pub fn new(cpus: usize) -> RefCell<Self> {
        let mut lines = vec![Line::default(); 1024];
        for (intid, line) in lines.iter_mut().enumerate() {
            line.edge = intid % 2 == 0;
        }
        RefCell::new(Self {
            lines,
            cpus: vec![Interface::default(); cpus],
            config: vec![0; 1024],
            far_config: vec![0; 1024],
            bridge: vec![0; 1024],
            table: vec![0; 1024],
            written: Vec::new(),
            far_written: Vec::new(),
            keeps: false,
            output: 0,
            ticks: 0,
            meanwhile: None,
            deadlines: 0,
        })
    }

    fn bits(&self, word: usize, of: impl Fn(&Line) -> bool) -> u32 {
        (0..32).fold(0, |bits, n| bits | u32::from(of(&self.lines[word * 32 + n])) << n)
    }

    fn each(&mut self, word: usize, bits: u32, change: impl Fn(&mut Line)) {
        assert!(word > 0, "word 0 is not the distributor's");
        for n in (0..32).filter(|n| bits & 1 << n != 0) {
            assert_ne!(word as u32 * 32 + n, FOREIGN, "another VM's interrupt was touched");
            change(&mut self.lines[(word as u32 * 32 + n) as usize]);
        }
    }
}

impl Cpu<'_> {
    /// An enable is about to change: another vPE may come first.
    fn meanwhile(&self) {
        let mut machine = self.machine.borrow_mut();
        let Some((after, guest, ipa, value)) = &mut machine.meanwhile else { return };
        if *after > 0 {
            *after -= 1;
            return;
        }
        let (guest, ipa, value) = (*guest, *ipa, *value);
        machine.meanwhile = None;
        drop(machine);
        let mut other = Cpu { machine: self.machine, index: guest.number };
        crate::mmio::write(&guest, &mut other, ipa, 4, value);
    }

    fn with<T>(&self, with: impl FnOnce(&mut Interface) -> T) -> T {
        with(&mut self.machine.borrow_mut().cpus[self.index])
    }

    pub fn entries(&self) -> Vec<ListReg> {
        self.with(|cpu| cpu.registers.iter().map(|&bits| ListReg::from_bits(bits)).collect())
    }

    /// ICC_IAR1_EL1: the most urgent pending interrupt that the running priority lets through.
    pub fn acknowledge(&self) -> Option<u32> {
        if self.with(|cpu| cpu.maintenance) & TRAP_GROUP1 != 0 {
            let guest = self.with(|cpu| cpu.guest).expect("somebody runs");
            let mut cpu = *self;
            vgic::look_again(&guest, &mut cpu);
            cpu.settle(&guest);
            assert_eq!(self.with(|cpu| cpu.maintenance) & TRAP_GROUP1, 0, "traps without end");
        }
        self.with(|cpu| {
            let running = cpu.running.last().copied().unwrap_or(0xff);
            let entries = cpu.registers.iter().map(|&bits| ListReg::from_bits(bits)).enumerate();
            let pending = entries
                .filter(|(_, entry)| entry.state() == State::Pending && entry.priority() < running);
            let (index, entry) = pending.min_by_key(|(_, entry)| entry.priority())?;
            cpu.registers[index] = entry.with_state(State::Active).bits();
            cpu.running.push(entry.priority());
            Some(entry.vintid().value())
        })
    }

    /// ICC_EOIR1_EL1.
    pub fn end(&self, intid: u32) {
        self.with(|cpu| cpu.running.pop()).expect("nothing is running");
        if !self.with(|cpu| cpu.split) {
            self.deactivate_listed(intid);
        } else if !self.entries().iter().any(|entry| {
            entry.vintid().value() == intid
                && !matches!(entry.state(), State::Inactive | State::Pending)
        }) {
            // QEMU counts these, too.
            self.with(|cpu| cpu.eoi_count += 1);
        }
    }

    /// ICC_DIR_EL1, with EOImode 1. It comes to EL2 if that wants it.
    pub fn guest_deactivates(&mut self, guest: &Guest, intid: u32) {
        if self.with(|cpu| cpu.maintenance) & TRAP_DIR != 0 {
            vgic::deactivate(guest, self, intid);
        } else {
            self.deactivate_listed(intid);
        }
    }

    fn deactivate_listed(&self, intid: u32) {
        let mut machine = self.machine.borrow_mut();
        let Machine { cpus, lines, .. } = &mut *machine;
        let cpu = &mut cpus[self.index];
        for bits in &mut cpu.registers {
            let entry = ListReg::from_bits(*bits);
            if entry.vintid().value() != intid
                || !matches!(entry.state(), State::Active | State::PendingActive)
            {
                continue;
            }
            let pending = entry.state() == State::PendingActive;
            *bits = entry.with_state(if pending { State::Pending } else { State::Inactive }).bits();
            if let Some(physical) = entry.pintid() {
                let line = match physical.value() {
                    TIMER => &mut cpu.timer,
                    PHYSICAL_TIMER => &mut cpu.physical,
                    PMU => &mut cpu.pmu,
                    spi => &mut lines[spi as usize],
                };
                line.active = false;
            }
            return;
        }
        cpu.eoi_count += 1;
    }

    /// The maintenance interrupt is asserted.
    fn maintenance_pending(&self) -> bool {
        self.with(|cpu| {
            let valid =
                cpu.registers.iter().filter(|&&bits| !ListReg::from_bits(bits).is_free()).count();
            let ended = cpu
                .registers
                .iter()
                .map(|&bits| ListReg::from_bits(bits))
                .any(|entry| entry.is_free() && entry.has_end_notice());
            let pending = |&bits: &u64| ListReg::from_bits(bits).state() == State::Pending;
            cpu.maintenance & UNDERFLOW != 0 && valid <= 1
                || cpu.maintenance & NO_PENDING != 0 && !cpu.registers.iter().any(pending)
                || cpu.maintenance & NOT_PRESENT != 0 && cpu.eoi_count != 0
                || ended
        })
    }

    /// A physical interrupt for this CPU, acknowledged.
    fn take_physical(&self) -> Option<u32> {
        let mut machine = self.machine.borrow_mut();
        let index = self.index;
        let cpu = &mut machine.cpus[index];
        let Interface { timer, physical, pmu, .. } = cpu;
        for (intid, line) in [(TIMER, timer), (PHYSICAL_TIMER, physical), (PMU, pmu)] {
            if line.enabled && line.level && !line.active {
                line.active = true;
                return Some(intid);
            }
        }
        let ready = |line: &Line| {
            line.enabled
                && !line.active
                && line.cpu == index
                && (line.pending || !line.edge && line.level)
        };
        let intid = machine.lines.iter().position(ready)?;
        machine.lines[intid].pending = false;
        machine.lines[intid].active = true;
        Some(intid as u32)
    }

    /// The same while the vPE is off: its PPIs are off, kicks find nothing, SPIs wait.
    pub fn settle_off(&mut self, guest: &Guest) -> bool {
        self.with(|cpu| {
            for line in [&mut cpu.timer, &mut cpu.physical, &mut cpu.pmu] {
                line.enabled = false;
            }
        });
        let mut moved = self.with(|cpu| core::mem::take(&mut cpu.kicked));
        while let Some(intid) = self.take_physical() {
            let number = vgic::hold_spi(&guest.vm.distributor, self, guest.vpes, intid);
            if let Some(number) = number.filter(|&number| number != guest.number) {
                vgic::notify(guest, self, number);
            }
            moved = true;
        }
        moved
    }

    /// Takes every exit that is due, as the image does. Panics when there is no end to them.
    pub fn settle(&mut self, guest: &Guest) -> bool {
        self.with(|cpu| cpu.guest = Some(*guest));
        for round in 0.. {
            assert!(round < 100, "exits without end");
            if self.maintenance_pending() {
                vgic::flush(guest, self);
            } else if self.with(|cpu| core::mem::take(&mut cpu.kicked)) {
                vgic::deliver(guest, self);
            } else if let Some(intid) = self.take_physical() {
                match intid {
                    TIMER => vgic::inject_timer(guest, self),
                    PHYSICAL_TIMER | PMU => vgic::inject_private(guest, self, intid),
                    _ => vgic::inject_spi(guest, self, intid),
                }
            } else {
                return round > 0;
            }
        }
        unreachable!()
    }
}

impl ListRegisters for Cpu<'_> {
    fn count(&self) -> usize {
        LIST_REGISTERS
    }
    fn read(&self, index: usize) -> ListReg {
        self.with(|cpu| ListReg::from_bits(cpu.registers[index]))
    }
    fn write(&mut self, index: usize, value: ListReg) {
        assert!(
            !(value.is_hardware() && value.state() == State::PendingActive),
            "reserved with HW"
        );
        self.with(|cpu| {
            cpu.registers[index] = value.bits();
            let live = cpu
                .registers
                .iter()
                .map(|&bits| ListReg::from_bits(bits))
                .filter(|entry| !entry.is_free());
            let mut ids: Vec<u32> = live.map(|entry| entry.vintid().value()).collect();
            ids.sort_unstable();
            assert!(
                ids.windows(2).all(|pair| pair[0] != pair[1]),
                "one interrupt in two list registers: {ids:?}"
            );
        });
    }
    fn empty(&self) -> u32 {
        self.with(|cpu| {
            (0..LIST_REGISTERS).fold(0, |bits, n| {
                let entry = ListReg::from_bits(cpu.registers[n]);
                bits | u32::from(entry.is_free() && !entry.has_end_notice()) << n
            })
        })
    }
    fn take_eoi_count(&mut self) -> u32 {
        self.with(|cpu| core::mem::take(&mut cpu.eoi_count))
    }
    fn maintenance(&mut self, bits: u32) {
        self.with(|cpu| cpu.maintenance = bits);
    }
    fn masked(&self) -> bool {
        self.with(|cpu| cpu.masked)
    }
    fn splits_end(&self) -> bool {
        self.with(|cpu| cpu.split)
    }
}

impl PhysicalGic for Cpu<'_> {
    fn enable(&mut self, word: usize, bits: u32) {
        self.meanwhile();
        self.machine.borrow_mut().each(word, bits, |line| line.enabled = true);
    }
    fn disable(&mut self, word: usize, bits: u32) {
        self.meanwhile();
        self.machine.borrow_mut().each(word, bits, |line| line.enabled = false);
    }
    fn set_pending(&mut self, word: usize, bits: u32) {
        self.machine.borrow_mut().each(word, bits, |line| line.pending = true);
    }
    fn clear_pending(&mut self, word: usize, bits: u32) {
        self.machine.borrow_mut().each(word, bits, |line| line.pending = false);
    }
    fn set_active(&mut self, word: usize, bits: u32) {
        self.machine.borrow_mut().each(word, bits, |line| line.active = true);
    }
    fn clear_active(&mut self, word: usize, bits: u32) {
        self.machine.borrow_mut().each(word, bits, |line| line.active = false);
    }
    fn pending(&self, word: usize) -> u32 {
        self.machine.borrow().bits(word, |line| line.pending || !line.edge && line.level)
    }
    fn active(&self, word: usize) -> u32 {
        self.machine.borrow().bits(word, |line| line.active)
    }
    fn config(&self, index: usize) -> u32 {
        let machine = self.machine.borrow();
        (0..16)
            .fold(0, |bits, n| bits | u32::from(machine.lines[index * 16 + n].edge) << (2 * n + 1))
    }
    fn set_config(&mut self, index: usize, mask: u32, value: u32) {
        let mut machine = self.machine.borrow_mut();
        for n in (0..16).filter(|n| mask & 2 << (2 * n) != 0) {
            let intid = index * 16 + n;
            assert_ne!(intid as u32, FOREIGN);
            machine.lines[intid].edge = value & 2 << (2 * n) != 0;
        }
    }
    fn route(&mut self, intid: u32, vpe: Option<VpeIndex>) {
        assert_ne!(intid, FOREIGN);
        self.machine.borrow_mut().lines[intid as usize].cpu = vpe.map_or(ABSENT, VpeIndex::index);
    }
    fn enable_ppis(&mut self, vpe: VpeIndex, bits: u32, on: bool) {
        self.meanwhile();
        let cpu = &mut self.machine.borrow_mut().cpus[vpe.index()];
        let Interface { timer, physical, pmu, .. } = cpu;
        for (intid, line) in [(TIMER, timer), (PHYSICAL_TIMER, physical), (PMU, pmu)] {
            if bits & 1 << intid != 0 {
                line.enabled = on;
            }
        }
        assert_eq!(
            bits & !(1 << TIMER | 1 << PHYSICAL_TIMER | 1 << PMU),
            0,
            "the VM has no such PPI"
        );
    }
    fn deactivate(&mut self, intid: u32) {
        match intid {
            TIMER => self.with(|cpu| cpu.timer.active = false),
            PHYSICAL_TIMER => self.with(|cpu| cpu.physical.active = false),
            PMU => self.with(|cpu| cpu.pmu.active = false),
            _ => self.machine.borrow_mut().lines[intid as usize].active = false,
        }
    }
    fn activate(&mut self, intid: u32) {
        self.with(|cpu| match intid {
            TIMER => cpu.timer.active = true,
            PHYSICAL_TIMER => cpu.physical.active = true,
            PMU => cpu.pmu.active = true,
            _ => panic!("the VM has no PPI {intid}"),
        });
    }
    fn pending_ppis(&self, vpe: VpeIndex) -> u32 {
        let cpu = &self.machine.borrow().cpus[vpe.index()];
        u32::from(cpu.timer.level) << TIMER
            | u32::from(cpu.physical.level) << PHYSICAL_TIMER
            | u32::from(cpu.pmu.level) << PMU
    }
}

impl ConfigSpace for Cpu<'_> {
    fn config_read(&self, function: &PciFunction, offset: u16) -> u32 {
        assert!(offset.is_multiple_of(4) && offset < 4096 && function.vm.value() == 0);
        let machine = self.machine.borrow();
        match function.config.value() {
            FUNCTION => machine.config[usize::from(offset) / 4],
            FAR_FUNCTION => machine.far_config[usize::from(offset) / 4],
            other => panic!("configuration space at {other:#x}"),
        }
    }
    fn table_read(&self, function: &PciFunction, offset: u32) -> u32 {
        assert_eq!(function.config.value(), FUNCTION);
        assert_ne!(self.config_read(function, 4) & 2, 0, "memory space is off");
        self.machine.borrow().table[offset as usize / 4]
    }
    fn table_write(&mut self, function: &PciFunction, offset: u32, value: u32) {
        assert_eq!(function.config.value(), FUNCTION);
        assert_ne!(self.config_read(function, 4) & 2, 0, "memory space is off");
        self.machine.borrow_mut().table[offset as usize / 4] = value;
    }
    fn bridge_read(&self, bridge: &PciBridge, offset: u16) -> u32 {
        assert!(offset.is_multiple_of(4) && offset < 4096 && bridge.config.value() == BRIDGE);
        self.machine.borrow().bridge[usize::from(offset) / 4]
    }
    fn config_write(&mut self, function: &PciFunction, offset: u16, bytes: u8, value: u32) {
        assert!(
            matches!(bytes, 1 | 2 | 4) && offset.is_multiple_of(u16::from(bytes)) && offset < 4096
        );
        assert_eq!(function.vm.value(), 0);
        let mut machine = self.machine.borrow_mut();
        match function.config.value() {
            FUNCTION => machine.written.push((offset, bytes, value)),
            _ => machine.far_written.push((offset, bytes, value)),
        }
        if function.config.value() == FUNCTION && machine.keeps {
            let shift = 8 * (u32::from(offset) & 3);
            let mask = (u32::MAX >> (32 - 8 * u32::from(bytes))) << shift;
            let word = &mut machine.config[usize::from(offset) / 4];
            *word = *word & !mask | value << shift & mask;
        }
    }
}

/// No test with this machine uses the ITS; `vits` has a board of its own for that.
impl PhysicalIts for Cpu<'_> {
    fn read_command(&self, _: Pa) -> [u64; 4] {
        [0; 4]
    }
    fn read_byte(&self, _: Pa) -> u8 {
        0
    }
    fn configure(&mut self, _: &Vm, _: u32, _: u8) {
        unreachable!("a vLPI was configured")
    }
    fn command(&mut self, _: &[[u64; 4]]) {
        unreachable!("the ITS was given a command")
    }
    fn interrupted(&self) -> bool {
        false
    }
    fn ticks(&self) -> u64 {
        self.machine.borrow().ticks
    }
}

impl Platform for Cpu<'_> {
    const VIRTUAL_ITS: bool = true;
    const MSIX: bool = true;
    const SEVERAL_VPES: bool = true;
    const WATCHDOG: bool = true;
    const VIRTUAL_TIMER: u32 = TIMER;
    const PHYSICAL_TIMER: u32 = PHYSICAL_TIMER;

    fn kick(&mut self, vpe: VpeIndex) {
        assert_ne!(vpe.index(), self.index, "a kick to itself");
        assert!(vpe.index() < 2, "a kick beyond the VM");
        self.machine.borrow_mut().cpus[vpe.index()].kicked = true;
    }
    fn deadline_moved(&mut self, _: VpeIndex) {
        self.machine.borrow_mut().deadlines += 1;
    }
    fn output_waits(&mut self) {
        self.machine.borrow_mut().output += 1;
    }
}

const WATCHDOG_OF_FIRST: plan::Watchdog = plan::Watchdog {
    ticks: 1000,
    from_start: true,
    action: None,
    mode: None,
    intid: WATCHDOG_INTID,
};

pub fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

pub fn vm(
    name: &'static str,
    first_vpe: u16,
    vpe_count: u16,
    functions: u16,
    ends: (u16, u16),
    its: ItsPolicy,
) -> Vm {
    let region = |base, bytes, kind| Mmio { base: Ipa::new(base), bytes, kind };
    Vm {
        name,
        vmid: VmId::new(first_vpe + 1),
        vttbr: 0,
        vtcr: 0,
        first_vpe,
        vpe_count,
        entry: Ipa::new(RAM),
        x0: 0,
        memory: leak([(Ipa::new(RAM), Pa::new(RAM), 0x20_0000)]),
        cleared: &[],
        kept: &[],
        loads: &[],
        mmio: leak([
            region(GICD, 0x1_0000, MmioKind::Distributor),
            region(GICR, u64::from(vpe_count) << 17, MmioKind::Redistributors),
            region(UART, 0x1000, MmioKind::Uart),
            region(WATCHDOG, crate::watchdog::BYTES, MmioKind::Watchdog),
            region(ECAM, 0x10_0000, MmioKind::PciConfig),
            region(FAR_ECAM, 0x10_0000, MmioKind::PciConfig),
        ]),
        uart_intid: Some(UART_INTID),
        vlpi_config: (Pa::new(0), 0),
        vlpi_config_start: &[],
        vintid_bits: 14,
        bridges: match functions {
            0 => &[],
            _ => leak([BridgeView { bridge: 0, base: 0x1010_0000, bytes: 0x20_0000 }]),
        },
        stand_ins: match functions {
            0 => &[],
            _ => leak([StandIn { config: Pa::new(STAND_IN), id: 0xffff_1b36 }]),
        },
        first_function: 0,
        function_count: functions,
        first_channel_end: ends.0,
        channel_end_count: ends.1,
        its,
        vlpi_priority: 0xa0,
        its_allowance: plan::ItsAllowance { most: 32, interval: 31_250 },
        features: plan::Features::NONE,
        ppis: 1 << TIMER | 1 << PHYSICAL_TIMER | 1 << PMU,
        on_fault: Fault::Halt,
        resets: Restarts { most: 5, ticks: 1000 },
        mode_on_fault: None,
        watchdog: (first_vpe == 0).then_some(WATCHDOG_OF_FIRST),
    }
}

fn end(vm: u16, rings: (u32, u32)) -> ChannelEnd {
    ChannelEnd {
        name: "samples",
        vm: VmIndex::new(vm),
        ipa: Ipa::new(0x5000_0000),
        pa: Pa::new(0x5000_0000),
        bytes: 0x1000,
        rings,
        vintid: 8192,
        writable: true,
    }
}

/// VM "one" with vPEs 0 and 1, two functions and a channel to VM "two" with vPE 2.
pub fn plan() -> &'static Plan {
    let vpe = |vm, number, cpu| Vpe {
        vm: VmIndex::new(vm),
        number,
        cpu: CpuIndex::new(cpu),
        slot: 0,
        tables: None,
    };
    leak(plan_of(
        leak([
            vm("one", 0, 2, 2, (0, 1), ItsPolicy::None),
            vm("two", 2, 1, 0, (1, 1), ItsPolicy::Fixed),
        ]),
        leak([vpe(0, 0, 0), vpe(0, 1, 1), vpe(1, 0, 2)]),
    ))
}

/// A board with these VMs, its SPIs and devices shared out as [`plan`] has them.
pub fn plan_of(vms: &'static [Vm], vpes: &'static [Vpe]) -> Plan {
    let spi = |intid: u32| {
        let route = |vm, vpe| SpiRoute {
            vm: VmIndex::new(vm),
            vpe: VpeIndex::new(vpe),
            edge: intid.is_multiple_of(2),
        };
        match intid {
            FOREIGN => Some(route(1, 2)),
            _ if SPIS.contains(&intid) => Some(route(0, 0)),
            _ => None,
        }
    };
    let spis: Vec<Option<SpiRoute>> = (32..288).map(spi).collect();
    let bar = |index, wide, base, bytes| Bar { index, wide, prefetchable: false, base, bytes };
    let function = |config, bars: &'static [Bar]| PciFunction {
        name: "nvme0",
        place: "00:02.0 of pcie0",
        messages: None,
        msix: None,
        vm: VmIndex::new(0),
        config: Pa::new(config),
        id: 0x0010_1b36,
        bars,
        setup: &[],
    };
    let events = [(0x1ff, 0, 2), (0x1ff, 1, 0)].map(|(device, event, vpe)| EventRoute {
        device,
        event,
        vintid: 8192,
        vpe: VpeIndex::new(vpe),
        source: "samples",
        ring: true,
    });
    Plan {
        own: plan::Own {
            ttbr: Pa::new(0),
            tcr: 0,
            image_l3: Pa::new(0),
            window: 0,
            window_entries: Pa::new(0),
            stack_bytes: 0,
        },
        system: "fake",
        digest: 0,
        board: Board {
            name: "fake",
            ram: &[],
            distributor: Pa::new(GICD),
            spis: 256,
            list_registers: LIST_REGISTERS as u8,
            redistributor_stride: 0x4_0000,
            direct_injection: true,
            timer: plan::Timer {
                frequency: 1_000_000_000,
                virtual_ppi: TIMER as u8,
                physical_ppi: PHYSICAL_TIMER as u8,
                hypervisor_ppi: 26,
                maintenance_ppi: 25,
            },
            pmu_ppi: Some(PMU as u8),
            console: plan::Console::Uart(plan::Uart {
                kind: plan::UartKind::Pl011,
                base: Pa::new(UART),
                intid: Some(33),
            }),
            psci: Conduit::Smc,
            mpam: false,
            gic_coherent: true,
            gic_deactivates: true,
            quirks: &[],
            inherited: &[],
        },
        cpus: &[],
        vms,
        vpes,
        modes: None,
        its: Some(Its {
            base: Pa::new(0),
            device_id_bits: 16,
            event_id_bits: 16,
            by_address: false,
            entry_bytes: 12,
            moves: false,
            collection_id_bits: 4,
            vintid_bits: 14,
            tables: &[],
            cbaser: 0,
            queue: (Pa::new(0), 0),
            script: &[],
            lpi_config: (Pa::new(0), 0),
            events: leak(events),
        }),
        smmu: None,
        spis: Vec::leak(spis),
        bridges: leak([PciBridge {
            name: "port0",
            place: "00:01.0 of pcie0",
            config: Pa::new(BRIDGE),
            id: 0x000c_1b36,
            primary: 0,
            secondary: 1,
            subordinate: 2,
            bars: &[],
            setup: &[],
        }]),
        functions: leak([
            PciFunction {
                messages: Some(Messages { address: TRANSLATER, events: 3 }),
                msix: Some(Msix {
                    vectors: 4,
                    bar: 0,
                    offset: 0x2000,
                    pages: Some((Pa::new(TABLE), 0x1000)),
                }),
                ..function(
                    FUNCTION,
                    leak([
                        bar(0, true, 0x80_1000_4000, 0x4000),
                        bar(3, false, 0x1000_0000, 0x1000),
                    ]),
                )
            },
            function(FAR_FUNCTION, leak([bar(0, false, 0x2800_0000, 0x10_0000)])),
        ]),
        shared_memory: &[],
        flashes: &[],
        channel_ends: leak([end(0, (0x1ff, 0)), end(1, (0x1ff, 1))]),
        cleared: &[],
        escape: 0x1d,
        focus: VmIndex::new(0),
        console_cpu: CpuIndex::new(0),
        when_all_off: PowerOff::PowerOff,
    }
}

/// Guests of all vPEs, in the state of a VM that just starts.
pub fn guests() -> [Guest; 3] {
    let plan = plan();
    let vms: &'static [VmState] = leak([const { VmState::new() }; 2]);
    let vpes: &'static [VpeState] = leak([const { VpeState::new() }; 3]);
    for (vm, config) in vms.iter().zip(plan.vms) {
        vm.reset(plan, config);
        vm.health.start();
    }
    let events: &'static [vits::Event] = leak([const { vits::Event::new() }; 2]);
    [0, 1, 2]
        .map(|index| Guest::new(plan, vms, vpes, events, VpeIndex::new(index)).expect("it exists"))
}
