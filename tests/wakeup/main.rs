// SPDX-License-Identifier: Apache-2.0 OR MIT
//! No event is lost between the end of a vPE's residency and its next one.
//!
//! EL2's sequence for a vPE that waits for an interrupt, run with the driver and the scheduler as
//! they are, on the software GIC, and with a device that may ring before every single access to a
//! register or table:
//!
//! 1. Clear the doorbell if it may have rung before the vPE became resident, and unmask it, with
//!    INV.
//! 2. End the residency: Dirty = 0, Valid = 0, Dirty = 0, then PendingLast. Something is pending:
//!    wake the vPE.
//! 3. Take the interrupts that are there, if EL2 likes; a doorbell is masked again and wakes the
//!    vPE.
//! 4. Block the vPE; the scheduler keeps a wake that came before. Decide.
//! 5. The decision may be for the vPE, at once or after a doorbell: make it resident, then mask and
//!    clear its doorbell if it is unmasked. A masked one may be pending and stays so until 1.
//!
//! All orders of these accesses and of the device's events are run. Each mistake that this sequence
//! avoids is made once, and has to be found.
//!
//! The same with events that are disabled at first and that a vPE on another CPU enables at any
//! moment: the configuration byte, INV and VSYNC while nobody else has the ITS, and then an SGI,
//! for no doorbell says that an event was pending when it was enabled.
//!
//! And the same on a GICv4.1, whose doorbell needs no commands, with events of the device and SGIs
//! that a vPE on another CPU sends, by turns.
#![forbid(unsafe_code)]

mod choices;
mod rig;

use choices::{Choices, explore};
use gicv4::IntId;
use gicv4::doorbell::{Doorbell, Todo};
use gicv4::model::{Gic, ModelTable, VlpiFrame};
use gicv4::residency::{Direct, Form};
use gicv4::vpe41::Reason;
use std::marker::PhantomData;
use std::rc::Rc;

use plan::{PrioritySlot, Schedule, VpeIndex};
use rig::{Device, POLLS, Parts, REDISTRIBUTOR, SharedQueue, VPE, Watched};
use sched::{CpuScheduler, Slot, Task};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    /// Asks what is pending while the vPE is still resident.
    LooksTooEarly,
    /// Does not look at PendingLast.
    IgnoresPendingLast,
    /// Unmasks the doorbell in memory only.
    ForgetsInv,
    /// Clears a "stale" doorbell when the vPE is not resident any more.
    ClearsAfterLeaving,
    /// Never clears it.
    ForgetsClear,
    /// Wakes only a vPE that is blocked.
    DropsEarlyWakes,
    /// Enables an event and tells nobody.
    EnablesSilently,
    /// GICv4.1: leaves as if it were pre-empted, and does not ask for the doorbell.
    AsksForNoDoorbell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    Lost,
    Twice,
    /// The vPE was woken by a doorbell and found nothing.
    StaleDoorbell,
    /// The model saw something against the rules.
    Violation,
}

/// One vPE with events, and one below it that never stops and has none.
static TABLE: [PrioritySlot; 2] = [
    PrioritySlot { vpe: VpeIndex::new(0), priority: 2, budget: None },
    PrioritySlot { vpe: VpeIndex::new(1), priority: 1, budget: None },
];

/// Time does not matter here.
const NOW: u64 = 1;

struct Cpu<'a, R: Form> {
    gic: Gic,
    form: PhantomData<R>,
    device: Rc<Device<'a>>,
    choices: &'a Choices,
    mistake: Option<Mistake>,
    queue: SharedQueue<'a>,
    config: Watched<'a, ModelTable>,
    proxy: gicv4::doorbell::Proxy,
    doorbell: Doorbell,
    scheduler: CpuScheduler,
    slot: Slot,
    blocked: bool,
    taken: Vec<IntId>,
    /// Events are enabled at any moment.
    late: bool,
    /// Rung, and the guest has not taken anything since.
    called: bool,
}

type Frame<'a> = Watched<'a, VlpiFrame>;

impl<'a, R: Form> Cpu<'a, R> {
    fn run(
        mut self,
        mut vpe: R::NonResident,
        mut vacant: R::Vacant<Frame<'a>>,
    ) -> Result<(), Failure> {
        loop {
            while self.scheduler.decide(NOW).run != Some(self.slot) {
                // The other vPE runs, interrupts are taken; when there is none, the device gets on.
                if !self.interrupt() && !self.device.ring() && !self.device.enable() {
                    return self.verdict();
                }
            }
            let resident = self.enter(vpe, vacant);
            self.guest()?;
            (vpe, vacant) = self.wait_for_interrupt(resident);
        }
    }

    fn enter(
        &mut self,
        vpe: R::NonResident,
        vacant: R::Vacant<Frame<'a>>,
    ) -> R::Resident<Frame<'a>> {
        let (resident, todo) = R::enter(vpe, vacant, &mut self.doorbell);
        self.carry_out(todo);
        resident
    }

    /// The guest takes what there is, and waits for an interrupt.
    fn guest(&mut self) -> Result<(), Failure> {
        self.device.may_ring();
        // What has it look while it has the CPU finds nothing that it does not see itself.
        self.device.told.set(false);
        while let Some(signal) = self.gic.acknowledge_virtual(0) {
            if self.taken.contains(&signal.intid) {
                return Err(Failure::Twice);
            }
            self.taken.push(signal.intid);
            self.called = false;
            self.device.may_ring();
            self.device.told.set(false);
        }
        // The doorbell rings for an event that is disabled, too.
        if self.called && !self.late { Err(Failure::StaleDoorbell) } else { Ok(()) }
    }

    fn wait_for_interrupt(
        &mut self,
        resident: R::Resident<Frame<'a>>,
    ) -> (R::NonResident, R::Vacant<Frame<'a>>) {
        let early = self.gic.virtual_signal(0).is_some();
        let todo = match (R::waits(&mut self.doorbell), self.mistake) {
            (Todo::ClearAndUnmask, Some(Mistake::ForgetsClear)) => Todo::Unmask,
            (todo, _) => todo,
        };
        let late = self.made(Mistake::ClearsAfterLeaving);
        if !late {
            self.carry_out(todo);
        }
        let reason = match self.mistake {
            Some(Mistake::AsksForNoDoorbell) => Reason::Preempted,
            _ => Reason::Blocked,
        };
        let slow = || panic!("Dirty clears in time");
        let (vpe, vacant, pending) = R::leave(resident, reason, POLLS, slow);
        if late {
            self.carry_out(todo);
        }
        let pending = match self.mistake {
            Some(Mistake::LooksTooEarly | Mistake::AsksForNoDoorbell) => early,
            Some(Mistake::IgnoresPendingLast) => false,
            _ => pending,
        };
        if pending {
            self.wake();
        }
        if self.choices.choose(2) == 1 {
            self.interrupt();
        }
        self.scheduler.block(self.slot, None, NOW);
        self.blocked = self.scheduler.running().is_none();
        (vpe, vacant)
    }

    /// Takes a physical interrupt. False: there is none.
    fn interrupt(&mut self) -> bool {
        self.device.may_ring();
        if self.device.told.take() {
            self.wake();
            return true;
        }
        let Some(signal) = self.gic.acknowledge(0) else { return false };
        assert_eq!(signal.intid, self.proxy.intid);
        let (has_work, todo) = R::rang(&mut self.doorbell);
        self.called |= has_work;
        self.carry_out(todo);
        let early = self.made(Mistake::DropsEarlyWakes) && !self.blocked;
        if has_work && !early {
            self.wake();
        }
        true
    }

    /// What the doorbell asks for.
    fn carry_out(&mut self, todo: Todo) {
        if todo == Todo::Nothing {
            return;
        }
        let unmasks = matches!(todo, Todo::Unmask | Todo::ClearAndUnmask);
        let batch = self.proxy.commands(todo, &mut self.config, REDISTRIBUTOR);
        let batch = match self.mistake {
            Some(Mistake::ForgetsInv) if unmasks => self.proxy.clear(REDISTRIBUTOR),
            _ => batch,
        };
        self.queue.borrow_mut().run(batch.as_slice()).expect("the ITS consumes it");
    }

    fn wake(&mut self) {
        self.scheduler.wake(self.slot, NOW);
        self.blocked = false;
    }

    fn made(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    /// Nothing happens any more.
    fn verdict(self) -> Result<(), Failure> {
        let errors = self.gic.take_errors();
        if !errors.is_empty() || !self.gic.take_violations().is_empty() {
            return Err(Failure::Violation);
        }
        let pending =
            (0..self.device.rung()).any(|event| self.gic.is_pending(VPE, self.device.intid(event)));
        let lost = pending || self.taken.len() != self.device.rung() as usize;
        if lost { Err(Failure::Lost) } else { Ok(()) }
    }
}

fn every_order(events: u32, late: bool, mistake: Option<Mistake>) -> Result<u64, Failure> {
    every_order_on::<Direct<false>>(false, events, late, mistake)
}

fn every_order_v41(events: u32, late: bool, mistake: Option<Mistake>) -> Result<u64, Failure> {
    every_order_on::<Direct<true>>(true, events, late, mistake)
}

fn every_order_on<R: Form>(
    v41: bool,
    events: u32,
    late: bool,
    mistake: Option<Mistake>,
) -> Result<u64, Failure> {
    explore(|choices| {
        let gic = rig::gic(v41);
        let tells = mistake != Some(Mistake::EnablesSilently);
        let device = Rc::new(Device::new(&gic, (events, v41), late, tells, choices));
        let Parts { vpe, vacant, queue, config, proxy } = rig::boot::<R>(&gic, &device);
        let slot = Slot::new(0).expect("a slot");
        let mut scheduler = CpuScheduler::new(0);
        scheduler.enter(Schedule::Priority(&TABLE), NOW, |_| Task::OFF);
        for slot in Slot::all().take(TABLE.len()) {
            scheduler.on(slot, NOW);
        }
        let cpu = Cpu::<R> {
            gic: gic.clone(),
            form: PhantomData,
            device,
            choices,
            mistake,
            queue,
            config,
            proxy,
            doorbell: Doorbell::Silent,
            scheduler,
            slot,
            blocked: false,
            taken: Vec::new(),
            late,
            called: false,
        };
        cpu.run(vpe, vacant)
    })
}

/// Some seconds.
#[test]
fn no_order_loses_an_event() {
    for (events, at_least) in [(1, 20), (2, 1000), (3, 50_000)] {
        let runs = every_order(events, false, None).unwrap_or_else(|failure| panic!("{failure:?}"));
        assert!(runs >= at_least, "only {runs} orders of {events} events");
    }
}

#[test]
fn mistakes_are_found() {
    for (mistake, failure) in [
        (Mistake::LooksTooEarly, Failure::Lost),
        (Mistake::IgnoresPendingLast, Failure::Lost),
        (Mistake::ForgetsInv, Failure::Lost),
        (Mistake::ClearsAfterLeaving, Failure::Lost),
        (Mistake::ForgetsClear, Failure::StaleDoorbell),
        (Mistake::DropsEarlyWakes, Failure::Lost),
    ] {
        assert_eq!(every_order(2, false, Some(mistake)), Err(failure), "{mistake:?}");
    }
    let silent = every_order(1, true, Some(Mistake::EnablesSilently));
    assert_eq!(silent, Err(Failure::Lost));
}

#[test]
fn no_order_of_enabling_loses_an_event() {
    let runs = every_order(1, true, None).unwrap_or_else(|failure| panic!("{failure:?}"));
    assert!(runs >= 1000, "only {runs} orders");
}

#[test]
fn no_order_on_a_gicv41_loses_an_event_or_an_sgi() {
    for (events, at_least) in [(1, 20), (2, 500), (3, 10_000)] {
        let runs = every_order_v41(events, false, None).unwrap_or_else(|why| panic!("{why:?}"));
        assert!(runs >= at_least, "only {runs} orders of {events}");
    }
    for (mistake, failure) in [
        (Mistake::LooksTooEarly, Failure::Lost),
        (Mistake::IgnoresPendingLast, Failure::Lost),
        (Mistake::AsksForNoDoorbell, Failure::Lost),
        (Mistake::DropsEarlyWakes, Failure::Lost),
    ] {
        for events in [1, 2] {
            assert_eq!(every_order_v41(events, false, Some(mistake)), Err(failure), "{mistake:?}");
        }
    }
}

/// An SGI that the other vPE sends, and enables, at any moment.
#[test]
fn no_order_of_enabling_on_a_gicv41_loses_an_sgi() {
    let runs = every_order_v41(1, true, None).unwrap_or_else(|why| panic!("{why:?}"));
    assert!(runs >= 500, "only {runs} orders");
    let silent = every_order_v41(1, true, Some(Mistake::EnablesSilently));
    assert_eq!(silent, Err(Failure::Lost));
}
