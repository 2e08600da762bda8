// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Watchdogs: when their time is over, and what is done then.
//!
//! A VM's watchdog is looked after by the CPU of its vPE 0, by EL2's own timer there: it interrupts
//! whatever the guest does. A feed only moves the deadline (`vm::watchdog`); the timer that was set
//! for the earlier one finds nothing due and is set anew. Whoever makes a deadline earlier asks
//! that CPU to look.
//!
//! Time is real time. In a mode that has no place for vPE 0 it stands still, and begins anew with
//! the next mode that has one.

use super::{action, mode};
use crate::cpu::saved::saved;
use crate::io::report;
use crate::state::parts::WATCHDOGS;
use crate::state::plan_data::PLAN;
use crate::state::vms::{self, VMS};
use crate::state::vpe::{self, Vpe};
use crate::state::{cpu, ipi, places};
use arch::guest;
use arch::sysreg::ticks;
use plan::{CpuIndex, Vm, VpeIndex, Watchdog};
use vm::health::{Action, Fault, Reason};
use vm::watchdog::{Due, NEVER};
use vm::{Guest, VmState, vgic};

/// VMs with watchdogs: their vPE 0, its CPU, the rest.
fn all()
-> impl Iterator<Item = (VpeIndex, Option<CpuIndex>, &'static Vm, &'static VmState, &'static Watchdog)>
{
    PLAN.vms.iter().zip(&VMS).filter_map(|(vm, state)| {
        let first = VpeIndex::new(vm.first_vpe);
        Some((first, places::cpu_of(first), vm, state, vm.watchdog.as_ref()?))
    })
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
    if let Some(cpu) = cpu::of(cpu) {
        cpu.timer.look_at(next);
    }
}

/// Its first signal rose: the guest is interrupted.
fn warn(vm: &'static Vm, state: &VmState, watchdog: &Watchdog) {
    if let Some(number) = vgic::raise(&state.distributor, vms::states(vm), watchdog.intid) {
        ipi::kick(vms::vpe(vm, number));
    }
}

/// The VM was not fed.
fn expire(first: VpeIndex, state: &VmState, watchdog: &Watchdog) {
    let Some(this) = vpe::of(first) else { return };
    let fault = Fault { reason: Reason::Watchdog, esr: 0, far: 0, ipa: None, elr: elr(this) };
    let limit = this.guest.config.restarts;
    let action = match watchdog.action {
        Some(policy) => match state.health.fail(fault, policy, limit, ticks()) {
            // It stops already, for another reason.
            Action::Nothing => return,
            action => action,
        },
        None => Action::Nothing,
    };
    report::fault(&this.guest, &fault, action);
    if let Some(mode) = watchdog.mode {
        // While another switch is under way, this one comes after it.
        let _ = mode::request(None, mode);
    }
    action::act(&this.guest, action);
}

/// Where the vPE is, whose CPU is the calling one.
fn elr(this: &Vpe) -> u64 {
    let loaded = places::cpu_of(this.index)
        .and_then(cpu::of)
        .is_some_and(|cpu| cpu.running().is_loaded(this.index));
    if loaded {
        return guest::elr();
    }
    saved(this.index, |saved| saved.context.elr()).unwrap_or(0)
}

/// A guest feeds its watchdog.
pub fn feed(guest: &Guest, watchdog: &Watchdog) {
    if WATCHDOGS && guest.vm.watchdog.feed(watchdog, ticks()) {
        ipi::review(guest.vpe_index(0));
    }
}

/// The VM is about to run, first or again; the CPU of its first vPE then looks.
pub fn start(vm: &Vm, state: &VmState) {
    if let Some(watchdog) = &vm.watchdog {
        state.watchdog.pause(watchdog, !has_place(VpeIndex::new(vm.first_vpe)), ticks());
        state.watchdog.start(watchdog, ticks());
        ipi::review(VpeIndex::new(vm.first_vpe));
    }
}

/// The vPEs' places are a new mode's.
pub fn moved() {
    for (first, _, _, state, watchdog) in all() {
        state.watchdog.pause(watchdog, !has_place(first), ticks());
        ipi::review(first);
    }
}

/// The vPE has a CPU in this mode.
fn has_place(vpe: VpeIndex) -> bool {
    places::slot_of(vpe).is_some()
}
