//! Whose turn it is on a shared CPU: events go to the scheduler, its decisions are carried out.
//!
//! `settle` runs whenever the answer may have changed: an interrupt of EL2's came, or the vPE waits, begins or ends.
//!
//! 1. Letters about power states: vPEs begin and end, always on their own CPU, and under `cyclic` in their own windows.
//! 2. If the mode ends here now, the switch to the next one (modes.rs).
//! 3. Decide, and set EL2's timer for the next decision.
//! 4. Give the CPU to that vPE (switch.rs); or go on with the start of its VM (load.rs), in its time; or give it to nobody and
//!    sleep. In the last two cases take the interrupts that come, and begin again.
//!
//! A vPE that waits for an interrupt goes the way of tests/wakeup: it ends its residency, its doorbell is unmasked if
//! nothing is pending, it is blocked, others decide. The time of its timers is part of the block. Everything else that
//! can be pending for it is announced by an interrupt to this CPU: doorbell, knock, SPI; each wakes it, and under `cyclic`
//! a wake only marks.

use crate::cpu::away::away;
use crate::cpu::switch::{self, Paused, State};
use crate::cpu::{physical, serror, workarounds};
use crate::exits::trap;
use crate::gic::platform::{ATTENTION, Hardware};
use crate::gic::{residency, rings};
use crate::io::{console, dma};
use crate::life::load::{self, Loaded};
use crate::life::{modes, run, watchdog};
use crate::run::irq::{FIRST_LPI, HYPERVISOR_TIMER, MAINTENANCE, TIMER, end, is_private, is_spi};
use crate::state::percpu::{self, PerCpu, VMS, VPES};
use crate::state::plan_data::PLAN;
use crate::state::shared;
use crate::state::shared::{Here, KNOCK};
use crate::state::system::Built;
use arch::sysreg::{ticks, wfi};
use arch::this;
use arch::timer::VirtualTimer;
use arch::vectors::Frame;
use arch::{gic, guest, timer};
use plan::{CpuIndex, Schedule, VpeIndex};
use sched::{NEVER, Task};
use vm::counters::Counter;
use vm::power::{self, Start};
use vm::{Platform, vgic};

/// What an interrupt means for whoever runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Nothing was pending.
    Nothing,
    /// Done; the vPE goes on.
    Done,
    /// Somebody else may have to run.
    Decide,
}

/// The CPU `index` begins, at boot.
pub fn begin(index: CpuIndex, schedule: Schedule) -> Option<Here> {
    let here = Here::first(index)?;
    here.physical.redistributor.enable(gicv4::IntId::new(KNOCK.into()));
    for vpe in here.vpes() {
        percpu::make(vpe);
    }
    {
        let mut state = here.cpu.state.lock();
        state.schedule = schedule;
        state.between_vms = workarounds::between_vms(index);
        state.scheduler.enter(schedule, ticks(), |_| Task::OFF);
    }
    for vpe in here.vpes() {
        shared::attention(vpe);
    }
    Some(here)
}

/// Returns when a vPE has the CPU, with its registers in the frame and in the CPU.
pub fn settle(here: Here, frame: &mut Frame) {
    loop {
        while here.cpu.take_attentions(|vpe| !here.has(vpe), |vpe| review(here, vpe)) {}
        if here.cpu.leaves_at() <= ticks() {
            modes::switch(here, frame);
            continue;
        }
        match decide(here, frame) {
            Decided::Runs => return,
            Decided::Reviews => continue,
            Decided::Loads(next) => load(here, next),
            Decided::Nobody => {
                console::pump();
                wfi();
            }
        }
        while take(here, gic::acknowledge()) != Taken::Nothing {}
    }
}

enum Decided {
    /// A vPE has the CPU.
    Runs,
    /// The power state of the vPE whose window it is may have changed.
    Reviews,
    /// EL2 has it, which loads the VM of this vPE in its time.
    Loads(&'static PerCpu),
    Nobody,
}

/// Goes on with the start of a VM whose first vPE has its turn, until that is done or an interrupt came.
fn load(here: Here, next: &PerCpu) {
    match load::run(next) {
        Loaded::All => review(here, next.vpe),
        Loaded::Interrupted => {}
        Loaded::Until(time) => {
            if let Some(slot) = shared::slot_of(next.vpe) {
                here.cpu.state.lock().scheduler.block(slot, Some(time), ticks());
            }
        }
    }
}

fn decide(here: Here, frame: &mut Frame) -> Decided {
    let mut state = here.cpu.state.lock();
    let decision = loop {
        let decision = state.scheduler.decide(ticks());
        let window = state.scheduler.window();
        here.cpu.open(window);
        let Some(owner) = window else { break decision };
        if owner.is_some_and(|vpe| here.cpu.has_attention(vpe)) {
            return Decided::Reviews;
        }
        // Letters for others came without an SGI. Each vPE gets one until it runs.
        if !look(here, &mut state) {
            break decision;
        }
    };
    let next = decision.run.and_then(|slot| {
        let next = percpu::of(state.scheduler.vpe(slot)?)?;
        let figures = state.scheduler.statistics(slot);
        let counters = &next.guest.vpe.counters;
        counters.set(Counter::Overruns, figures.overruns);
        counters.set(Counter::LongestWake, figures.wake_to_run.max().unwrap_or(0));
        Some(next)
    });
    let mut deadline = decision.deadline.unwrap_or(NEVER).min(here.cpu.leaves_at());
    if let Some(next) = next {
        rings::deliver_due(next);
        deadline = deadline.min(rings::due(next.vpe));
    }
    here.cpu.decide_at(deadline);
    match next {
        Some(next) if state.give(next, here, frame) => Decided::Runs,
        Some(next) => Decided::Loads(next),
        None => {
            state.take_away(here);
            Decided::Nobody
        }
    }
}

/// Handles one acknowledged interrupt, whoever has the CPU.
pub fn take(here: Here, intid: u32) -> Taken {
    if intid == TIMER {
        gic::drop_priority(intid);
        match here.cpu.state.lock().current {
            Some(current) => vgic::inject_timer(&current.guest, &mut Hardware),
            None => gic::deactivate::<Built>(intid),
        }
        return Taken::Done;
    }
    if is_private(intid) {
        gic::drop_priority(intid);
        let has = |current: &&PerCpu| current.guest.config.ppis >> intid & 1 != 0;
        match here.cpu.state.lock().current.filter(has) {
            Some(current) => vgic::inject_private(&current.guest, &mut Hardware, intid),
            None => gic::deactivate::<Built>(intid),
        }
        return Taken::Done;
    }
    if intid == HYPERVISOR_TIMER {
        timer::stop();
        end(intid);
        if here.cpu.quiet_is_due() {
            console::quiet();
        }
        if here.cpu.looks_at() <= ticks() {
            watchdog::look(here.physical.index);
        }
        return Taken::Decide;
    }
    if intid == u32::from(KNOCK) {
        end(intid);
        answer(here);
        return Taken::Decide;
    }
    if is_spi(intid) {
        gic::drop_priority(intid);
        return spi(here, intid);
    }
    if intid >= FIRST_LPI {
        gic::drop_priority(intid);
        return doorbell(here, intid);
    }
    if gic::is_nothing(intid) {
        return Taken::Nothing;
    }
    if intid == MAINTENANCE
        && let Some(current) = here.cpu.state.lock().current
    {
        vgic::flush(&current.guest, &mut Hardware);
    }
    if Some(intid) == PLAN.board.console.intid() {
        console::interrupt();
    }
    if dma::ANY && dma::is_own(intid) {
        dma::interrupt(intid);
    }
    end(intid);
    if intid == u32::from(ATTENTION) {
        console::pump();
    }
    Taken::Done
}

/// Looks after the vPEs for which something waits in software.
fn answer(here: Here) {
    look(here, &mut here.cpu.state.lock());
}

/// True: there were some.
fn look(here: Here, state: &mut State) -> bool {
    let now = ticks();
    here.cpu.take_knocks(|vpe| {
        if let Some(current) = state.current
            && current.vpe == vpe
        {
            shared::looks(vpe);
            vgic::deliver(&current.guest, &mut Hardware);
            here.cpu.enable_ppis(current.guest.enabled_ppis());
        } else {
            wake(here, state, vpe, now);
        }
    })
}

/// An interrupt is pending for `vpe`, which does not have the CPU.
fn wake(here: Here, state: &mut State, vpe: VpeIndex, now: u64) {
    if !here.has(vpe) {
        // Its letter came late, or an SPI was routed to it while it was taken here: then it may have a CPU of its own.
        if !shared::send_on(vpe) {
            Hardware.kick(vpe);
        }
        return;
    }
    match shared::slot_of(vpe) {
        Some(slot) => state.scheduler.wake(slot, now),
        None => modes::parked(vpe, |task| task.wake(now)),
    }
}

/// An SPI goes to the vPE that its VM chose; it is active in hardware until that vPE ends it.
fn spi(here: Here, intid: u32) -> Taken {
    let owner = PLAN.spis.get(intid.wrapping_sub(32) as usize).copied().flatten();
    let Some((vm, state)) =
        owner.and_then(|owner| Some((PLAN.vms.get(owner.vm.index())?, VMS.get(owner.vm.index())?)))
    else {
        gic::deactivate::<Built>(intid);
        return Taken::Done;
    };
    let distributor = &state.distributor;
    let vpe_of = |number| VpeIndex::new(vm.first_vpe.wrapping_add(number as u16));
    let mut state = here.cpu.state.lock();
    let number = distributor.route_of(intid);
    if let Some(current) = state.current
        && number < usize::from(vm.vpe_count)
        && current.vpe == vpe_of(number)
    {
        vgic::inject_spi(&current.guest, &mut Hardware, intid);
        return Taken::Done;
    }
    let first = usize::from(vm.first_vpe);
    let vpes = VPES.get(first..first + usize::from(vm.vpe_count)).unwrap_or(&[]);
    if let Some(number) = vgic::hold_spi(distributor, &mut Hardware, vpes, intid) {
        wake(here, &mut state, vpe_of(number), ticks());
    }
    Taken::Decide
}

/// The vPE whose doorbell has this INTID has work.
fn doorbell(here: Here, intid: u32) -> Taken {
    let Some(this) = vpe_of_doorbell(intid).and_then(percpu::of) else { return Taken::Done };
    match residency::rang(this, here.physical) {
        Ok(true) => {
            let mut state = here.cpu.state.lock();
            wake(here, &mut state, this.vpe, ticks());
            // In another's window it is only marked.
            let waits = state.scheduler.window().is_some_and(|owner| owner != Some(this.vpe));
            if waits { Taken::Done } else { Taken::Decide }
        }
        Ok(false) => Taken::Done,
        Err(error) => crate::broken(error),
    }
}

/// vPE of each doorbell, from LPI 8192 on.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
static DOORBELLS: [u16; doorbells()] = {
    let mut vpes = [u16::MAX; doorbells()];
    let mut vpe = 0;
    while vpe < PLAN.vpes.len() {
        if let Some(tables) = &PLAN.vpes[vpe].tables
            && shared::ANY
        {
            vpes[(tables.doorbell.intid - FIRST_LPI) as usize] = vpe as u16;
        }
        vpe += 1;
    }
    vpes
};

/// How many entries there are: up to the highest doorbell.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const fn doorbells() -> usize {
    let (mut count, mut vpe) = (0, 0);
    while vpe < PLAN.vpes.len() && shared::ANY {
        if let Some(tables) = &PLAN.vpes[vpe].tables {
            let index = (tables.doorbell.intid - FIRST_LPI) as usize;
            count = if index < count { count } else { index + 1 };
        }
        vpe += 1;
    }
    count
}

fn vpe_of_doorbell(intid: u32) -> Option<VpeIndex> {
    let vpe = *DOORBELLS.get(intid.wrapping_sub(FIRST_LPI) as usize)?;
    (vpe != u16::MAX).then_some(VpeIndex::new(vpe))
}

/// The vPE that has the CPU waits for an interrupt, by WFI. False: there is one.
pub fn wait(here: Here, this: &PerCpu) -> bool {
    if switch::has_interrupt(this) {
        return false;
    }
    block(here, this);
    true
}

/// It has nothing to do until an interrupt is pending for it.
fn block(here: Here, this: &PerCpu) {
    let mut state = here.cpu.state.lock();
    let idle = timer_is_idle();
    let Some((paused, pending)) = state.release(here) else { return };
    let Some(slot) = shared::slot_of(this.vpe) else { return };
    let now = ticks();
    if pending {
        state.scheduler.wake(slot, now);
    }
    let until = next_timer(this, &paused, idle).unwrap_or(NEVER).min(rings::due(this.vpe));
    state.scheduler.block(slot, Some(until), now);
}

/// The vPE that has the CPU waits for the physical ITS until `time`; others have the CPU meanwhile. Its events wait as long, its
/// timers do not.
pub fn wait_until(here: Here, this: &PerCpu, time: u64) {
    let mut state = here.cpu.state.lock();
    let idle = timer_is_idle();
    state.take_away(here);
    let Some(slot) = shared::slot_of(this.vpe) else { return };
    let timer =
        away(this.vpe, |away| away.paused()).and_then(|paused| next_timer(this, &paused, idle));
    let until = timer.unwrap_or(NEVER).min(time).min(rings::due(this.vpe));
    state.scheduler.block(slot, Some(until), ticks());
}

/// While the vPE of this CPU holds the timer's interrupt, it cannot ask for another one.
fn timer_is_idle() -> bool {
    this::get::<Built>().is_none_or(|this| !vgic::holds_timer(&this.guest, &Hardware))
}

/// When a timer of a vPE asks for an interrupt that it would take.
fn next_timer(this: &PerCpu, paused: &Paused, idle: bool) -> Option<u64> {
    let enabled = this.guest.enabled_ppis() >> TIMER & 1 != 0;
    let fires_at = if idle && enabled { paused.timer.fires_at() } else { None };
    if !paused.physical {
        return fires_at;
    }
    fires_at.into_iter().chain(physical::wakes_at(this)).min()
}

/// CPU_SUSPEND: the vPE waits; with `resume` it loses its registers and goes on there.
pub fn suspend(here: Here, this: &PerCpu, resume: Option<Start>, frame: &mut Frame) {
    let waits = !switch::has_interrupt(this);
    if let Some(start) = resume {
        if waits {
            block(here, this);
        } else {
            here.cpu.state.lock().take_away(here);
        }
        gic::reset_virtual_control();
        guest::reset(start.entry);
        frame.start(start.context);
        away(this.vpe, |away| {
            away.timer = VirtualTimer::OFF;
            away.physical.reset();
        });
    } else if waits {
        block(here, this);
    }
}

/// The power state or the VM of a vPE may have changed.
fn review(here: Here, vpe: VpeIndex) {
    let Some(this) = percpu::of(vpe) else { return };
    if !here.has(vpe) {
        crate::gic::platform::attention(vpe);
        return;
    }
    let guest = &this.guest;
    if let Some(esr) = serror::charged(vpe) {
        trap::charged(guest, esr);
    }
    if watchdog::ANY && guest.number == 0 {
        watchdog::look(here.physical.index);
    }
    // Without a slot it begins, and its VM is loaded, when a mode has one for it.
    if let Some(slot) = shared::slot_of(vpe)
        && guest.vpe.power.loads()
    {
        here.cpu.state.lock().scheduler.on(slot, ticks());
    } else if let Some(slot) = shared::slot_of(vpe)
        && let Some(start) = guest.vpe.power.take_start()
    {
        let mut state = here.cpu.state.lock();
        state.forget(vpe);
        state.distrust(PLAN.vpes.get(vpe.index()).map_or(0, |vpe| vpe.vm.index()));
        away(vpe, |away| away.context.start(start.entry, start.context));
        state.scheduler.on(slot, ticks());
    }
    if matches!(guest.vpe.power.state(), power::State::On | power::State::Suspended)
        && !guest.vm.health.running()
    {
        withdraw(here, this);
        guest.vpe.power.turn_off();
        run::collect(guest.config, vpe);
    }
}

/// Takes a vPE that went off out of this CPU. Its power state is the caller's.
pub fn withdraw(here: Here, this: &PerCpu) {
    rings::deliver_all(this);
    let mut state = here.cpu.state.lock();
    if state.is_current(this.vpe) {
        let _ = state.release(here);
    }
    state.forget(this.vpe);
    match shared::slot_of(this.vpe) {
        Some(slot) => state.scheduler.off(slot, ticks()),
        None => modes::parked(this.vpe, |task| *task = Task::OFF),
    }
}

/// From the vectors: an interrupt came while a vPE of a shared CPU ran. True: `settle` is to decide.
pub fn interrupted(this: &PerCpu, intid: u32) -> Option<bool> {
    let here = Here::of(this)?;
    Some(take(here, intid) == Taken::Decide)
}
