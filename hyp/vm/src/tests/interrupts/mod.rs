// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Interrupts in any order against a naive model: none lost, none doubled, priorities hold.

mod model;
mod sgis;

use crate::{
    Guest, mmio,
    platform::{PhysicalGic, TRAP_DIR},
    power::Start,
    testing::{
        Cpu, GICD, GICR, Machine, PHYSICAL_TIMER, PMU, SPIS, TIMER, UART_INTID, WATCHDOG_INTID,
        guests,
    },
    vgic::{self, Distributor},
};
use core::cell::RefCell;
use model::{LEVEL, Model, PPIS, interrupts, is_level, owner};
use proptest::prelude::*;
use std::{vec, vec::Vec};

#[derive(Clone, Debug)]
enum Step {
    /// vPE sends SGI to a target list.
    Sgi {
        from: usize,
        intid: u32,
        list: u32,
    },
    /// An edge on an SPI.
    Edge(u32),
    /// A level-sensitive SPI's, the UART's or a PPI's line.
    Level(u32, usize, bool),
    /// The guest enables or disables.
    Enable(u32, usize, bool),
    /// vPE makes an SPI pending, or not pending: whoever has it.
    SetPending(usize, u32),
    ClearPending(usize, u32),
    /// vPE makes an SGI of vPE not pending.
    ClearSgi(usize, usize, u32),
    /// vPE routes an SPI to vPE.
    Route(usize, u32, usize),
    /// The second vPE goes off or comes back.
    Power(bool),
    Group(bool),
    /// vPE masks its interrupts, for a while.
    Mask(usize, bool),
    Acknowledge(usize),
    /// ICC_EOIR1_EL1 of the innermost one.
    End(usize),
    /// vPE deactivates an interrupt that vPE has active, and not in hand: by ICC_DIR_EL1 or, where
    /// that is not possible, by its number in GICD_ICACTIVER or GICR_ICACTIVER0.
    Deactivate(usize, usize, usize),
    /// vPE makes an interrupt of vPE active.
    SetActive(usize, usize, u32),
    /// vPE reads the pending and active SGIs and PPIs of vPE.
    Look(usize, usize),
}

struct World<'a> {
    guests: [Guest; 3],
    machine: &'a RefCell<Machine>,
    model: Model,
}

impl World<'_> {
    fn cpu(&self, index: usize) -> Cpu<'_> {
        Cpu { machine: self.machine, index }
    }

    fn write(&self, vpe: usize, ipa: u64, bytes: u32, value: u64) {
        assert_eq!(
            mmio::write(&self.guests[vpe], &mut self.cpu(vpe), ipa, bytes, value),
            mmio::Written::Done
        );
    }

    fn settle(&mut self) {
        for round in 0.. {
            assert!(round < 100, "exits without end");
            let mut moved = false;
            for index in 0..2 {
                moved |= if index == 1 && self.model.off {
                    self.cpu(index).settle_off(&self.guests[index])
                } else {
                    self.cpu(index).settle(&self.guests[index])
                };
            }
            if !moved {
                break;
            }
        }
        self.model.settle();
    }

    fn enable(&mut self, intid: u32, vpe: usize, on: bool) {
        let (bank, word) = (if on { 0x100 } else { 0x180 }, u64::from(intid / 32));
        let ipa = if intid < 32 {
            GICR + (vpe as u64) * 0x2_0000 + 0x1_0000 + bank
        } else {
            GICD + bank + 4 * word
        };
        // Private interrupts of either vPE are switched by vPE 0: across CPUs half of the time.
        self.write(0, ipa, 4, 1 << (intid % 32));
        self.model.at(vpe, intid).enabled = on;
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Sgi { from, intid, list } => {
                let from = self.other_if_off(from);
                vgic::send_sgi(
                    &self.guests[from],
                    &mut self.cpu(from),
                    u64::from(intid) << 24 | u64::from(list),
                );
                for vpe in (0..2).filter(|vpe| list & 1 << vpe != 0) {
                    self.model.at(vpe, intid).pending = true;
                }
            }
            Step::Edge(intid) => {
                self.machine.borrow_mut().lines[intid as usize].pending = true;
                self.edge(intid);
            }
            Step::SetPending(vpe, intid) => {
                self.write(self.other_if_off(vpe), bank(0x200, intid), 4, 1 << (intid % 32));
                self.edge(intid);
            }
            Step::ClearPending(vpe, intid) => {
                self.write(self.other_if_off(vpe), bank(0x280, intid), 4, 1 << (intid % 32));
                let state = self.model.at(0, intid);
                (state.pending, state.again) = (false, false);
            }
            Step::ClearSgi(from, vpe, intid) => {
                let ipa = GICR + (vpe as u64) * 0x2_0000 + 0x1_0280;
                self.write(self.other_if_off(from), ipa, 4, 1 << intid);
                self.model.at(vpe, intid).pending = false;
            }
            Step::Route(from, intid, to) => self.route(self.other_if_off(from), intid, to),
            Step::Power(on) => self.power(on),
            Step::Level(intid, vpe, level) => {
                match intid {
                    TIMER => self.machine.borrow_mut().cpus[vpe].timer.level = level,
                    PHYSICAL_TIMER => self.machine.borrow_mut().cpus[vpe].physical.level = level,
                    PMU => self.machine.borrow_mut().cpus[vpe].pmu.level = level,
                    UART_INTID => {
                        let guest = &self.guests[vpe];
                        if let Some(number) = guest.vm.distributor.set_line(guest.vpes, level) {
                            self.machine.borrow_mut().cpus[number].kicked = true;
                        }
                    }
                    _ => self.machine.borrow_mut().lines[intid as usize].level = level,
                }
                self.model.at(vpe, intid).level = level;
            }
            Step::Enable(intid, vpe, on) => self.enable(intid, vpe, on),
            Step::Group(on) => {
                self.write(self.other_if_off(1), GICD, 4, if on { 2 } else { 0 });
                self.model.group = on;
            }
            Step::Mask(vpe, on) => self.machine.borrow_mut().cpus[vpe].masked = on,
            Step::Acknowledge(vpe) => self.acknowledge(vpe),
            Step::End(vpe) => self.end(vpe),
            Step::Deactivate(from, vpe, n) => self.deactivate(from, vpe, n),
            Step::SetActive(from, vpe, intid) => {
                self.set_active(self.other_if_off(from), vpe, intid)
            }
            Step::Look(from, vpe) => self.look(self.other_if_off(from), vpe),
        }
        self.settle();
    }

    fn deactivate(&mut self, from: usize, vpe: usize, n: usize) {
        let idle = &mut self.model.idle[vpe];
        if idle.is_empty() {
            return;
        }
        let intid = idle.remove(n % idle.len());
        let from = self.other_if_off(from);
        if self.model.split[from] && (intid >= 32 || from == vpe) {
            self.cpu(from).guest_deactivates(&self.guests[from], intid);
        } else {
            self.write(from, private_or(0x380, intid, vpe), 4, 1 << (intid % 32));
        }
        self.model.at(vpe, intid).active = false;
    }

    /// An SPI by the vPE that it goes to: one that waits in another's list registers is on its way.
    fn set_active(&mut self, from: usize, vpe: usize, intid: u32) {
        let holder = self.model.route.get(&intid).copied().unwrap_or(vpe);
        if intid >= 32 && holder != from || self.model.off && holder == 1 {
            return;
        }
        self.write(from, private_or(0x300, intid, holder), 4, 1 << (intid % 32));
        let state = self.model.at(holder, intid);
        if core::mem::replace(&mut state.active, true) {
            return;
        }
        state.again = false;
        state.pending &= !is_level(intid);
        self.model.idle[holder].push(intid);
    }

    fn read(&mut self, from: usize, ipa: u64) -> u32 {
        for round in 0.. {
            assert!(round < 10, "no answer");
            if let Some(value) = mmio::read(&self.guests[from], &mut self.cpu(from), ipa, 4) {
                return value as u32;
            }
            assert!(mmio::again(&self.guests[from]), "refused");
            self.settle();
        }
        unreachable!()
    }

    fn look(&mut self, from: usize, vpe: usize) {
        let pending = self.read(from, private_or(0x200, 0, vpe));
        let active = self.read(from, private_or(0x300, 0, vpe));
        for intid in 0..8 {
            let state = *self.model.at(vpe, intid);
            let bits = (pending >> intid & 1 != 0, active >> intid & 1 != 0);
            assert_eq!(
                bits,
                (state.pending, state.active),
                "SGI {intid} of vPE {vpe}, by vPE {from}"
            );
        }
        for intid in PPIS {
            let state = *self.model.at(vpe, intid);
            assert_eq!(active >> intid & 1 != 0, state.active, "PPI {intid} of vPE {vpe}");
            assert!(pending >> intid & 1 != 0 || !state.level, "a high level is pending");
        }
    }

    /// A vPE that is off accesses nothing.
    fn other_if_off(&self, vpe: usize) -> usize {
        if self.model.off { 0 } else { vpe }
    }

    fn edge(&mut self, intid: u32) {
        let group = self.model.group;
        let state = self.model.at(0, intid);
        state.again |= group && state.enabled && state.pending && !state.active;
        state.pending = true;
    }

    fn route(&mut self, from: usize, intid: u32, to: usize) {
        self.write(from, GICD + 0x6000 + 8 * u64::from(intid), 8, to as u64);
        if self.model.route.insert(intid, to) != Some(to) {
            self.model.returned(intid);
        }
    }

    /// CPU_OFF and CPU_ON of the second vPE, as the image does them. It goes off with nothing in
    /// its hands.
    fn power(&mut self, on: bool) {
        let busy = !self.model.active[1].is_empty() || !self.model.idle[1].is_empty();
        if on != self.model.off || busy {
            return;
        }
        let (guest, mut cpu) = (self.guests[1], self.cpu(1));
        if on {
            start(&guest);
            cpu.enable_ppis(guest.vpe_index(1), guest.enabled_ppis(), true);
            vgic::flush(&guest, &mut cpu);
        } else {
            vgic::turn_off(&guest, &mut cpu);
            cpu.enable_ppis(guest.vpe_index(1), guest.config.ppis, false);
            assert!(cpu.entries().iter().all(|entry| entry.is_free()));
            guest.vpe.power.turn_off();
            for intid in interrupts() {
                if self.model.route.get(&intid) == Some(&1) {
                    self.model.returned(intid);
                }
            }
            for intid in PPIS {
                self.model.at(1, intid).pending = false;
            }
        }
        self.model.off = !on;
    }

    fn acknowledge(&mut self, vpe: usize) {
        if vpe == 1 && self.model.off {
            return;
        }
        let (best, certain) = (self.model.best(vpe, false), self.model.best(vpe, true));
        let taken = self.cpu(vpe).acknowledge();
        if best != certain && taken != Some(LEVEL) {
            self.model.at(vpe, LEVEL).pending = false;
        }
        let best = if taken == Some(LEVEL) { best } else { certain };
        let Some(intid) = taken else {
            assert_eq!(best, None, "vPE {vpe} was owed an interrupt: {:?}", self.model.table);
            return;
        };
        let state = self.model.at(vpe, intid);
        assert!(
            state.pending && state.enabled && !state.active,
            "vPE {vpe} got {intid} out of nowhere: {state:?}"
        );
        state.pending = core::mem::take(&mut state.again);
        state.active = true;
        assert_eq!(Some(state.priority), best, "vPE {vpe} got {intid} before its turn");
        self.model.active[vpe].push(intid);
    }

    fn end(&mut self, vpe: usize) {
        let Some(intid) = self.model.active[vpe].pop() else { return };
        self.cpu(vpe).end(intid);
        if self.model.split[vpe] {
            self.model.idle[vpe].push(intid);
        } else {
            self.model.at(vpe, intid).active = false;
        }
    }
}

/// The same for an SPI, or in the redistributor of `vpe`.
fn private_or(first: u64, intid: u32, vpe: usize) -> u64 {
    if intid >= 32 { bank(first, intid) } else { GICR + (vpe as u64) * 0x2_0000 + 0x1_0000 + first }
}

/// Address of the GICD register of a bit for each interrupt.
fn bank(first: u64, intid: u32) -> u64 {
    GICD + first + 4 * u64::from(intid / 32)
}

fn start(guest: &Guest) {
    let _ = guest.vpe.power.turn_on(Start { entry: 0, context: 0 });
    guest.vpe.power.take_start();
}

fn world<'a>(machine: &'a RefCell<Machine>, priorities: &[u8], split: [bool; 2]) -> World<'a> {
    let world = World { guests: guests(), machine, model: Model::new(priorities, split) };
    for (cpu, split) in machine.borrow_mut().cpus.iter_mut().zip(split) {
        cpu.split = split;
    }
    world.guests[..2].iter().for_each(start);
    world.write(0, GICD, 4, 2);
    for (n, intid) in interrupts().into_iter().enumerate() {
        let value = u64::from(priorities[n]);
        if intid >= 32 {
            world.write(0, GICD + 0x400 + u64::from(intid), 1, value);
        } else {
            world.write(0, GICR + 0x1_0400 + u64::from(intid), 1, value);
            world.write(1, GICR + 0x3_0400 + u64::from(intid), 1, value);
        }
    }
    world
}

fn steps() -> impl Strategy<Value = Step> {
    let every = prop::sample::select(interrupts());
    let every_again = every.clone();
    let spi = prop::sample::select(vec![40u32, 42, 70]);
    let level = prop::sample::select(vec![41u32, TIMER, PHYSICAL_TIMER, PMU, UART_INTID]);
    let shared = prop::sample::select(vec![40u32, 41, 42, 70, UART_INTID]);
    let hardware = prop::sample::select(SPIS.to_vec());
    prop_oneof![
        6 => (0..2usize, 0..8u32, 0..4u32).prop_map(|(from, intid, list)| Step::Sgi { from, intid, list }),
        3 => spi.clone().prop_map(Step::Edge),
        3 => (level, 0..2usize, any::<bool>()).prop_map(|(intid, vpe, level)| Step::Level(intid, vpe, level)),
        2 => (every, 0..2usize, prop::bool::weighted(0.7)).prop_map(|(intid, vpe, on)| Step::Enable(intid, owner(intid, vpe), on)),
        1 => prop::bool::weighted(0.8).prop_map(Step::Group),
        1 => (0..2usize, spi).prop_map(|(vpe, intid)| Step::SetPending(vpe, intid)),
        2 => (0..2usize, hardware).prop_map(|(vpe, intid)| Step::ClearPending(vpe, intid)),
        1 => (0..2usize, 0..2usize, 0..8u32).prop_map(|(from, vpe, intid)| Step::ClearSgi(from, vpe, intid)),
        2 => (0..2usize, shared, 0..2usize).prop_map(|(from, intid, to)| Step::Route(from, intid, to)),
        1 => any::<bool>().prop_map(Step::Power),
        1 => (0..2usize, any::<bool>()).prop_map(|(vpe, on)| Step::Mask(vpe, on)),
        8 => (0..2usize).prop_map(Step::Acknowledge),
        6 => (0..2usize).prop_map(Step::End),
        4 => (0..2usize, 0..2usize, 0..32usize).prop_map(|(from, vpe, n)| Step::Deactivate(from, vpe, n)),
        1 => (0..2usize, 0..2usize, every_again).prop_map(|(from, vpe, intid)| Step::SetActive(from, vpe, intid)),
        1 => (0..2usize, 0..2usize).prop_map(|(from, vpe)| Step::Look(from, vpe)),
    ]
}

fn priorities() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec((0..31u8).prop_map(|priority| priority << 3), interrupts().len())
}

/// Lines of PPIs and of the UART belong to one vPE each; a level step names its owner.
fn owned(step: Step) -> Step {
    match step {
        Step::Level(intid, vpe, level) => Step::Level(intid, owner(intid, vpe), level),
        step => step,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_lost_nothing_doubled(
        priorities in priorities(),
        split in any::<[bool; 2]>(),
        steps in prop::collection::vec(steps(), 1..200),
    ) {
        let machine = Machine::new(3);
        let mut world = world(&machine, &priorities, split);
        for intid in interrupts() {
            for vpe in 0..2 {
                if owner(intid, vpe) == vpe {
                    world.enable(intid, vpe, true);
                }
            }
        }
        world.settle();
        for step in steps {
            world.step(&owned(step));
        }
        // Quiet, everything on, and taken until nothing is left.
        for vpe in 0..2 {
            for intid in [41, TIMER, PHYSICAL_TIMER, PMU, UART_INTID] {
                world.step(&owned(Step::Level(intid, vpe, false)));
            }
        }
        world.step(&Step::Power(true));
        world.step(&Step::Group(true));
        for (vpe, intid) in world.model.table.keys().copied().collect::<Vec<_>>() {
            world.step(&Step::Enable(intid, vpe, true));
        }
        for _ in 0..200 {
            for vpe in 0..2 {
                world.step(&Step::Acknowledge(vpe));
                world.step(&Step::End(vpe));
                world.step(&Step::Deactivate(vpe, vpe, 0));
            }
        }
        for ((vpe, intid), state) in &world.model.table {
            prop_assert!(!state.pending && !state.active, "{intid} of vPE {vpe} was lost: {state:?}");
        }
        let machine = machine.borrow();
        prop_assert!(machine.lines.iter().all(|line| !line.active && !line.pending), "the hardware \
             is left in between");
        for cpu in &machine.cpus {
            prop_assert!(cpu.registers.iter().all(|bits| bits >> 62 == 0));
            prop_assert_eq!(cpu.maintenance & !TRAP_DIR, 0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Enables and the group switch against a set of flags.
    #[test]
    fn enables_as_in_a_naive_model(writes in prop::collection::vec((0..3u32, 0..4u32, any::<u32>()), 0..40)) {
        let machine = Machine::new(3);
        let mut cpu = Cpu { machine: &machine, index: 0 };
        let [guest, ..] = guests();
        let mut enabled = vec![false; 1024];
        let mut group = false;
        for (kind, word, bits) in writes {
            match kind {
                0 => {
                    group = bits & 2 != 0;
                    Distributor::write(&guest, &mut cpu, 0, 4, u64::from(bits));
                }
                _ => {
                    let bank = if kind == 1 { 0x100 } else { 0x180 };
                    Distributor::write(&guest, &mut cpu, bank + 4 * word, 4, u64::from(bits));
                    for n in (0..32).filter(|n| bits & 1 << n != 0) {
                        enabled[(word * 32 + n) as usize] = kind == 1;
                    }
                }
            }
            for intid in 0..128u32 {
                let own = SPIS.contains(&intid) || [UART_INTID, WATCHDOG_INTID].contains(&intid);
                let bit = Distributor::read(&guest, &cpu, 0x100 + 4 * (intid / 32), 4).unwrap_or(0) >> (intid % 32) & 1 != 0;
                prop_assert_eq!(bit, own && enabled[intid as usize]);
                let physical = machine.borrow().lines[intid as usize].enabled;
                prop_assert_eq!(physical, SPIS.contains(&intid) && enabled[intid as usize] && group);
            }
        }
    }
}
