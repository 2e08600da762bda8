// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The modes of a system: which it is in, who asks for another, and tasks that no CPU has.

use crate::io::report;
use crate::state::cpu;
use crate::state::intid::REVIEW;
use crate::state::parts::{MODES, SHARED_VPES, is_shared};
use crate::state::plan_data::PLAN;
use arch::sysreg::{Pause, ticks};
use plan::{CpuIndex, ModeIndex, VmIndex, VpeIndex};
use sched::{Refused, Switchover, Task};
use spin::Mutex;
use spin::mutex::TicketMutex;

static SWITCHOVER: TicketMutex<Option<Switchover>, Pause> = TicketMutex::new(match &PLAN.modes {
    Some(modes) => Some(Switchover::new(modes, 0)),
    None => None,
});

/// Tasks of vPEs that no scheduler has.
static TASKS: [Mutex<Task>; PARKED] = [const { Mutex::new(Task::OFF) }; PARKED];
const PARKED: usize = if MODES { SHARED_VPES } else { 0 };

/// Changes the parked task of `vpe`.
pub fn parked(vpe: VpeIndex, change: impl FnOnce(&mut Task)) {
    if let Some(task) = TASKS.get(vpe.index()) {
        change(&mut task.lock());
    }
}

/// A VM asks for a mode, or with None the hypervisor itself.
pub fn request(asker: Option<VmIndex>, to: ModeIndex) -> Result<(), Refused> {
    if !MODES {
        return Err(Refused::NoSuchMode);
    }
    let mut switchover = SWITCHOVER.lock();
    let Some(switchover) = switchover.as_mut() else { return Err(Refused::NoSuchMode) };
    let agreed = switchover.request(asker, to, ticks())?;
    // No CPU takes part: the switch is over.
    if agreed.cpus == 0 {
        report::mode(to);
    }
    for index in (0..PLAN.cpus.len() as u16).map(CpuIndex::new) {
        if agreed.cpus >> index.value() & 1 != 0
            && is_shared(index)
            && let Some(cpu) = cpu::of(index)
            // Asked again, it knows already.
            && cpu.leave_at(agreed.at)
        {
            cpu::signal(index, REVIEW);
        }
    }
    Ok(())
}

/// What is agreed. None: the system has no modes.
pub fn lock<R>(change: impl FnOnce(&mut Switchover) -> R) -> Option<R> {
    SWITCHOVER.lock().as_mut().map(change)
}

/// The mode that the plan wants when this VM has failed.
pub fn after_fault(vm: &plan::Vm) {
    if let Some(mode) = vm.mode_on_fault {
        // While another switch is under way, this one comes after it.
        let _ = request(None, mode);
    }
}
