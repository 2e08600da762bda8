// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Of `inject.rs`.

use super::*;
use crate::{
    mmio,
    platform::{NOT_PRESENT, TRAP_DIR},
    testing::{Cpu, GICD, GICR, Machine, PHYSICAL_TIMER, TIMER, WATCHDOG_INTID, guests},
    vgic::raise,
};
use core::cell::RefCell;

fn on(machine: &RefCell<Machine>) -> (Guest, Cpu<'_>) {
    let mut cpu = Cpu { machine, index: 0 };
    let [guest, ..] = guests();
    for (ipa, value) in [(GICD, 2), (GICR + 0x1_0100, 0xffff_ffff), (GICD + 0x104, 0xffff_ffff)] {
        assert_eq!(mmio::write(&guest, &mut cpu, ipa, 4, value), mmio::Written::Done);
    }
    (guest, cpu)
}

fn priority(guest: &Guest, cpu: &mut Cpu, intid: u64, priority: u64) {
    assert_eq!(mmio::write(guest, cpu, GICR + 0x1_0400 + intid, 1, priority), mmio::Written::Done);
}

/// Seven nested interrupts with three shared list registers: nobody panics, nothing is lost, ends
/// find their owner.
#[test]
fn deeper_than_the_list_registers() {
    let machine = Machine::new(3);
    let (guest, mut cpu) = on(&machine);
    for sgi in 0..7 {
        priority(&guest, &mut cpu, sgi, 0x80 - 8 * sgi);
        crate::vgic::send_sgi(&guest, &mut cpu, sgi << 24 | 1);
        cpu.settle(&guest);
        assert_eq!(cpu.acknowledge(), Some(sgi as u32));
    }
    assert_eq!(machine.borrow().cpus[0].maintenance, NOT_PRESENT | TRAP_DIR);
    // A parked one becomes pending again meanwhile.
    crate::vgic::send_sgi(&guest, &mut cpu, 1);
    let active = mmio::read(&guest, &mut cpu, GICR + 0x1_0300, 4).unwrap();
    assert_eq!(active, 0x7f);
    for sgi in (0..7).rev() {
        cpu.end(sgi);
        cpu.settle(&guest);
    }
    assert_eq!(cpu.acknowledge(), Some(0));
    cpu.end(0);
    assert!(!cpu.settle(&guest));
    assert_eq!(cpu.acknowledge(), None);
    assert_eq!(machine.borrow().cpus[0].maintenance, TRAP_DIR, "of a VM with two vPEs");
}

/// EOImode 1: all SGIs at one priority, dropped and not deactivated, come; each is deactivated by
/// its own number, and no device's interrupt with them.
#[test]
fn dropped_but_not_deactivated() {
    let machine = Machine::new(3);
    let (guest, mut cpu) = on(&machine);
    machine.borrow_mut().cpus[0].split = true;
    machine.borrow_mut().lines[40].pending = true;
    cpu.settle(&guest);
    assert_eq!(cpu.acknowledge(), Some(40));
    cpu.end(40);
    for sgi in 0..16 {
        crate::vgic::send_sgi(&guest, &mut cpu, sgi << 24 | 1);
    }
    cpu.settle(&guest);
    let mut taken = 0u32;
    while let Some(sgi) = cpu.acknowledge() {
        cpu.end(sgi);
        cpu.settle(&guest);
        taken |= 1 << sgi;
    }
    assert_eq!(taken, 0xffff);
    for sgi in [3, 15, 0, 7] {
        cpu.guest_deactivates(&guest, sgi);
        cpu.settle(&guest);
        taken &= !(1 << sgi);
        let active = mmio::read(&guest, &mut cpu, GICR + 0x1_0300, 4);
        assert_eq!(active, Some(u64::from(taken)), "after {sgi}");
        assert!(machine.borrow().lines[40].active, "another one's physical interrupt");
    }
    cpu.guest_deactivates(&guest, 40);
    assert!(!machine.borrow().lines[40].active);
    assert_eq!(mmio::read(&guest, &mut cpu, GICR + 0x1_0300, 4), Some(u64::from(taken)));
}

/// EOImode 1: an SPI is deactivated by another vPE than the one that took it.
#[test]
fn deactivated_by_another_vpe() {
    let machine = Machine::new(3);
    let [(first, mut one), (second, mut two)] = crate::testing::pair(&machine);
    for cpu in &mut machine.borrow_mut().cpus {
        cpu.split = true;
    }
    flush(&second, &mut two);
    machine.borrow_mut().lines[40].pending = true;
    one.settle(&first);
    assert_eq!(one.acknowledge(), Some(40));
    one.end(40);
    two.guest_deactivates(&second, 40);
    assert!(!machine.borrow().lines[40].active);
    machine.borrow_mut().lines[40].pending = true;
    one.settle(&first);
    assert_eq!(one.acknowledge(), Some(40), "it comes again");
}

/// A level that the guest ends before it quiets the device, with interrupts masked: it comes once,
/// as the line has fallen when the guest looks again. One that stays high comes again, and so does
/// what a register made pending.
#[test]
fn level_ended_before_the_device_is_quiet() {
    let machine = Machine::new(3);
    let (guest, mut cpu) = on(&machine);
    let level = |level| machine.borrow_mut().lines[41].level = level;
    let mask = |masked| machine.borrow_mut().cpus[0].masked = masked;
    for stays in [false, true] {
        level(true);
        cpu.settle(&guest);
        assert_eq!(cpu.acknowledge(), Some(41));
        mask(true);
        cpu.end(41);
        cpu.settle(&guest);
        level(stays);
        cpu.settle(&guest);
        mask(false);
        assert_eq!(cpu.acknowledge(), stays.then_some(41));
        assert_eq!(machine.borrow().lines[41].active, stays);
    }
    level(false);
    cpu.end(41);
    cpu.settle(&guest);
    mask(true);
    mmio::write(&guest, &mut cpu, GICD + 0x204, 4, 1 << 9);
    cpu.settle(&guest);
    assert_eq!(cpu.acknowledge(), Some(41), "by GICD_ISPENDR");
    cpu.end(41);
}

/// More pending than list registers: the rest waits, all of it comes once, and the overflow is
/// counted.
#[test]
fn all_list_registers_busy() {
    let machine = Machine::new(3);
    let (guest, mut cpu) = on(&machine);
    for sgi in 0..16 {
        crate::vgic::send_sgi(&guest, &mut cpu, sgi << 24 | 1);
    }
    assert!(guest.vpe.counters.get(Counter::Overflows) > 0);
    let mut taken = 0u32;
    while let Some(sgi) = cpu.acknowledge() {
        assert_eq!(taken & 1 << sgi, 0);
        taken |= 1 << sgi;
        cpu.end(sgi);
        cpu.settle(&guest);
    }
    assert_eq!(taken, 0xffff);
}

#[test]
fn short_paths_use_one_register_and_count() {
    let machine = Machine::new(3);
    let (guest, mut cpu) = on(&machine);
    crate::vgic::send_sgi(&guest, &mut cpu, 5 << 24 | 1);
    assert_eq!(cpu.entries()[1], ListReg::pending(IntId::new(5), 0));
    cpu.acknowledge();
    cpu.end(5);
    inject_spi(&guest, &mut cpu, 40);
    assert_eq!(cpu.entries()[1], ListReg::hardware(IntId::new(40), IntId::new(40), 0));
    inject_timer(&guest, &mut cpu);
    let timer = IntId::new(TIMER);
    assert_eq!(cpu.entries()[0], ListReg::hardware(timer, timer, 0));
    let counted = [Counter::InjectedSgi, Counter::InjectedSpi, Counter::InjectedTimer]
        .map(|c| guest.vpe.counters.get(c));
    assert_eq!(counted, [1, 1, 1]);
}

/// An interrupt that is the emulation's own and no level: it waits while it is off, comes once, and
/// follows its route.
#[test]
fn an_edge_of_the_emulation_s() {
    let machine = Machine::new(3);
    let (guest, mut cpu) = on(&machine);
    let bit = 1 << (WATCHDOG_INTID - 32);
    mmio::write(&guest, &mut cpu, GICD + 0x184, 4, bit);
    assert_eq!(raise(&guest.vm.distributor, guest.vpes, WATCHDOG_INTID), Some(0));
    deliver(&guest, &mut cpu);
    assert_eq!(cpu.acknowledge(), None, "it is off");
    mmio::write(&guest, &mut cpu, GICD + 0x104, 4, bit);
    // Listed, then off and on again.
    mmio::write(&guest, &mut cpu, GICD + 0x184, 4, bit);
    assert_eq!(cpu.acknowledge(), None);
    mmio::write(&guest, &mut cpu, GICD + 0x104, 4, bit);
    assert_eq!(cpu.acknowledge(), Some(WATCHDOG_INTID));
    cpu.end(WATCHDOG_INTID);
    cpu.settle(&guest);
    assert_eq!(cpu.acknowledge(), None, "once");
    mmio::write(&guest, &mut cpu, GICD + 0x6000 + 8 * u64::from(WATCHDOG_INTID), 8, 1);
    assert_eq!(raise(&guest.vm.distributor, guest.vpes, WATCHDOG_INTID), Some(1));
}

/// The physical timer has no list register of its own, and comes beside the virtual one.
#[test]
fn both_timers() {
    let machine = Machine::new(3);
    let (guest, mut cpu) = on(&machine);
    for (timer, priority) in [(TIMER, 0x80), (PHYSICAL_TIMER, 0x40)] {
        self::priority(&guest, &mut cpu, u64::from(timer), priority);
    }
    {
        let cpu = &mut machine.borrow_mut().cpus[0];
        (cpu.timer.level, cpu.physical.level) = (true, true);
    }
    assert!(cpu.settle(&guest));
    for (timer, register) in [(PHYSICAL_TIMER, 1), (TIMER, 0)] {
        assert_eq!(cpu.entries()[register].pintid(), Some(IntId::new(timer)));
    }
    for again in [true, false] {
        assert_eq!(cpu.acknowledge(), Some(PHYSICAL_TIMER));
        machine.borrow_mut().cpus[0].physical.level = again;
        cpu.end(PHYSICAL_TIMER);
        assert_eq!(cpu.settle(&guest), again, "a level that stands comes again");
    }
    assert_eq!(cpu.acknowledge(), Some(TIMER));
    assert_eq!(guest.vpe.counters.get(Counter::InjectedTimer), 3);
}

/// INTIDs beyond 255 survive.
#[test]
fn wide_intids() {
    let machine = Machine::new(3);
    let (guest, mut cpu) = on(&machine);
    inject_spi(&guest, &mut cpu, 0x11b);
    assert_eq!(cpu.entries()[1].vintid().value(), 0x11b);
    assert_eq!(cpu.entries()[1].pintid(), Some(IntId::new(0x11b)));
}
