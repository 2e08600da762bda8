// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A mode's switch on the software GIC: what comes before, during and after it reaches its vPE
//! once, by its new CPU.

use codegen::plan::{EventRoute, Plan, VpeIndex};
use gicv4::command::Command;
use gicv4::lpi::{ConfigTable, LpiConfig};
use gicv4::model::Gic;
use gicv4::{DeviceId, EventId, IntId};

use crate::software::{self, Machine};
use crate::stand_in;

struct World<'a> {
    plan: &'a Plan,
    gic: Gic,
    machine: Machine,
}

impl<'a> World<'a> {
    fn new(plan: &'a Plan) -> Self {
        let mut machine = software::boot(plan);
        let gic = machine.gic.clone();
        // On GICv4.1 the doorbell rings for a vPE that left and waits, and for no other.
        for (n, vpe) in plan.vpes.iter().enumerate().filter(|(_, vpe)| vpe.tables.is_some()) {
            if plan.v41().is_some() {
                machine.visit(plan, VpeIndex::at(n), vpe.cpu.value(), |_| ());
            }
        }
        Self { plan, gic, machine }
    }

    fn run(&mut self, command: [u64; 4]) {
        self.machine.queue.run_words(&[command]).unwrap();
    }

    fn raise(&self, event: &EventRoute) {
        self.gic.msi(DeviceId::new(event.device), EventId::new(event.event)).unwrap();
    }

    /// Every doorbell unmasked: CPU and INTID of those that ring.
    fn doorbells(&mut self) -> Vec<(usize, u32)> {
        let its = self.plan.its.as_ref().unwrap();
        let masked = self.plan.v41().is_none();
        for tables in self.plan.vpes.iter().filter_map(|vpe| vpe.tables).filter(|_| masked) {
            let mut config =
                self.gic.config_table(its.lpi_config.base.value(), its.lpi_config.bytes as u32);
            config.store(IntId::new(tables.doorbell.intid), LpiConfig::new(0xa0, true));
            config.publish();
            let device = DeviceId::new(tables.doorbell.device);
            self.run(Command::Inv { device, event: EventId::new(tables.doorbell.event) }.encode());
        }
        self.gic.settle();
        let mut rung = Vec::new();
        for cpu in 0..self.plan.cpus.len() {
            while let Some(signal) = self.gic.acknowledge(cpu as u16) {
                rung.push((cpu, signal.intid.value()));
            }
        }
        rung.sort();
        rung
    }

    /// What the vPE finds when it becomes resident on `cpu`.
    fn visit(&mut self, vpe: usize, cpu: usize) -> Vec<u32> {
        let mut found = Vec::new();
        self.machine.visit(self.plan, VpeIndex::at(vpe), cpu as u16, |gic| {
            while let Some(signal) = gic.acknowledge_virtual(cpu as u16) {
                found.push(signal.intid.value());
            }
        });
        found.sort();
        found
    }
}

/// Where the ITS knows the vPE in a mode.
fn home(plan: &Plan, mode: usize, vpe: usize) -> usize {
    let place = plan.modes.as_ref().unwrap().modes[mode].placements[vpe];
    place.map_or(plan.vpes[vpe].cpu, |place| place.cpu).index()
}

/// From mode 0 by `from` to `to`; every second event comes before the last switch, the others after
/// `position` of its commands, and one event of each kind both times.
fn switch(plan: &Plan, from: usize, to: usize, position: usize) {
    let modes = &plan.modes.as_ref().unwrap().modes;
    let mut world = World::new(plan);
    for line in &modes[0].switches[from].script {
        world.run(line.words.map(|word| word.0));
    }
    let script = &modes[from].switches[to].script;
    for event in plan.events.iter().step_by(2) {
        world.raise(event);
    }
    for (n, line) in script.iter().enumerate() {
        if n == position {
            plan.events.iter().skip(1).for_each(|event| world.raise(event));
        }
        world.run(line.words.map(|word| word.0));
    }
    if position == script.len() {
        plan.events.iter().skip(1).for_each(|event| world.raise(event));
    }
    assert_eq!((world.gic.take_errors(), world.gic.take_violations()), (vec![], vec![]));
    let mut expected: Vec<(usize, u32)> = (0..plan.vpes.len())
        .filter(|&vpe| plan.events.iter().any(|event| event.vpe == VpeIndex::at(vpe)))
        .map(|vpe| (home(plan, to, vpe), plan.vpes[vpe].tables.unwrap().doorbell.intid))
        .collect();
    expected.sort();
    assert_eq!(world.doorbells(), expected, "{from} to {to}, {position}");
    for vpe in (0..plan.vpes.len()).filter(|&vpe| plan.vpes[vpe].tables.is_some()) {
        let own = plan.events.iter().filter(|event| event.vpe == VpeIndex::at(vpe));
        let mut all: Vec<u32> = own.map(|event| event.vintid).collect();
        all.sort();
        assert_eq!(world.visit(vpe, home(plan, to, vpe)), all, "{from} to {to}, {position}");
    }
    assert_eq!((world.gic.take_errors(), world.gic.take_violations()), (vec![], vec![]));
}

/// Every switch, with events at every position of its script.
fn all(plan: &Plan) {
    let modes = &plan.modes.as_ref().unwrap().modes;
    for (from, mode) in modes.iter().enumerate() {
        for (to, way) in mode.switches.iter().enumerate().filter(|(to, _)| *to != from) {
            assert!(way.script.len() <= 4 * way.moves.len());
            for position in 0..=way.script.len() {
                switch(plan, from, to, position);
            }
        }
    }
}

#[test]
fn no_event_is_lost_and_none_comes_twice() {
    all(&stand_in::at(stand_in::MODES));
}

#[test]
fn no_event_is_lost_on_a_gicv41() {
    all(&stand_in::of_v41(stand_in::MODES, false));
}

#[test]
fn a_doorbell_that_is_moved_too_early_is_lost() {
    let mut plan = stand_in::at(stand_in::MODES);
    for mode in &mut plan.modes.as_mut().unwrap().modes {
        for switch in &mut mode.switches {
            switch.script.sort_by_key(|line| !line.text.starts_with("MOVI"));
        }
    }
    assert!(std::panic::catch_unwind(|| all(&plan)).is_err());
}
