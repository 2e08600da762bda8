// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Doorbells: every interleaving of a few events with the steps of blocking, ringing and waking.

mod common;

use common::*;
use gicv4::Vetted;
use gicv4::doorbell::{Doorbell, Todo};
use gicv4::model::{Config, VlpiFrame};
use gicv4::vpe::{Descheduling, NonResident, Resident, Vacant};
use std::collections::VecDeque;

type Absent = (NonResident, Vacant<VlpiFrame>);

/// Where the hypervisor is with vPE 0 on CPU 0.
enum At {
    /// The guest runs and takes what is signalled.
    Running(Resident<VlpiFrame>),
    /// It found nothing and executed WFI.
    Blocking(Resident<VlpiFrame>),
    /// Its doorbell is on its way to be unmasked.
    Unmasking(Resident<VlpiFrame>),
    Leaving(Descheduling<VlpiFrame>),
    /// Waiting for the doorbell.
    Idle(Absent),
    Waking(Absent),
}

/// What is wrong with the hypervisor, to see that it would be noticed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Changes the configuration byte but does not invalidate the GIC's copy.
    ForgetsInv,
    /// Does not look at PendingLast.
    IgnoresPending,
    /// Never masks.
    NeverMasks,
    /// Leaves a stale doorbell pending when the vPE has become resident.
    NeverClears,
}

struct Hypervisor {
    board: Board,
    doorbell: Doorbell,
    at: Option<At>,
    /// Commands that follow from the last transition, not yet given to the ITS.
    commands: VecDeque<Vetted>,
    fault: Fault,
    /// Wakes the vPE once without a doorbell, as a timer would.
    timer: bool,
    taken: u32,
    rings: u32,
    spurious: u32,
    /// Called by a doorbell, and nothing taken since.
    called: bool,
    useless: u32,
}

impl Hypervisor {
    fn new(fault: Fault, timer: bool) -> Self {
        let mut board = Board::with_vpes(Config { dirty_polls: 1, ..Config::V4_0 }, 1);
        for n in 0..4 {
            board.map(n, n, 0);
        }
        let at = Some(At::Running(board.non_resident(0).enter(board.vacant(0))));
        let (doorbell, commands) = (Doorbell::Silent, VecDeque::new());
        Self {
            board,
            doorbell,
            at,
            commands,
            fault,
            timer,
            taken: 0,
            rings: 0,
            spurious: 0,
            called: false,
            useless: 0,
        }
    }

    fn follow(&mut self, todo: Todo) {
        let todo = match (self.fault, todo) {
            (Fault::NeverMasks, Todo::MaskAndRun | Todo::MaskAndClear) => Todo::Nothing,
            (Fault::NeverClears, Todo::ClearAndUnmask) => Todo::Unmask,
            (_, todo) => todo,
        };
        let redistributor = self.board.config.redistributor(0);
        let batch = proxy(0).commands(todo, &mut self.board.lpis, redistributor);
        if self.fault != Fault::ForgetsInv {
            self.commands.extend(batch.as_slice());
        }
    }

    /// One step. False: it waits, and nothing is there.
    fn step(&mut self) -> bool {
        if let Some(command) = self.commands.pop_front() {
            self.board.queue.run(&[command]).unwrap();
            return true;
        }
        let interrupt = self.board.interrupt(0);
        assert!(interrupt.is_none_or(|intid| intid == lpi(0)));
        let todo = if interrupt.is_some() { self.doorbell.rang() } else { Todo::Nothing };
        self.rings += u32::from(interrupt.is_some());
        self.spurious += u32::from(interrupt.is_some() && todo == Todo::Nothing);
        self.called |= todo == Todo::MaskAndRun;
        self.follow(todo);
        let idle = matches!(self.at, Some(At::Idle(_)));
        let next = match self.at.take().expect("a step leads somewhere") {
            At::Running(resident) => match self.board.take(0) {
                Some(_) => {
                    self.taken += 1;
                    self.called = false;
                    At::Running(resident)
                }
                None => {
                    self.useless += u32::from(core::mem::take(&mut self.called));
                    At::Blocking(resident)
                }
            },
            At::Blocking(resident) => {
                let todo = self.doorbell.waits();
                self.follow(todo);
                At::Unmasking(resident)
            }
            At::Unmasking(resident) => At::Leaving(resident.leave(POLLS).unwrap()),
            At::Leaving(leaving) => {
                let left = leaving.finish(POLLS).unwrap();
                let pending = left.pending && self.fault != Fault::IgnoresPending;
                let absent = (left.vpe, left.redistributor);
                // The doorbell may have rung since the residency ended.
                let rang = todo == Todo::MaskAndRun;
                if rang || pending { At::Waking(absent) } else { At::Idle(absent) }
            }
            At::Idle(absent) if todo == Todo::MaskAndRun || core::mem::take(&mut self.timer) => {
                At::Waking(absent)
            }
            At::Idle(absent) => At::Idle(absent),
            At::Waking((vpe, redistributor)) => {
                let resident = vpe.enter(redistributor);
                let todo = self.doorbell.entered();
                self.follow(todo);
                At::Running(resident)
            }
        };
        let waits = idle && matches!(next, At::Idle(_)) && interrupt.is_none();
        self.at = Some(next);
        !waits
    }
}

/// Events happen before these steps of the hypervisor, ascending. Then it steps until it waits.
fn play(events: &[usize], fault: Fault, timer: bool) -> Hypervisor {
    let mut hypervisor = Hypervisor::new(fault, timer);
    let mut next = (0..).zip(events).peekable();
    for step in 0..200 {
        while let Some((n, _)) = next.next_if(|(_, at)| **at == step) {
            hypervisor.board.msi(n);
        }
        if !hypervisor.step() && next.peek().is_none() {
            return hypervisor;
        }
    }
    // It never waits: a storm.
    hypervisor
}

fn is_right(events: &[usize], played: &Hypervisor) -> bool {
    let lost = (0..4).any(|n| played.board.gic.is_pending(vpe(0), lpi(n)));
    let waits = matches!(played.at, Some(At::Idle(_)));
    waits
        && !lost
        && played.taken == events.len() as u32
        && played.rings <= played.taken
        && played.spurious == 0
        && played.useless == 0
}

/// All ascending triples of steps below `steps`.
fn triples(steps: usize) -> impl Iterator<Item = [usize; 3]> {
    (0..steps).flat_map(move |a| (a..steps).flat_map(move |b| (b..steps).map(move |c| [a, b, c])))
}

/// As many steps as a whole round of waking, running and blocking takes, and then some.
const STEPS: usize = 17;

#[test]
fn no_interleaving_loses_an_event_or_rings_too_often() {
    for timer in [false, true] {
        for events in triples(STEPS) {
            let played = play(&events, Fault::None, timer);
            assert!(
                is_right(&events, &played),
                "events before steps {events:?}, timer {timer}: {} taken, {} rings, {} spurious, \
                 {} useless",
                played.taken,
                played.rings,
                played.spurious,
                played.useless
            );
            played.board.clean();
        }
    }
}

#[test]
fn faulty_hypervisors_are_noticed() {
    for fault in [Fault::ForgetsInv, Fault::IgnoresPending, Fault::NeverMasks, Fault::NeverClears] {
        assert!(triples(STEPS).any(|events| !is_right(&events, &play(&events, fault, true))));
    }
}

#[test]
fn the_second_event_does_not_ring_again() {
    let mut hypervisor = Hypervisor::new(Fault::None, false);
    while hypervisor.step() {}
    assert_eq!(hypervisor.doorbell, Doorbell::Armed);
    hypervisor.board.msi(0);
    assert_eq!(hypervisor.board.interrupt(0), Some(lpi(0)));
    let todo = hypervisor.doorbell.rang();
    assert_eq!(todo, Todo::MaskAndRun);
    hypervisor.follow(todo);
    while let Some(command) = hypervisor.commands.pop_front() {
        hypervisor.board.queue.run(&[command]).unwrap();
    }
    for n in 0..4 {
        hypervisor.board.msi(n);
    }
    assert_eq!(hypervisor.board.interrupt(0), None);
}

#[test]
fn transitions() {
    for (from, transition, to, todo) in [
        (Doorbell::Silent, "waits", Doorbell::Armed, Todo::Unmask),
        (Doorbell::Stale, "waits", Doorbell::Armed, Todo::ClearAndUnmask),
        (Doorbell::Armed, "waits", Doorbell::Armed, Todo::Nothing),
        (Doorbell::Armed, "rang", Doorbell::Silent, Todo::MaskAndRun),
        (Doorbell::Silent, "rang", Doorbell::Silent, Todo::Nothing),
        (Doorbell::Stale, "rang", Doorbell::Stale, Todo::Nothing),
        (Doorbell::Silent, "entered", Doorbell::Stale, Todo::Nothing),
        (Doorbell::Stale, "entered", Doorbell::Stale, Todo::Nothing),
        (Doorbell::Armed, "entered", Doorbell::Silent, Todo::MaskAndClear),
    ] {
        let mut doorbell = from;
        let made = match transition {
            "waits" => doorbell.waits(),
            "rang" => doorbell.rang(),
            _ => doorbell.entered(),
        };
        assert_eq!((doorbell, made), (to, todo), "{from:?}, {transition}");
    }
}
