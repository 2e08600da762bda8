// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Random histories: the driver on the model against a naive reference, and long runs in which
//! nothing may be lost or doubled.

mod common;

use common::*;
use gicv4::command::Command;
use gicv4::doorbell::{Doorbell, Todo};
use gicv4::lpi::LpiConfig;
use gicv4::model::{Config, VlpiFrame};
use gicv4::vpe::{NonResident, Resident, Vacant};
use gicv4::vpe41::{NonResidentV41, Reason, ResidentV41, VacantV41};
use gicv4::{CollectionId, IntId};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const EVENTS: u32 = 5;
const VPES: u16 = 3;
const CPUS: u16 = 2;

#[derive(Clone, Debug)]
enum Op {
    Event(u32),
    Int(u32),
    Clear(u32),
    Discard(u32),
    Map {
        event: u32,
        vintid: u32,
        vpe: u16,
    },
    MoveEvent {
        event: u32,
        vpe: u16,
    },
    /// VMOVP, and the doorbell with it.
    MoveVpe {
        vpe: u16,
        cpu: u16,
    },
    Configure {
        vpe: u16,
        vintid: u32,
        config: LpiConfig,
    },
    Inv(u32),
    Vinvall(u16),
    Unmask(u16),
    Mask(u16),
    /// The vPE becomes resident where it is mapped, if nobody is there.
    Enter(u16),
    Leave(u16),
    Take(u16),
    Interrupt(u16),
}

fn ops() -> impl Strategy<Value = Op> {
    let (event, vpe, cpu, vintid) = (0..EVENTS, 0..VPES, 0..CPUS, 0u32..4);
    let config =
        (0u8..3, any::<bool>()).prop_map(|(n, enabled)| LpiConfig::new(0x40 + 0x20 * n, enabled));
    prop_oneof![
        6 => event.clone().prop_map(Op::Event),
        2 => event.clone().prop_map(Op::Int),
        1 => event.clone().prop_map(Op::Clear),
        1 => event.clone().prop_map(Op::Discard),
        4 => (event.clone(), vintid.clone(), vpe.clone())
            .prop_map(|(event, vintid, vpe)| Op::Map { event, vintid, vpe }),
        2 => (event.clone(), vpe.clone()).prop_map(|(event, vpe)| Op::MoveEvent { event, vpe }),
        2 => (vpe.clone(), cpu.clone()).prop_map(|(vpe, cpu)| Op::MoveVpe { vpe, cpu }),
        2 => (vpe.clone(), vintid, config).prop_map(|(vpe, vintid, config)| Op::Configure { vpe, vintid, config }),
        2 => event.prop_map(Op::Inv),
        1 => vpe.clone().prop_map(Op::Vinvall),
        2 => vpe.clone().prop_map(Op::Unmask),
        1 => vpe.clone().prop_map(Op::Mask),
        4 => vpe.prop_map(Op::Enter),
        3 => cpu.clone().prop_map(Op::Leave),
        5 => cpu.clone().prop_map(Op::Take),
        3 => cpu.prop_map(Op::Interrupt),
    ]
}

/// What a person would write down.
struct Reference {
    events: BTreeMap<u32, (u32, u16)>,
    pending: BTreeSet<(u16, u32)>,
    home: [u16; VPES as usize],
    resident: [Option<u16>; CPUS as usize],
    memory: BTreeMap<(u16, u32), LpiConfig>,
    /// Configuration that the GIC works with, of resident vPEs.
    seen: BTreeMap<(u16, u32), LpiConfig>,
    unmasked: [bool; VPES as usize],
    rung: BTreeSet<u16>,
}

impl Reference {
    fn new() -> Self {
        Self {
            events: BTreeMap::new(),
            pending: BTreeSet::new(),
            home: [0; VPES as usize],
            resident: [None; CPUS as usize],
            memory: (0..VPES)
                .flat_map(|v| (0..4).map(move |n| ((v, n), LpiConfig::new(PRIORITY, true))))
                .collect(),
            seen: BTreeMap::new(),
            unmasked: [false; VPES as usize],
            rung: BTreeSet::new(),
        }
    }
    fn is_resident(&self, vpe: u16) -> bool {
        self.resident.contains(&Some(vpe))
    }
    fn raise(&mut self, vpe: u16, vintid: u32) {
        self.pending.insert((vpe, vintid));
        if !self.is_resident(vpe) {
            self.rung.insert(vpe);
        }
    }
    fn look(&mut self, vpe: u16) {
        for n in 0..4 {
            self.seen.insert((vpe, n), self.memory[&(vpe, n)]);
        }
    }
    fn offers(&self, vpe: u16) -> Option<u32> {
        let enabled =
            self.pending.iter().filter(|(v, n)| *v == vpe && self.seen[&(vpe, *n)].enabled());
        enabled.map(|(_, n)| (self.seen[&(vpe, *n)].priority(), *n)).min().map(|(_, n)| n)
    }
    fn interrupt(&mut self, cpu: u16) -> Option<IntId> {
        let calls =
            |vpe: &u16| self.home[usize::from(*vpe)] == cpu && self.unmasked[usize::from(*vpe)];
        let vpe = self.rung.iter().copied().find(calls)?;
        self.rung.remove(&vpe);
        Some(lpi(vpe.into()))
    }
}

struct Run {
    board: Board,
    reference: Reference,
    vpes: BTreeMap<u16, NonResident>,
    vacant: BTreeMap<u16, Vacant<VlpiFrame>>,
    residents: BTreeMap<u16, Resident<VlpiFrame>>,
}

impl Run {
    fn new(config: Config) -> Self {
        let board = Board::with_vpes(config, VPES);
        let vpes = (0..VPES).map(|n| (n, board.non_resident(n))).collect();
        let vacant = (0..CPUS).map(|cpu| (cpu, board.vacant(cpu))).collect();
        Self { board, reference: Reference::new(), vpes, vacant, residents: BTreeMap::new() }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Event(_) | Op::Int(_) | Op::Clear(_) | Op::Discard(_) | Op::Inv(_) => {
                self.on_event(op)
            }
            Op::Map { event, vintid, vpe } => {
                // A mapped event must be discarded first.
                if !self.reference.events.contains_key(&event) {
                    self.board.map(event, vintid, vpe);
                    self.reference.events.insert(event, (vintid, vpe));
                }
            }
            Op::MoveEvent { event: n, vpe: to } => {
                let Some((vintid, from)) = self.reference.events.get(&n).copied() else { return };
                let doorbell = Some(lpi(to.into()));
                self.board.run(&[Command::Vmovi {
                    device: DEVICE,
                    event: event(n),
                    vpe: vpe(to),
                    doorbell,
                }]);
                self.reference.events.insert(n, (vintid, to));
                if self.reference.pending.remove(&(from, vintid)) {
                    self.reference.raise(to, vintid);
                }
            }
            Op::MoveVpe { vpe: n, cpu } => {
                let Some(absent) = self.vpes.get_mut(&n) else { return };
                let home = self.reference.home[usize::from(n)];
                let [from, to] = [home, cpu].map(|cpu| self.board.config.redistributor(cpu));
                self.board.queue.run(&absent.move_to(vpe(n), to)).unwrap();
                self.board
                    .queue
                    .run(proxy(n).move_to(CollectionId::new(cpu), from).as_slice())
                    .unwrap();
                self.reference.home[usize::from(n)] = cpu;
            }
            Op::Configure { vpe, vintid, config } => {
                configure(&mut self.board.vconfigs(vpe), lpi(vintid), config);
                self.reference.memory.insert((vpe, vintid), config);
            }
            Op::Vinvall(n) => {
                self.board.run(&[Command::Vinvall { vpe: vpe(n) }]);
                self.reference.look(n);
            }
            Op::Unmask(n) | Op::Mask(n) => {
                let unmask = matches!(op, Op::Unmask(_));
                let to = self.board.config.redistributor(self.reference.home[usize::from(n)]);
                let lpis = &mut self.board.lpis;
                let batch =
                    if unmask { proxy(n).unmask(lpis, to) } else { proxy(n).mask(lpis, to) };
                self.board.queue.run(batch.as_slice()).unwrap();
                self.reference.unmasked[usize::from(n)] = unmask;
            }
            Op::Enter(n) => self.enter(n),
            Op::Leave(cpu) => self.leave(cpu),
            Op::Take(cpu) => {
                let vpe = self.reference.resident[usize::from(cpu)];
                let expected = vpe.and_then(|vpe| self.reference.offers(vpe).map(|n| (vpe, n)));
                assert_eq!(self.board.take(cpu), expected.map(|(_, n)| lpi(n)));
                expected.map(|taken| self.reference.pending.remove(&taken));
            }
            Op::Interrupt(cpu) => {
                assert_eq!(self.board.interrupt(cpu), self.reference.interrupt(cpu))
            }
        }
    }

    fn on_event(&mut self, op: Op) {
        let (Op::Event(n) | Op::Int(n) | Op::Clear(n) | Op::Discard(n) | Op::Inv(n)) = op else {
            return;
        };
        let Some((vintid, vpe)) = self.reference.events.get(&n).copied() else { return };
        let (device, event) = (DEVICE, event(n));
        match op {
            Op::Event(_) => {
                self.board.msi(n);
                self.reference.raise(vpe, vintid);
            }
            Op::Int(_) => {
                self.board.run(&[Command::Int { device, event }]);
                self.reference.raise(vpe, vintid);
            }
            Op::Inv(_) => {
                self.board.run(&[Command::Inv { device, event }]);
                if self.reference.is_resident(vpe) {
                    self.reference
                        .seen
                        .insert((vpe, vintid), self.reference.memory[&(vpe, vintid)]);
                }
            }
            Op::Clear(_) => {
                self.board.run(&[Command::Clear { device, event }]);
                self.reference.pending.remove(&(vpe, vintid));
            }
            _ => {
                self.board.run(&[Command::Discard { device, event }]);
                self.reference.pending.remove(&(vpe, vintid));
                self.reference.events.remove(&n);
            }
        }
    }

    fn enter(&mut self, n: u16) {
        let cpu = self.reference.home[usize::from(n)];
        if !self.vpes.contains_key(&n) || !self.vacant.contains_key(&cpu) {
            return;
        }
        let (vpe, vacant) = (self.vpes.remove(&n).unwrap(), self.vacant.remove(&cpu).unwrap());
        self.residents.insert(cpu, vpe.enter(vacant));
        self.reference.resident[usize::from(cpu)] = Some(n);
        self.reference.look(n);
    }

    fn leave(&mut self, cpu: u16) {
        let Some(resident) = self.residents.remove(&cpu) else { return };
        let n = self.reference.resident[usize::from(cpu)].take().unwrap();
        let left = resident.leave(POLLS).unwrap().finish(POLLS).unwrap();
        assert_eq!(left.pending, self.reference.offers(n).is_some());
        self.vpes.insert(n, left.vpe);
        self.vacant.insert(cpu, left.redistributor);
    }

    fn compare(&self) {
        for n in 0..VPES {
            for intid in 0..4 {
                assert_eq!(
                    self.board.gic.is_pending(vpe(n), lpi(intid)),
                    self.reference.pending.contains(&(n, intid)),
                    "vLPI {} on vPE {n}",
                    8192 + intid
                );
            }
        }
        self.board.clean();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn the_driver_on_the_model_does_what_the_reference_does(
        ops in prop::collection::vec(ops(), 1..80),
        command_polls in 0u32..3,
        dirty_polls in 0u32..3,
        redistributor_addresses: bool,
        idai: bool,
    ) {
        let mut run =
            Run::new(Config { command_polls, dirty_polls, redistributor_addresses, idai, ..Config::V4_0 });
        for op in ops {
            run.apply(op);
            run.compare();
        }
    }
}

/// A generator whose numbers are the same on every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

const RAISED: u32 = 1000;

/// Counts events of a device that does not raise one again before it was taken.
#[derive(Default)]
struct Tally {
    outstanding: BTreeSet<u32>,
    raised: u32,
    taken: u32,
}

impl Tally {
    fn raise(&mut self, board: &Board, dice: &mut Dice) {
        let n = dice.below(8) as u32;
        if self.raised < RAISED && self.outstanding.insert(n) {
            board.msi(n);
            self.raised += 1;
        }
    }
    fn take(&mut self, board: &Board, cpu: u16) -> bool {
        let Some(intid) = board.take(cpu) else { return false };
        let was = self.outstanding.remove(&(intid.value() - 8192));
        assert!(was, "{intid:?} taken twice");
        self.taken += 1;
        true
    }
    fn is_over(&self) -> bool {
        self.raised == RAISED && self.outstanding.is_empty()
    }
}

#[test]
fn a_thousand_events_with_random_residency() {
    for seed in 0..10 {
        let dirty_polls = seed as u32 % 4;
        let mut board = Board::with_vpes(
            Config { dirty_polls, command_polls: seed as u32 % 3, ..Config::V4_0 },
            1,
        );
        (0..8).for_each(|n| board.map(n, n, 0));
        let (mut dice, mut tally, mut doorbell) = (Dice(seed), Tally::default(), Doorbell::Silent);
        let mut absent = (board.non_resident(0), board.vacant(0));
        let mut cpu = 0;
        // The vPE runs, blocks, waits for its doorbell, sometimes on another CPU.
        for _ in 0..100_000 {
            let follow = |board: &mut Board, todo| {
                let redistributor = board.config.redistributor(cpu);
                let batch = proxy(0).commands(todo, &mut board.lpis, redistributor);
                board.queue.run(batch.as_slice()).unwrap();
            };
            let resident = absent.0.enter(absent.1);
            follow(&mut board, doorbell.entered());
            while dice.below(8) != 0 {
                tally.raise(&board, &mut dice);
                tally.take(&board, cpu);
            }
            follow(&mut board, doorbell.waits());
            tally.raise(&board, &mut dice);
            let leaving = resident.leave(POLLS).unwrap();
            tally.raise(&board, &mut dice);
            let left = leaving.finish(POLLS).unwrap();
            absent = (left.vpe, left.redistributor);
            if tally.is_over() {
                break;
            }
            tally.raise(&board, &mut dice);
            if !left.pending {
                // Nothing is known to be pending: only a doorbell may wake it now.
                while board.interrupt(cpu).is_none() {
                    assert!(tally.outstanding.is_empty(), "lost: {:?}", tally.outstanding);
                    tally.raise(&board, &mut dice);
                }
                let todo = doorbell.rang();
                assert_eq!(todo, Todo::MaskAndRun);
                follow(&mut board, todo);
            }
            if dice.below(4) == 0 {
                let from = board.config.redistributor(cpu);
                cpu = 1 - cpu;
                let to = board.config.redistributor(cpu);
                board.queue.run(&absent.0.move_to(vpe(0), to)).unwrap();
                board.queue.run(proxy(0).move_to(CollectionId::new(cpu), from).as_slice()).unwrap();
                absent.1 = board.vacant(cpu);
            }
        }
        assert_eq!((tally.raised, tally.taken), (RAISED, RAISED), "seed {seed}");
        board.clean();
    }
}

type AbsentV41 = (NonResidentV41, VacantV41<VlpiFrame>);

fn enter_v41((vpe, vacant): AbsentV41) -> ResidentV41<VlpiFrame> {
    vpe.enter(vacant)
}

#[test]
fn a_thousand_events_with_random_residency_on_v41() {
    for seed in 0..10 {
        let mut board =
            Board::with_vpes(Config { dirty_polls: seed as u32 % 4, ..Config::V4_1 }, 1);
        (0..8).for_each(|n| board.map(n, n, 0));
        board.unmask(0, 0);
        board.run(&[Command::Invdb { vpe: vpe(0) }]);
        let (mut dice, mut tally) = (Dice(seed), Tally::default());
        let mut absent = (board.non_resident_v41(0), board.vacant_v41(0));
        for _ in 0..100_000 {
            let resident = enter_v41(absent);
            while dice.below(8) != 0 {
                tally.raise(&board, &mut dice);
                tally.take(&board, 0);
            }
            let reason = if dice.below(3) == 0 { Reason::Preempted } else { Reason::Blocked };
            let leaving = resident.leave(reason, POLLS).unwrap();
            tally.raise(&board, &mut dice);
            let left = leaving.finish(POLLS).unwrap();
            let pending = left.pending;
            absent = (left.vpe, left.redistributor);
            if tally.is_over() {
                break;
            }
            if !pending {
                while board.interrupt(0).is_none() {
                    assert!(tally.outstanding.is_empty(), "lost: {:?}", tally.outstanding);
                    tally.raise(&board, &mut dice);
                }
                tally.raise(&board, &mut dice);
                assert_eq!(board.interrupt(0), None, "rang twice");
            }
        }
        assert_eq!((tally.raised, tally.taken), (RAISED, RAISED), "seed {seed}");
        board.clean();
    }
}
