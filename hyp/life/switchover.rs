// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From one mode to another: what the CPUs concerned do when `sched::Switchover` says so.
//!
//! 1. `mode::request` agrees on a time and sets it at each CPU concerned; until then nothing
//!    changes. Asked again for the same mode, it does so again at the CPUs that have not left.
//! 2. From that time on each of them, in its run loop, takes its vPE out (`leave`): residency over,
//!    registers in memory, tasks parked (mode.rs).
//! 3. The last one runs the switch's ITS commands (VMOVP and VSYNC of each vPE that moves, MOVI of
//!    its doorbell), writes the new places and sends SPIs to the CPUs where their vPEs are now.
//! 4. Each takes its new schedule and looks at all its vPEs once, since mail may have come to the
//!    old place.
//!
//! A doorbell or a kick that a CPU takes for a vPE that has moved is sent on; a wake for a vPE
//! between two CPUs, or without a place in this mode, goes to its parked task. CPUs not concerned
//! never notice. Bounds: one pass through the vPEs and SPIs of the system, the fixed list of
//! commands, and the time until the last CPU arrives.

use super::{load, mode, watchdog};
use crate::gic::{its, rings};
use crate::io::{halt, report};
use crate::state::cpu::Here;
use crate::state::parts::WATCHDOGS;
use crate::state::plan_data::PLAN;
use crate::state::system::Built;
use crate::state::vms::{self, VMS, VPES};
use crate::state::{ipi, places, vpe};
use arch::frame::Frame;
use arch::sysreg::{pause, ticks};
use arch::{given, mmu};
use gicv4::IntId;
use gicv4::dist::Dist;
use plan::{ModeSwitch, VpeIndex};
use sched::{Departure, Switchover, Task};

/// This CPU's part of a switch whose time has come. Returns with its new schedule.
pub fn switch(here: Here, frame: &Frame) {
    let departure = {
        let mut running = here.running();
        running.take_away(here);
        running.unload(frame);
        here.open(None);
        here.vpes().filter_map(vpe::of).for_each(rings::deliver_all);
        running.scheduler.leave(ticks(), |vpe, task| mode::parked(vpe, |parked| *parked = task));
        mode::lock(|switchover| {
            // Not earlier: until the CPU has left, a request for the same mode may set its time
            // again.
            here.leave_at(sched::NEVER);
            switchover.leave(here.local.index)
        })
    };
    if let Some(Departure::Move(switch)) = departure {
        carry_out(switch);
    }
    let index = here.local.index;
    let schedule = loop {
        match mode::lock(|switchover| switchover.enter(index)) {
            Some(Some(schedule)) => break schedule,
            _ => pause(),
        }
    };
    let mut running = here.running();
    running.schedule = schedule;
    running.distrust_translations();
    running.scheduler.enter(schedule, ticks(), |vpe| {
        let mut task = Task::OFF;
        mode::parked(vpe, |parked| task = core::mem::replace(parked, Task::OFF));
        task
    });
    drop(running);
    if let Some(Some(next)) = mode::lock(Switchover::wanted) {
        // Steady a moment ago: whoever came in between stands for a mode, too, and this one comes
        // after it.
        let _ = mode::request(None, next);
    }
    for vpe in here.vpes() {
        vpe::make(vpe);
        ipi::review(vpe);
        if VPES.get(vpe.index()).is_some_and(|vpe| vpe.redistributor.has_waiting()) {
            ipi::kick_again(vpe);
        }
    }
}

/// Nobody concerned runs.
fn carry_out(switch: &'static ModeSwitch) {
    its::run(given::switch_script::<Built>(switch)).unwrap_or_else(|error| halt::broken(error));
    let distributor = Dist::new(mmu::distributor::<Built>());
    mode::lock(|switchover| {
        switchover.moved();
        report::mode(switchover.current());
        for vpe in (0..PLAN.vpes.len() as u16).map(VpeIndex::new) {
            let placement = switchover.placement(vpe);
            places::place(vpe, placement, switch.cpus);
        }
    });
    if WATCHDOGS {
        watchdog::moved();
    }
    for (vm, state) in PLAN.vms.iter().zip(&VMS) {
        for intid in state.distributor.spis() {
            let number = state.distributor.route_of(intid);
            // One that goes to nobody stays so.
            if number < usize::from(vm.vpe_count)
                && let Some(cpu) = places::plan_of(vms::vpe(vm, number))
            {
                distributor.route(IntId::new(intid), cpu.mpidr);
            }
        }
    }
}

/// VMs that begin in no place of the first mode: their interrupts are known before a mode has one
/// for them, where they load.
pub fn prepare_homeless() {
    for index in (0..PLAN.vpes.len() as u16).map(VpeIndex::new) {
        if let Some(vpe) = PLAN.vpes.get(index.index())
            && vpe.number == 0
            && places::slot_of(index).is_none()
        {
            load::reset_registers(vpe.vm);
        }
    }
}
