// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A mode switch between two CPUs, in every order of their steps and of wakes that arrive
//! meanwhile.
//!
//! vPE 1 moves from CPU 0 to CPU 1; CPU 2 has the same schedule in both modes. Wakes come from
//! outside: they go to where the vPE is known to be, or lie in that CPU's mailbox until it looks.
//! Afterwards no wake may be left behind, and the vPE must have been in exactly one place all the
//! time. The same mode is asked for again meanwhile, which no CPU may take for another switch.

use core::num::NonZeroU64;

use plan::{
    CpuIndex, Frame, Mode, ModeIndex, ModeSwitch, Modes, Move, Placement, PrioritySlot, Schedule,
    VmIndex, VpeIndex, Window,
};
use sched::{Agreed, CpuScheduler, Departure, NEVER, Refused, Slot, Switchover, Task};

const CPUS: usize = 3;
const VPES: usize = 4;
const EPOCH: u64 = 1000;
const FRAME: NonZeroU64 = NonZeroU64::new(100).expect("not zero");
const MOVED: VpeIndex = VpeIndex::new(1);
const ASKER: VmIndex = VmIndex::new(7);
const NORMAL: ModeIndex = ModeIndex::new(0);
const LIMP_HOME: ModeIndex = ModeIndex::new(1);

const fn entry(vpe: u16) -> PrioritySlot {
    PrioritySlot { vpe: VpeIndex::new(vpe), priority: 0, budget: None }
}

const fn at(cpu: u16, slot: u8) -> Option<Placement> {
    Some(Placement { cpu: CpuIndex::new(cpu), slot })
}

static WINDOWS: Frame = Frame {
    ticks: FRAME,
    vpes: &[VpeIndex::new(0), MOVED],
    windows: &[Window { start: 0, ticks: 50, slot: 0 }, Window { start: 50, ticks: 50, slot: 1 }],
};
const MOVE: Move = Move { vpe: MOVED, from: CpuIndex::new(0), to: CpuIndex::new(1) };
const NO_SWITCH: ModeSwitch = ModeSwitch { cpus: 0, moves: &[], script: &[] };
const SWITCH: ModeSwitch = ModeSwitch { cpus: 0b011, moves: &[MOVE], script: &[] };
static MODES: Modes = Modes {
    modes: &[
        Mode {
            name: "normal",
            boundary: FRAME,
            schedules: &[
                Schedule::Cyclic(&WINDOWS),
                Schedule::Priority(&[entry(2)]),
                Schedule::Exclusive(VpeIndex::new(3)),
            ],
            placements: &[at(0, 0), at(0, 1), at(1, 0), at(2, 0)],
            switches: &[NO_SWITCH, SWITCH],
        },
        Mode {
            name: "limp home",
            boundary: NonZeroU64::MIN,
            schedules: &[
                Schedule::Exclusive(VpeIndex::new(0)),
                Schedule::Priority(&[entry(1), entry(2)]),
                Schedule::Exclusive(VpeIndex::new(3)),
            ],
            placements: &[at(0, 0), at(1, 0), at(1, 1), at(2, 0)],
            switches: &[NO_SWITCH, NO_SWITCH],
        },
    ],
    asker: Some(ASKER),
};

#[derive(Clone)]
struct World {
    now: u64,
    switchover: Switchover,
    cpus: Vec<CpuScheduler>,
    /// Where a task lies between two CPUs.
    parked: [Option<Task>; VPES],
    /// Wakes for the moved vPE that lie in front of a CPU.
    mailbox: [u32; CPUS],
    /// When each CPU has to leave, as a request has set it.
    leave_at: [u64; CPUS],
    /// CPUs that have left and not entered.
    outside: [bool; CPUS],
    /// CPUs that forget the moment before they have left, if they do so wrongly.
    going: [bool; CPUS],
    forgets_early: bool,
    asks_to_come: u32,
    moves_to_do: Option<&'static [Move]>,
    moves_done: u32,
    wakes_to_come: u32,
    /// Work that the guest has not seen.
    work: u32,
    /// A CPU that no longer has the vPE passes its wake on, as it should.
    passes_on: bool,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Wake,
    Look(usize),
    AskAgain,
    ForgetEarly(usize),
    Leave(usize),
    Move,
    Enter(usize),
    /// The moved vPE runs, does all its work and waits again.
    Guest(usize),
}

impl World {
    fn new(wakes: u32) -> Self {
        let mut world = Self {
            now: EPOCH + 200,
            switchover: Switchover::new(&MODES, EPOCH),
            cpus: vec![CpuScheduler::new(EPOCH); CPUS],
            parked: [None; VPES],
            mailbox: [0; CPUS],
            leave_at: [NEVER; CPUS],
            outside: [false; CPUS],
            going: [false; CPUS],
            forgets_early: false,
            asks_to_come: 0,
            moves_to_do: None,
            moves_done: 0,
            wakes_to_come: wakes,
            work: 0,
            passes_on: true,
        };
        let schedules = MODES.modes[0].schedules;
        for (cpu, schedule) in world.cpus.iter_mut().zip(schedules) {
            cpu.enter(*schedule, EPOCH, |_| Task::OFF);
            let slots: Vec<Slot> = Slot::all().filter(|slot| cpu.vpe(*slot).is_some()).collect();
            for slot in slots {
                cpu.on(slot, EPOCH);
            }
        }
        // The moved one waits for an interrupt when the switch begins.
        let slot = Slot::new(1).expect("a slot");
        assert_eq!(world.cpus[0].decide(EPOCH + 50).run, Some(slot));
        world.cpus[0].block(slot, None, EPOCH + 60);
        world
    }

    /// The moved vPE's slot on a CPU.
    fn slot(&self, cpu: usize) -> Option<Slot> {
        Slot::all().find(|slot| self.cpus[cpu].vpe(*slot) == Some(MOVED))
    }

    /// What a waker does, and a CPU with a wake that is not for it: under one lock.
    fn wake(&mut self) {
        match &mut self.parked[MOVED.index()] {
            Some(task) => task.wake(self.now),
            None => {
                let home = self.switchover.placement(MOVED).expect("it has a place in each mode");
                self.mailbox[home.cpu.index()] += 1;
            }
        }
    }

    /// A request for the mode, under the switchover's lock.
    fn ask(&mut self) {
        let Ok(agreed) = self.switchover.request(Some(ASKER), LIMP_HOME, self.now) else { return };
        for cpu in 0..CPUS {
            if agreed.cpus >> cpu & 1 != 0 {
                self.leave_at[cpu] = agreed.at;
            }
        }
    }

    fn possible(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.wakes_to_come > 0 {
            steps.push(Step::Wake);
        }
        if self.asks_to_come > 0 {
            steps.push(Step::AskAgain);
        }
        for cpu in 0..CPUS {
            let index = CpuIndex::new(cpu as u16);
            if self.going[cpu] {
                steps.push(Step::Leave(cpu));
                continue;
            }
            if self.mailbox[cpu] > 0 {
                steps.push(Step::Look(cpu));
            }
            if self.leave_at[cpu] <= self.now && !self.outside[cpu] {
                let early = self.forgets_early;
                steps.push(if early { Step::ForgetEarly(cpu) } else { Step::Leave(cpu) });
            }
            if self.outside[cpu] && self.switchover.clone().enter(index).is_some() {
                steps.push(Step::Enter(cpu));
            }
            if self.slot(cpu).is_some() && self.cpus[cpu].running() == self.slot(cpu) {
                steps.push(Step::Guest(cpu));
            }
        }
        if self.moves_to_do.is_some() {
            steps.push(Step::Move);
        }
        steps
    }

    fn take(&mut self, step: Step) {
        let now = self.now;
        match step {
            Step::Wake => {
                self.wakes_to_come -= 1;
                self.work += 1;
                self.wake();
            }
            Step::Look(cpu) => {
                self.mailbox[cpu] -= 1;
                match self.slot(cpu) {
                    Some(slot) => self.cpus[cpu].wake(slot, now),
                    None if self.passes_on => self.wake(),
                    None => {}
                }
                let _ = self.cpus[cpu].decide(now);
            }
            Step::AskAgain => {
                self.asks_to_come -= 1;
                self.ask();
            }
            Step::ForgetEarly(cpu) => {
                self.leave_at[cpu] = NEVER;
                self.going[cpu] = true;
            }
            Step::Leave(cpu) => {
                if !self.forgets_early {
                    self.leave_at[cpu] = NEVER;
                }
                self.going[cpu] = false;
                let parked = &mut self.parked;
                self.cpus[cpu].leave(now, |vpe, task| {
                    assert!(parked[vpe.index()].replace(task).is_none());
                });
                self.outside[cpu] = true;
                if let Departure::Move(switch) = self.switchover.leave(CpuIndex::new(cpu as u16)) {
                    assert!(self.moves_to_do.replace(switch.moves).is_none());
                }
            }
            Step::Move => {
                assert_eq!(self.moves_to_do.take(), Some(&[MOVE][..]));
                assert!((0..CPUS).all(|cpu| self.slot(cpu).is_none()), "resident nowhere");
                self.moves_done += 1;
                self.switchover.moved();
            }
            Step::Enter(cpu) => {
                let schedule = self.switchover.enter(CpuIndex::new(cpu as u16)).expect("it may");
                let parked = &mut self.parked;
                self.cpus[cpu].enter(schedule, now, |vpe| {
                    parked[vpe.index()].take().expect("its task was left behind")
                });
                self.outside[cpu] = false;
                let _ = self.cpus[cpu].decide(now);
            }
            Step::Guest(cpu) => {
                let slot = self.slot(cpu).expect("it runs here");
                self.work = 0;
                self.cpus[cpu].block(slot, None, now);
                let _ = self.cpus[cpu].decide(now);
            }
        }
        let homes = (0..CPUS).filter(|cpu| self.slot(*cpu).is_some()).count();
        assert_eq!(homes + usize::from(self.parked[MOVED.index()].is_some()), 1, "one place");
    }
}

fn explore(world: &World) -> u64 {
    let steps = world.possible();
    if steps.is_empty() {
        assert_eq!(world.outside, [false; CPUS], "a CPU waits for ever");
        assert_eq!(world.switchover.current(), LIMP_HOME);
        assert_eq!(world.moves_done, 1);
        assert_eq!(world.work, 0, "a wake was lost");
        assert!(world.parked.iter().all(Option::is_none));
        return 1;
    }
    steps
        .into_iter()
        .map(|step| {
            let mut next = world.clone();
            next.take(step);
            explore(&next)
        })
        .sum()
}

/// From within a frame; the switch takes effect at its end.
fn explore_all(mut world: World) -> u64 {
    world.now = EPOCH + 210;
    world.ask();
    assert_eq!(world.leave_at, [EPOCH + 300, EPOCH + 300, NEVER]);
    world.now = EPOCH + 300;
    explore(&world)
}

#[test]
fn no_order_of_steps_loses_a_wake_or_doubles_a_vpe() {
    let orders = explore_all(World::new(3));
    assert!(orders > 1000, "only {orders}");
}

#[test]
#[should_panic(expected = "a wake was lost")]
fn a_wake_that_is_not_passed_on_is_found() {
    explore_all(World { passes_on: false, ..World::new(1) });
}

#[test]
fn asking_again_is_not_another_switch() {
    explore_all(World { asks_to_come: 2, ..World::new(1) });
}

#[test]
#[should_panic(expected = "a CPU waits for ever")]
fn a_cpu_that_forgets_too_early_is_found() {
    explore_all(World { asks_to_come: 1, forgets_early: true, ..World::new(0) });
}

#[test]
fn requests_are_checked() {
    let mut switchover = Switchover::new(&MODES, EPOCH);
    let stranger = Some(VmIndex::new(1));
    assert_eq!(switchover.request(stranger, LIMP_HOME, 1000), Err(Refused::NotAllowed));
    let nowhere = ModeIndex::new(9);
    assert_eq!(switchover.request(Some(ASKER), nowhere, 1000), Err(Refused::NoSuchMode));
    let same = switchover.request(Some(ASKER), NORMAL, 1010);
    assert_eq!(same, Ok(Agreed { at: 1010, cpus: 0 }));
    let exact = Ok(Agreed { at: 1100, cpus: 0b011 });
    assert_eq!(switchover.request(None, LIMP_HOME, 1100), exact, "a boundary is not too late");
    assert_eq!(switchover.request(Some(ASKER), LIMP_HOME, 1101), exact, "asked twice");
    assert_eq!(switchover.request(Some(ASKER), NORMAL, 1102), Err(Refused::Busy));
    assert_eq!(switchover.wanted(), None);
    assert_eq!(switchover.deadline(CpuIndex::new(0)), Some(1100));
    assert_eq!(switchover.deadline(CpuIndex::new(2)), None, "it takes no part");
    assert_eq!(switchover.leave(CpuIndex::new(0)), Departure::Wait);
    assert_eq!(switchover.enter(CpuIndex::new(0)), None, "nothing has moved");
    assert_eq!(switchover.leave(CpuIndex::new(1)), Departure::Move(&SWITCH));
    assert_eq!(switchover.placement(MOVED), at(0, 1));
    switchover.moved();
    assert_eq!(switchover.placement(MOVED), at(1, 0));
    assert!(switchover.enter(CpuIndex::new(1)).is_some());
    assert_eq!(switchover.enter(CpuIndex::new(1)), None, "once only");
    assert_eq!(switchover.request(None, NORMAL, 1200), Err(Refused::Busy));
    assert_eq!(switchover.wanted(), None, "the switch is not over");
    assert_eq!(switchover.enter(CpuIndex::new(0)), Some(Schedule::Exclusive(VpeIndex::new(0))));
    assert_eq!(switchover.wanted(), Some(NORMAL), "a fault's mode comes next");
    assert_eq!(switchover.wanted(), None, "once");
    assert_eq!(switchover.request(None, NORMAL, 1200), Ok(Agreed { at: 1200, cpus: 0 }));
}
