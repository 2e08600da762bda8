// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The machine as a [`Platform`]. It asserts that nothing of another VM's is named.

use super::{
    ABSENT, BRIDGE, Cpu, FAR_FUNCTION, FOREIGN, FUNCTION, Interface, LIST_REGISTERS,
    PHYSICAL_TIMER, PMU, TIMER,
};
use crate::{
    Platform,
    platform::{ConfigSpace, ListRegisters, PhysicalGic, PhysicalIts},
};
use core::sync::atomic::AtomicU32;
use gicv4::list_regs::{ListReg, State};
use plan::{Pa, PciBridge, PciFunction, Vm, VpeIndex};
use std::vec::Vec;

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
        match function.space.config.value() {
            FUNCTION => machine.config[usize::from(offset) / 4],
            FAR_FUNCTION => machine.far_config[usize::from(offset) / 4],
            other => panic!("configuration space at {other:#x}"),
        }
    }
    fn table_read(&self, function: &PciFunction, offset: u32) -> u32 {
        assert_eq!(function.space.config.value(), FUNCTION);
        assert_ne!(self.config_read(function, 4) & 2, 0, "memory space is off");
        self.machine.borrow().table[offset as usize / 4]
    }
    fn table_write(&mut self, function: &PciFunction, offset: u32, value: u32) {
        assert_eq!(function.space.config.value(), FUNCTION);
        assert_ne!(self.config_read(function, 4) & 2, 0, "memory space is off");
        self.machine.borrow_mut().table[offset as usize / 4] = value;
    }
    fn bridge_read(&self, bridge: &PciBridge, offset: u16) -> u32 {
        assert!(offset.is_multiple_of(4) && offset < 4096 && bridge.space.config.value() == BRIDGE);
        self.machine.borrow().bridge[usize::from(offset) / 4]
    }
    fn config_write(&mut self, function: &PciFunction, offset: u16, bytes: u8, value: u32) {
        assert!(
            matches!(bytes, 1 | 2 | 4) && offset.is_multiple_of(u16::from(bytes)) && offset < 4096
        );
        assert_eq!(function.vm.value(), 0);
        let mut machine = self.machine.borrow_mut();
        match function.space.config.value() {
            FUNCTION => machine.written.push((offset, bytes, value)),
            _ => machine.far_written.push((offset, bytes, value)),
        }
        if function.space.config.value() == FUNCTION && machine.keeps {
            let shift = 8 * (u32::from(offset) & 3);
            let mask = (u32::MAX >> (32 - 8 * u32::from(bytes))) << shift;
            let word = &mut machine.config[usize::from(offset) / 4];
            *word = *word & !mask | value << shift & mask;
        }
    }
}

/// The ITS has virtual SGIs alone; `vits` has a board of its own for the rest.
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
    fn waiting_lpis(&self) -> &'static [AtomicU32] {
        self.machine.borrow().waiting
    }
    fn stale_lpis(&self) -> &'static [AtomicU32] {
        self.machine.borrow().stale
    }
    fn command(&mut self, commands: &[[u64; 4]]) {
        self.meanwhile();
        let mut machine = self.machine.borrow_mut();
        machine.sgis.as_mut().expect("the ITS was given a command").run(commands);
    }
    fn send_sgi(&mut self, vpe: VpeIndex, sgi: u32) {
        self.machine.borrow().sgis.as_ref().expect("a GICv4.1").send(vpe, sgi);
    }
    fn pending_sgis(&mut self, vpe: VpeIndex) -> u32 {
        self.machine.borrow().sgis.as_ref().expect("a GICv4.1").pending(vpe)
    }
    fn interrupted(&self) -> bool {
        false
    }
    fn ticks(&self) -> u64 {
        self.machine.borrow().ticks
    }
}

impl Platform for Cpu<'_> {
    type Router = crate::router::Listed;
    const VIRTUAL_ITS: bool = true;
    const V41: bool = false;
    const VIRTUAL_SGIS: bool = true;
    const INVALIDATES: bool = false;
    const MSIX: bool = true;
    const INTX: bool = true;
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
