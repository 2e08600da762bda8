//! From one mode to another: what the CPUs concerned do when `sched::Switchover` says so.
//!
//! 1. `request` agrees on a time and sets it at each CPU concerned; until then nothing changes. Asked again for the same mode, it
//!    does so again at the CPUs that have not left.
//! 2. From that time on each of them, in `turns`, takes its vPE out (`leave`): residency over, registers in memory, tasks
//!    parked in `TASKS`.
//! 3. The last one runs the switch's ITS commands (VMOVP and VSYNC of each vPE that moves, MOVI of its doorbell), writes the
//!    new places and sends SPIs to the CPUs where their vPEs are now.
//! 4. Each takes its new schedule and looks at all its vPEs once, since letters may have come to the old place.
//!
//! A doorbell or a knock that a CPU takes for a vPE that has moved is sent on; a wake for a vPE between two CPUs, or without
//! a place in this mode, goes to its parked task. CPUs not concerned never notice. Bounds: one pass through the vPEs and
//! SPIs of the system, the fixed list of commands, and the time until the last CPU arrives.

use crate::gic::{its, rings};
use crate::life::{load, watchdog};
use crate::state::percpu::{self, VMS, VPES};
use crate::state::plan_data::PLAN;
use crate::state::shared::{self, Here};
use crate::state::system::Built;
use arch::mmu;
use arch::sysreg::{Pause, pause, ticks};
use arch::vectors::Frame;
use gicv4::IntId;
use gicv4::dist::Dist;
use plan::{CpuIndex, ModeIndex, ModeSwitch, VmIndex, VpeIndex};
use sched::{Departure, Refused, Switchover, Task};
use spin::Mutex;
use spin::mutex::TicketMutex;

/// The system has modes.
pub const ANY: bool = PLAN.modes.is_some();

static SWITCHOVER: TicketMutex<Option<Switchover>, Pause> = TicketMutex::new(match &PLAN.modes {
    Some(modes) => Some(Switchover::new(modes, 0)),
    None => None,
});

/// Tasks of vPEs that no scheduler has.
static TASKS: [Mutex<Task>; PARKED] = [const { Mutex::new(Task::OFF) }; PARKED];
const PARKED: usize = if ANY { shared::VPES } else { 0 };

/// Changes the parked task of `vpe`.
pub fn parked(vpe: VpeIndex, change: impl FnOnce(&mut Task)) {
    if let Some(task) = TASKS.get(vpe.index()) {
        change(&mut task.lock());
    }
}

/// A VM asks for a mode, or with None the hypervisor itself.
pub fn request(asker: Option<VmIndex>, to: ModeIndex) -> Result<(), Refused> {
    if !ANY {
        return Err(Refused::NoSuchMode);
    }
    let mut switchover = SWITCHOVER.lock();
    let Some(switchover) = switchover.as_mut() else { return Err(Refused::NoSuchMode) };
    let agreed = switchover.request(asker, to, ticks())?;
    for index in (0..PLAN.cpus.len() as u16).map(CpuIndex::new) {
        if agreed.cpus >> index.value() & 1 != 0
            && let Some(cpu) = shared::cpu(index)
        {
            // Asked again, it knows already.
            if cpu.leave_at(agreed.at) {
                cpu.knock(index);
            }
        }
    }
    Ok(())
}

/// This CPU's part of a switch whose time has come. Returns with its new schedule.
pub fn switch(here: Here, frame: &Frame) {
    let departure = {
        let mut state = here.cpu.state.lock();
        state.take_away(here);
        state.unload(frame);
        here.cpu.open(None);
        here.vpes().filter_map(percpu::of).for_each(rings::deliver_all);
        state.scheduler.leave(ticks(), |vpe, task| parked(vpe, |parked| *parked = task));
        lock(|switchover| {
            // Not earlier: until the CPU has left, a request for the same mode may set its time again.
            here.cpu.leave_at(sched::NEVER);
            switchover.leave(here.physical.index)
        })
    };
    if let Some(Departure::Move(switch)) = departure {
        carry_out(switch);
    }
    let index = here.physical.index;
    let schedule = loop {
        match lock(|switchover| switchover.enter(index)) {
            Some(Some(schedule)) => break schedule,
            _ => pause(),
        }
    };
    let mut state = here.cpu.state.lock();
    state.schedule = schedule;
    state.distrust_translations();
    state.scheduler.enter(schedule, ticks(), |vpe| {
        let mut task = Task::OFF;
        parked(vpe, |parked| task = core::mem::replace(parked, Task::OFF));
        task
    });
    drop(state);
    if let Some(Some(next)) = lock(Switchover::wanted) {
        // Steady a moment ago: whoever came in between stands for a mode, too, and this one comes after it.
        let _ = request(None, next);
    }
    for vpe in here.vpes() {
        percpu::make(vpe);
        shared::attention(vpe);
        if VPES.get(vpe.index()).is_some_and(|vpe| vpe.redistributor.has_waiting()) {
            shared::send_on(vpe);
        }
    }
}

fn lock<R>(change: impl FnOnce(&mut Switchover) -> R) -> Option<R> {
    SWITCHOVER.lock().as_mut().map(change)
}

/// Nobody concerned runs.
fn carry_out(switch: &ModeSwitch) {
    its::run(switch.script).unwrap_or_else(|error| crate::broken(error));
    let distributor = Dist::new(mmu::distributor::<Built>());
    lock(|switchover| {
        switchover.moved();
        for vpe in (0..PLAN.vpes.len() as u16).map(VpeIndex::new) {
            let placement = switchover.placement(vpe);
            shared::place(vpe, placement, switch.cpus);
        }
    });
    if watchdog::ANY {
        watchdog::moved();
    }
    for (vm, state) in PLAN.vms.iter().zip(&VMS) {
        for intid in state.distributor.spis() {
            let number = state.distributor.route_of(intid);
            // One that goes to nobody stays so.
            if number < usize::from(vm.vpe_count)
                && let Some(cpu) =
                    percpu::cpu_of(VpeIndex::new(vm.first_vpe.wrapping_add(number as u16)))
            {
                distributor.route(IntId::new(intid), cpu.mpidr);
            }
        }
    }
}

/// VMs that begin in no place of the first mode: their interrupts are known before a mode has one for them, where they load.
pub fn prepare_homeless() {
    for index in (0..PLAN.vpes.len() as u16).map(VpeIndex::new) {
        if let Some(vpe) = PLAN.vpes.get(index.index())
            && vpe.number == 0
            && shared::home_of(index).is_some()
            && shared::of(index).is_none()
        {
            load::reset_registers(vpe.vm);
        }
    }
}

/// The mode that the plan wants when this VM has failed.
pub fn after_fault(vm: &plan::Vm) {
    if let Some(mode) = vm.mode_on_fault {
        // While another switch is under way, this one comes after it.
        let _ = request(None, mode);
    }
}
