// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The run loop of a CPU: who runs next, on exclusive, shared and idle CPUs alike.
//!
//! `settle` runs whenever the answer may have changed: an interrupt of EL2's came, or the vPE
//! waits, begins or ends. Any CPU may change what a vPE or a VM should be (`vm::power`,
//! `vm::health`); it then tells the CPUs that it concerns (state/ipi.rs), and each brings its own
//! vPEs there.
//!
//! 1. Reviews: vPEs begin and end, always on their own CPU, and under `cyclic` in their own
//!    windows. The last vPE of a VM to end has it start again or, if no VM is left, ends the
//!    system.
//! 2. If the mode ends here now, the switch to the next one (life/switchover.rs).
//! 3. Decide, and set EL2's timer for the next decision.
//! 4. That vPE runs (cpu/switch.rs); or the start of its VM goes on (life/load.rs), in its time; or
//!    nobody runs and the CPU sleeps. In the last two cases take the interrupts that come, and
//!    begin again.
//!
//! A vPE that waits for an interrupt ends its residency, its doorbell is unmasked if nothing is
//! pending, it is blocked, others decide. The time of its timers is part of the block. Everything
//! else that can be pending for it is announced by an interrupt to this CPU: doorbell, kick, SPI;
//! each wakes it, and under `cyclic` a wake only marks.
//!
//! Without shared CPUs the scheduler is one vPE's (`sched::Sole`), and what concerns others
//! compiles to nothing.

use super::interrupts::{Taken, look, take};
use crate::cpu::saved::saved;
use crate::cpu::serror;
use crate::cpu::switch::{has_interrupt, next_timer};
use crate::cpu::workarounds;
use crate::gic::hardware::Hardware;
use crate::gic::rings;
use crate::io::console;
use crate::life::load::{self, Loaded};
use crate::life::{dma, end, fault, mode, switchover, watchdog};
use crate::state::cpu::Here;
use crate::state::parts::{MODES, SHARED, SMMU, WATCHDOGS};
use crate::state::vpe::{self, Vpe};
use crate::state::{ipi, places};
use arch::frame::Frame;
use arch::gic;
use arch::sysreg::{ticks, wfi};
use plan::{Schedule, VpeIndex};
use sched::{NEVER, Task};
use vm::counters::Counter;
use vm::power::{PowerState, Start};
use vm::vgic;

/// The calling CPU begins, at boot.
pub fn begin(here: Here, schedule: Schedule) {
    for vpe in here.vpes() {
        vpe::make(vpe);
    }
    {
        let mut running = here.running();
        running.schedule = schedule;
        running.between_vms = if SHARED { workarounds::between_vms(here.local.index) } else { 0 };
        running.scheduler.enter(schedule, ticks(), |_| Task::OFF);
    }
    if SHARED {
        for vpe in here.vpes() {
            ipi::review(vpe);
        }
    }
}

/// As [`settle`], on the CPU of `this`.
#[inline(never)]
pub fn settle_for(this: &Vpe, frame: &mut Frame) {
    if let Some(here) = Here::of(this) {
        settle(here, frame);
    }
}

/// Returns when a vPE runs, with its registers in the frame and in the CPU.
pub fn settle(here: Here, frame: &mut Frame) {
    loop {
        while here.take_reviews(|vpe| review(here, vpe, frame)) {}
        if MODES && here.leaves_at() <= ticks() {
            switchover::switch(here, frame);
            continue;
        }
        match decide(here, frame) {
            Decided::Runs => return,
            Decided::Reviews => continue,
            Decided::Loads(next) => load(here, next, frame),
            Decided::Nobody => {
                console::pump();
                wfi();
            }
        }
        while take(here, gic::acknowledge()) != Taken::Nothing {}
    }
}

enum Decided {
    /// A vPE runs.
    Runs,
    /// The power state of the vPE whose window it is may have changed.
    Reviews,
    /// EL2 has the CPU, which loads the VM of this vPE in its time.
    Loads(&'static Vpe),
    Nobody,
}

fn decide(here: Here, frame: &mut Frame) -> Decided {
    let mut running = here.running();
    let decision = loop {
        let decision = running.scheduler.decide(ticks());
        if !SHARED {
            break decision;
        }
        let window = running.scheduler.window();
        here.open(window);
        let Some(owner) = window else { break decision };
        if owner.is_some_and(|vpe| here.has_review(vpe)) {
            return Decided::Reviews;
        }
        // Mail for others came without an SGI. Each vPE gets one until it runs.
        if !look(here, &mut running) {
            break decision;
        }
    };
    let next = decision.run.and_then(|slot| {
        let next = vpe::of(running.scheduler.vpe(slot)?)?;
        if next.shares() {
            let figures = running.scheduler.statistics(slot);
            let counters = &next.guest.vpe.counters;
            counters.set(Counter::Overruns, figures.overruns);
            counters.set(Counter::LongestWake, figures.wake_to_run.max().unwrap_or(0));
        }
        Some(next)
    });
    if SHARED && SMMU {
        dma::next_is(next, here.local.index);
    }
    let mut deadline = decision.deadline.unwrap_or(NEVER).min(here.leaves_at());
    if let Some(next) = next {
        rings::deliver_due(next);
        deadline = deadline.min(rings::due(next.index));
    }
    here.timer.decide_at(deadline);
    match next {
        Some(next) if running.give(next, here, frame) => Decided::Runs,
        Some(next) => Decided::Loads(next),
        None => {
            running.take_away(here);
            Decided::Nobody
        }
    }
}

/// Goes on with the start of a VM in the time of its first vPE, until that is done or an interrupt
/// came.
fn load(here: Here, next: &'static Vpe, frame: &mut Frame) {
    match load::run(next) {
        Loaded::All => review(here, next.index, frame),
        Loaded::Interrupted => {}
        Loaded::Until(time) => {
            if let Some(slot) = places::slot_of(next.index) {
                here.running().scheduler.block(slot, Some(time), ticks());
            }
        }
    }
}

/// The power state or the VM of a vPE may have changed.
fn review(here: Here, vpe: VpeIndex, frame: &mut Frame) {
    let Some(this) = vpe::of(vpe) else { return };
    if !here.has(vpe) {
        return ipi::review(vpe);
    }
    let guest = &this.guest;
    if let Some(esr) = serror::charged(vpe) {
        fault::charged(guest, esr);
    }
    if WATCHDOGS && guest.number == 0 {
        watchdog::look(here.local.index);
    }
    // Without a slot it begins, and its VM is loaded, when a mode has one for it.
    if let Some(slot) = places::slot_of(vpe) {
        let power = &guest.vpe.power;
        if power.loads() {
            here.running().scheduler.on(slot, ticks());
        } else if let Some(start) = power.take_start() {
            let mut running = here.running();
            running.start(this, start, frame);
            running.scheduler.on(slot, ticks());
        }
    }
    if matches!(guest.vpe.power.state(), PowerState::On | PowerState::Suspended)
        && !guest.vm.health.running()
    {
        retire(here, this);
    }
}

/// A vPE of this CPU goes off: its VM stops, or it called CPU_OFF. Nothing of it is left in the
/// CPU, and then it is off. The last one of a VM that stops ends or restarts it.
pub fn retire(here: Here, this: &Vpe) {
    {
        let mut running = here.running();
        if running.is_current(this.index) || !this.shares() {
            vgic::turn_off(&this.guest, &mut Hardware);
        }
        rings::deliver_all(this);
        if running.is_current(this.index) {
            let _ = running.release(here);
        }
        running.forget(this);
        match places::slot_of(this.index) {
            Some(slot) => running.scheduler.off(slot, ticks()),
            None => mode::parked(this.index, |task| *task = Task::OFF),
        }
    }
    this.guest.vpe.power.turn_off();
    end::collect(this.guest.config, this.index);
}

/// The vPE that runs waits for an interrupt, by WFI. False: there is one.
pub fn wait(here: Here, this: &Vpe) -> bool {
    if has_interrupt(this) {
        return false;
    }
    block(here, this);
    true
}

/// It has nothing to do until an interrupt is pending for it.
fn block(here: Here, this: &Vpe) {
    let mut running = here.running();
    let idle = timer_is_idle(this);
    let Some((paused, pending)) = running.release(here) else { return };
    let Some(slot) = places::slot_of(this.index) else { return };
    let now = ticks();
    if pending {
        running.scheduler.wake(slot, now);
    }
    let until = next_timer(this, &paused, idle).unwrap_or(NEVER).min(rings::due(this.index));
    running.scheduler.block(slot, Some(until), now);
}

/// The guest is to execute an instruction again that waits for the physical ITS until `time`;
/// others have the CPU meanwhile. Its events wait as long, its timers do not.
#[inline(never)]
pub fn wait_for_its(this: &Vpe, time: u64) {
    let Some(here) = Here::of(this) else { return };
    let mut running = here.running();
    let idle = timer_is_idle(this);
    running.take_away(here);
    let Some(slot) = places::slot_of(this.index) else { return };
    let paused = saved(this.index, |saved| saved.paused());
    let timer = paused.and_then(|paused| next_timer(this, &paused, idle));
    let until = timer.unwrap_or(NEVER).min(time).min(rings::due(this.index));
    running.scheduler.block(slot, Some(until), ticks());
}

/// While the vPE holds the virtual timer's interrupt, it cannot ask for another one.
fn timer_is_idle(this: &Vpe) -> bool {
    !vgic::holds_timer(&this.guest, &Hardware)
}

/// CPU_SUSPEND: the vPE waits; with `resume` it loses its registers and goes on there.
pub fn suspend(here: Here, this: &Vpe, resume: Option<Start>, frame: &mut Frame) {
    let waits = !has_interrupt(this);
    if waits {
        if !this.shares() {
            this.guest.vpe.power.suspend();
        }
        block(here, this);
    }
    if let Some(start) = resume {
        let mut running = here.running();
        running.take_away(here);
        running.restart(this, start, frame);
    }
}
