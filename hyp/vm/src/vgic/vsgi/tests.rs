// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Of `vsgi.rs`. tests/interrupts/sgis.rs compares histories with those of list registers.

use super::*;
use crate::{
    mmio,
    platform::PhysicalIts,
    power::Start,
    testing::{Cpu, GICD, GICR, Machine, SgiGic, guests_of, plan_v41, write},
    vgic,
};
use core::cell::RefCell;

const SECOND: u64 = GICR + 0x2_0000;
const ISENABLER: u64 = 0x1_0100;
const ICENABLER: u64 = 0x1_0180;
const ISPENDR: u64 = 0x1_0200;

fn machine() -> RefCell<Machine> {
    let machine = Machine::new(3);
    machine.borrow_mut().sgis = Some(SgiGic::new());
    machine
}

/// Both vPEs on, and the guest has its SGIs from the GIC.
fn pair(machine: &RefCell<Machine>) -> [(Guest, Cpu<'_>); 2] {
    let [first, second, _] = guests_of(plan_v41());
    let mut cpu = Cpu { machine, index: 0 };
    for guest in [first, second] {
        let _ = guest.vpe.power.turn_on(Start { entry: 0, context: 0 });
        guest.vpe.power.take_start();
    }
    write(&first, &mut cpu, GICD, 4, 0x102);
    machine.borrow_mut().cpus[1].kicked = false;
    [(first, cpu), (second, Cpu { machine, index: 1 })]
}

fn read(guest: &Guest, cpu: &mut Cpu, ipa: u64) -> u32 {
    mmio::read(guest, cpu, ipa, 4).expect("a word") as u32
}

fn commands(machine: &RefCell<Machine>) -> usize {
    core::mem::take(&mut machine.borrow_mut().sgis.as_mut().unwrap().commands)
}

fn clean(machine: &RefCell<Machine>) {
    machine.borrow().sgis.as_ref().unwrap().clean();
}

#[test]
fn asked_for_while_the_group_is_off() {
    let machine = machine();
    let [guest, _, single] = guests_of(plan_v41());
    let mut cpu = Cpu { machine: &machine, index: 0 };
    assert_eq!(read(&guest, &mut cpu, GICD + 0xc), 1 << 8, "nASSGIcap");
    assert_eq!(read(&single, &mut cpu, GICD + 0xc), 0, "a single vPE");
    for (value, reads) in [
        (2, 0x52),
        (0x102, 0x52),
        (0x100, 0x50),
        (0x100, 0x150),
        (0, 0x50),
        (0x102, 0x152),
        (2, 0x152),
        (0, 0x150),
    ] {
        write(&guest, &mut cpu, GICD, 4, value);
        assert_eq!(read(&guest, &mut cpu, GICD), reads, "after {value:#x}");
    }
    write(&single, &mut cpu, GICD, 4, 0x102);
    assert_eq!(read(&single, &mut cpu, GICD), 0x52);
    assert_eq!(commands(&machine), 0, "nothing was enabled");
    clean(&machine);
}

#[test]
fn no_list_register_and_no_kick() {
    let machine = machine();
    let [(first, mut one), (second, two)] = pair(&machine);
    write(&first, &mut one, SECOND + ISENABLER, 4, 1 << 3);
    assert_eq!(commands(&machine), 2, "VSGI and VSYNC");
    let told = core::mem::take(&mut machine.borrow_mut().cpus[1].kicked);
    assert!(told, "it may have been pending");
    assert!(vgic::try_send_sgi(&first, &mut one, 3 << 24 | 2));
    let kicked = machine.borrow().cpus[1].kicked;
    assert_eq!((kicked, commands(&machine)), (false, 0));
    assert!(two.entries().iter().all(|entry| entry.is_free()));
    assert_eq!(two.acknowledge(), Some(3));
    two.end(3);
    assert_eq!(machine.borrow().cpus[1].eoi_count, 1, "it has not flushed yet");
    vgic::flush(&second, &mut { two });
    vgic::send_sgi(&first, &mut one, 1 << 40 | 3 << 24);
    assert_eq!(two.acknowledge(), Some(3));
    two.end(3);
    assert_eq!(machine.borrow().cpus[1].eoi_count, 1);
    assert_eq!(read(&first, &mut one, GICR + 0x1_0300), 0, "no active state");
    write(&first, &mut one, GICR + 0x1_0300, 4, 1 << 3);
    assert_eq!(read(&first, &mut one, GICR + 0x1_0300), 0);
    clean(&machine);
}

/// Four bits of priority, and what was pending before the guest asked comes along.
#[test]
fn what_was_there_before() {
    let machine = machine();
    let [first, ..] = guests_of(plan_v41());
    let mut one = Cpu { machine: &machine, index: 0 };
    write(&first, &mut one, GICR + 0x1_0404, 4, 0x6868_6868);
    write(&first, &mut one, GICR + ISENABLER, 4, 1 << 5);
    write(&first, &mut one, GICR + ISPENDR, 4, 1 << 5);
    write(&first, &mut one, GICD, 4, 0x102);
    assert_eq!(read(&first, &mut one, GICR + 0x1_0404), 0x6060_6060);
    assert_eq!(read(&first, &mut one, GICR + ISPENDR), 1 << 5);
    let signal = machine.borrow().sgis.as_ref().unwrap().signal(0).expect("it came along");
    assert_eq!((signal.intid.value(), signal.priority), (5, 0x60));
    write(&first, &mut one, GICR + 0x1_0405, 1, 0x38);
    assert_eq!(machine.borrow().sgis.as_ref().unwrap().signal(0).unwrap().priority, 0x30);
    write(&first, &mut one, GICD, 4, 0);
    assert_eq!(machine.borrow().sgis.as_ref().unwrap().signal(0), None, "the group is off");
    write(&first, &mut one, GICD, 4, 0);
    write(&first, &mut one, GICD, 4, 2);
    one.settle(&first);
    assert_eq!((one.entries()[1].vintid().value(), one.acknowledge()), (5, Some(5)), "and back");
    clean(&machine);
}

/// Another vPE changes the enable between the change here and its command.
#[test]
fn the_last_one_who_enables_decides() {
    for after in 0..4 {
        for (mine, theirs) in [(ISENABLER, ICENABLER), (ICENABLER, ISENABLER)] {
            let machine = machine();
            let [(first, mut one), (second, _)] = pair(&machine);
            if mine == ICENABLER {
                write(&first, &mut one, GICR + ISENABLER, 4, 1 << 3);
            }
            machine.borrow_mut().meanwhile = Some((after, second, GICR + theirs, 1 << 3));
            write(&first, &mut one, GICR + mine, 4, 1 << 3);
            vgic::send_sgi(&first, &mut one, 3 << 24 | 1);
            let enabled = read(&first, &mut one, GICR + ISENABLER) & 1 << 3 != 0;
            assert_eq!(one.acknowledge(), enabled.then_some(3), "after {after} of {mine:#x}");
            clean(&machine);
        }
    }
}

/// A store that needs commands is taken out of the allowance; sending is not.
#[test]
fn commands_have_a_limit() {
    let machine = machine();
    let [(first, mut one), _] = pair(&machine);
    let mut stores = 0;
    let time = loop {
        let ipa = GICR + if stores % 2 == 0 { ISENABLER } else { ICENABLER };
        match mmio::write(&first, &mut one, ipa, 4, 1) {
            Written::Done => stores += 1,
            Written::Later(time) => break time,
            other => panic!("{other:?}"),
        }
        assert!(stores < 100, "there is no limit");
    };
    assert_eq!(stores, first.config.its_allowance.most as usize);
    vgic::send_sgi(&first, &mut one, 1);
    let later = |one: &mut Cpu, ipa| mmio::write(&first, one, ipa, 4, 0) == Written::Later(time);
    assert!(later(&mut one, GICD) && later(&mut one, GICR + 0x1_0400));
    assert!(!later(&mut one, GICR + 0x1_0404 + 0xc), "a PPI's priority needs none");
    machine.borrow_mut().ticks = time;
    assert_eq!(mmio::write(&first, &mut one, GICR + ISENABLER, 4, 1), Written::Done);
    clean(&machine);
}

/// Of a VM that starts again nothing is enabled or pending, whoever asked for what.
#[test]
fn a_restart_puts_all_back() {
    let machine = machine();
    let [(first, mut one), _] = pair(&machine);
    for frame in [GICR, SECOND] {
        write(&first, &mut one, frame + ISENABLER, 4, 0xff);
        write(&first, &mut one, frame + ISPENDR, 4, 0xffff);
        machine.borrow_mut().ticks += 1_000_000;
    }
    let (mut retreat, mut waits) = (Retreat::default(), 0);
    while let Some(step) = retreat.step(&first, &mut one) {
        if let Err(time) = step {
            machine.borrow_mut().ticks = time;
            waits += 1;
        }
    }
    assert!(waits > 0);
    first.vm.reset(first.plan, first.config);
    first.vpes.iter().for_each(crate::VpeState::reset);
    for number in 0..2 {
        assert_eq!(one.pending_sgis(first.vpe_index(number)), 0);
        (0..16).for_each(|sgi| one.send_sgi(first.vpe_index(number), sgi));
        assert_eq!(machine.borrow().sgis.as_ref().unwrap().signal(number), None);
    }
    assert_eq!(Retreat::default().step(&first, &mut one), None, "it has not asked since");
    clean(&machine);
}
