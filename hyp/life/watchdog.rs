//! Watchdogs: when their time is over, and what is done then.
//!
//! A VM's watchdog is looked after by the CPU of its vPE 0, by EL2's own timer there: it interrupts whatever the guest does.
//! A feed only moves the deadline (`vm::watchdog`); the timer that was set for the earlier one finds nothing due and is set
//! anew. Whoever makes a deadline earlier asks that CPU to look. A shared CPU's timer serves its scheduler as well
//! (shared.rs), an exclusive one's the console and the ITS (alarm.rs).
//!
//! Time is real time. In a mode that has no place for vPE 0 it stands still, and begins anew with the next mode that has one.

use crate::cpu::alarm::{self, Caller};
use crate::cpu::away::away;
use crate::gic::platform::{Hardware, attention};
use crate::io::report;
use crate::life::{modes, run};
use crate::state::percpu::{self, PerCpu, VMS, VPES};
use crate::state::plan_data::{PLAN, VM_COUNT};
use crate::state::shared;
use arch::guest;
use arch::sysreg::ticks;
use plan::{CpuIndex, Vm, VpeIndex, Watchdog};
use vm::health::{Action, Fault, Reason};
use vm::watchdog::{Due, NEVER};
use vm::{Guest, Platform, VmState, vgic};

/// A VM of the plan's has a watchdog.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
pub const ANY: bool = {
    let mut vm = 0;
    while vm < VM_COUNT && PLAN.vms[vm].watchdog.is_none() {
        vm += 1;
    }
    vm < VM_COUNT
};
/// VMs with watchdogs: their vPE 0, its CPU, the rest.
fn all()
-> impl Iterator<Item = (VpeIndex, Option<CpuIndex>, &'static Vm, &'static VmState, &'static Watchdog)>
{
    PLAN.vms.iter().zip(&VMS).filter_map(|(vm, state)| {
        let first = VpeIndex::new(vm.first_vpe);
        Some((first, percpu::cpu_index_of(first), vm, state, vm.watchdog.as_ref()?))
    })
}

/// The timer of an exclusive CPU, the calling one, says that it is time.
pub fn called() {
    if let Some(cpu) = percpu::calling() {
        look(cpu);
    }
}

/// What is due on the calling CPU, `cpu`, and when to look again.
#[inline(never)]
pub fn look(cpu: CpuIndex) {
    let mut next = NEVER;
    for (first, at, vm, state, watchdog) in all() {
        if at != Some(cpu) || !state.health.running() {
            continue;
        }
        if state.watchdog.deadline() <= ticks() {
            match state.watchdog.look(watchdog, ticks()) {
                Due::Nothing => {}
                Due::Warning => warn(vm, state, watchdog),
                Due::Expired => expire(first, state, watchdog),
            }
        }
        next = next.min(state.watchdog.deadline());
    }
    match shared::cpu(cpu) {
        Some(shared) => shared.look_at(next),
        None => alarm::set(Caller::Watchdog, next),
    }
}

/// Its first signal rose: the guest is interrupted.
fn warn(vm: &'static Vm, state: &VmState, watchdog: &Watchdog) {
    let first = usize::from(vm.first_vpe);
    let vpes = VPES.get(first..first.wrapping_add(usize::from(vm.vpe_count))).unwrap_or(&[]);
    if let Some(number) = vgic::raise(&state.distributor, vpes, watchdog.intid) {
        Hardware.kick(VpeIndex::new(vm.first_vpe.wrapping_add(number as u16)));
    }
}

/// The VM was not fed.
fn expire(first: VpeIndex, state: &VmState, watchdog: &Watchdog) {
    let Some(this) = percpu::of(first) else { return };
    let fault = Fault { reason: Reason::Watchdog, esr: 0, far: 0, ipa: None, elr: elr(this) };
    let action = match watchdog.action {
        Some(policy) => match state.health.fail(fault, policy, ticks()) {
            // It stops already, for another reason.
            Action::Nothing => return,
            action => action,
        },
        None => Action::Nothing,
    };
    report::fault(&this.guest, &fault, action);
    if let Some(mode) = watchdog.mode {
        // While another switch is under way, this one comes after it.
        let _ = modes::request(None, mode);
    }
    run::act(&this.guest, action);
}

/// Where the vPE is, which has its turns on this CPU, or has it for itself.
fn elr(this: &PerCpu) -> u64 {
    match this.shared() {
        Some(cpu) if !cpu.state.lock().is_loaded(this.vpe) => {
            away(this.vpe, |away| away.context.elr()).unwrap_or(0)
        }
        _ => guest::elr(),
    }
}

/// A guest feeds its watchdog.
pub fn feed(guest: &Guest, watchdog: &Watchdog) {
    if ANY && guest.vm.watchdog.feed(watchdog, ticks()) {
        attention(guest.vpe_index(0));
    }
}

/// The VM is about to run, first or again; the CPU of its first vPE then looks.
pub fn start(vm: &Vm, state: &VmState) {
    if let Some(watchdog) = &vm.watchdog {
        state.watchdog.pause(watchdog, !has_place(VpeIndex::new(vm.first_vpe)), ticks());
        state.watchdog.start(watchdog, ticks());
        attention(VpeIndex::new(vm.first_vpe));
    }
}

/// The vPEs' places are a new mode's.
pub fn moved() {
    for (first, _, _, state, watchdog) in all() {
        state.watchdog.pause(watchdog, !has_place(first), ticks());
        attention(first);
    }
}

/// The vPE has a CPU in this mode.
fn has_place(vpe: VpeIndex) -> bool {
    shared::home_of(vpe).is_none() || shared::slot_of(vpe).is_some()
}
