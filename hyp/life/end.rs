// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The end of a VM, and of the system.

use super::{devices, load};
use crate::gic::hardware::Hardware;
use crate::io::report;
use crate::state::ipi;
use crate::state::plan_data::{PLAN, VM_COUNT};
use crate::state::system::Built;
use crate::state::vms::{VMS, is_off, vpes};
use arch::{smc, sysreg};
use core::sync::atomic::{AtomicBool, Ordering::SeqCst};
use plan::{PowerOff, Vm, VpeIndex};
use spin::mutex::TicketMutex;
use vm::health::Life;

/// Held by whoever collects the vPEs of a VM.
static COLLECTING: [TicketMutex<(), sysreg::Pause>; VM_COUNT] =
    [const { TicketMutex::new(()) }; VM_COUNT];
/// Somebody ends the system.
static ENDING: AtomicBool = AtomicBool::new(false);

/// If all vPEs of the VM are off: has it start again, or ends the system if it was the last.
pub fn collect(vm: &'static Vm, one_of_them: VpeIndex) {
    let Some(index) = PLAN.vpes.get(one_of_them.index()).map(|vpe| vpe.vm) else { return };
    let (Some(state), Some(lock)) = (VMS.get(index.index()), COLLECTING.get(index.index())) else {
        return;
    };
    let guard = lock.lock();
    if !vpes(vm).all(is_off) {
        return;
    }
    match state.health.state() {
        Life::Restarting => {
            load::again(index);
            ipi::review(VpeIndex::new(vm.first_vpe));
        }
        Life::Off | Life::Failed(_) => {
            devices::stop(vm, false);
            state.distributor.quiesce(&mut Hardware);
            drop(guard);
            end();
        }
        Life::Running => {}
    }
}

/// If no VM runs any more, says how it went and does what the plan wants then. Once.
fn end() {
    let all_off = (0..PLAN.vpes.len() as u16).map(VpeIndex::new).all(is_off);
    let ended = VMS.iter().all(|vm| vm.health.ended());
    if !all_off || !ended || ENDING.swap(true, SeqCst) {
        return;
    }
    report::end();
    if PLAN.when_all_off == PowerOff::PowerOff {
        smc::system_off::<Built>();
    }
}
