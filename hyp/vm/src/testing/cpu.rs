// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A CPU of the machine: exits are taken as the image does; its guest acknowledges and ends.

use super::{Interface, Line, Machine, PHYSICAL_TIMER, PMU, TIMER};
use crate::{
    Guest,
    platform::{NO_PENDING, NOT_PRESENT, SGIS_UNCOUNTED, TRAP_DIR, TRAP_GROUP1, UNDERFLOW},
    vgic,
};
use core::cell::RefCell;
use gicv4::list_regs::{ListReg, State};
use std::vec::Vec;

/// One CPU of the machine, which runs the vPE of the same index.
#[derive(Clone, Copy)]
pub struct Cpu<'a> {
    pub machine: &'a RefCell<Machine>,
    pub index: usize,
}

impl Cpu<'_> {
    /// An enable is about to change: another vPE may come first.
    pub(super) fn meanwhile(&self) {
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

    pub(super) fn with<T>(&self, with: impl FnOnce(&mut Interface) -> T) -> T {
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
        let sgi = self.machine.borrow().sgis.as_ref().and_then(|gic| gic.signal(self.index));
        let taken = self.with(|cpu| {
            let running = cpu.running.last().copied().unwrap_or(0xff);
            let sgi = sgi.filter(|sgi| sgi.priority < running);
            let entries = cpu.registers.iter().map(|&bits| ListReg::from_bits(bits)).enumerate();
            let pending = entries
                .filter(|(_, entry)| entry.state() == State::Pending && entry.priority() < running);
            let best = pending.min_by_key(|(_, entry)| entry.priority());
            // Of equal priorities the list register's comes first, as on QEMU.
            let urgent =
                best.is_none_or(|(_, entry)| sgi.is_some_and(|s| s.priority < entry.priority()));
            if let Some(sgi) = sgi.filter(|_| urgent) {
                cpu.running.push(sgi.priority);
                return Some((sgi.intid.value(), true));
            }
            let (index, entry) = best?;
            cpu.registers[index] = entry.with_state(State::Active).bits();
            cpu.running.push(entry.priority());
            Some((entry.vintid().value(), false))
        });
        if let Some((_, true)) = taken {
            self.machine.borrow().sgis.as_ref().expect("it was signalled").acknowledge(self.index);
        }
        taken.map(|(intid, _)| intid)
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
            self.count_end(intid);
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
        drop(machine);
        self.count_end(intid);
    }

    /// ICH_HCR_EL2.EOIcount.
    fn count_end(&self, intid: u32) {
        self.with(|cpu| {
            let counted = intid >= 16 || cpu.maintenance & SGIS_UNCOUNTED == 0;
            cpu.eoi_count += u32::from(counted);
        });
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
    pub(super) fn take_physical(&self) -> Option<u32> {
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
