// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Counters, faults and the end of the system, on the console.

use super::{console, pages, printer};
use crate::state::plan_data::{PLAN, VM_COUNT};
use crate::state::vms::{VMS, vm_of};
use arch::sysreg::{ticks, ticks_per_second};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use plan::ModeIndex;
use vm::Guest;
use vm::health::{Action, Fault};

/// When a guest last got the table, in ticks; when a mode and a fault of each VM were last told.
static SHOWN: AtomicU64 = AtomicU64::new(0);
static MODE_TOLD: AtomicU64 = AtomicU64::new(0);
static TOLD: [AtomicU64; VM_COUNT] = [const { AtomicU64::new(0) }; VM_COUNT];

/// True at most once a second: a guest that asks all the time does not keep the console from
/// others.
#[inline(never)]
fn once_a_second(last: &AtomicU64) -> bool {
    let (now, before) = (ticks(), last.load(Relaxed));
    let due = before == 0 || now.wrapping_sub(before) >= ticks_per_second();
    due && last.compare_exchange(before, now | 1, Relaxed, Relaxed).is_ok()
}

/// The table of every vPE's counters, for a guest.
#[inline(never)]
pub fn counters_for_guest() {
    if once_a_second(&SHOWN) {
        pages::ask(pages::COUNTERS);
        console::pump_for_guest();
    }
}

/// The system is in another mode. Of many switches, one line a second.
pub fn mode(mode: ModeIndex) {
    printer::mode(mode, once_a_second(&MODE_TOLD));
}

/// How each VM ended, and the result, after all that was asked for.
pub fn result() {
    console::write_last(&mut |out| vm::report::vms(&PLAN, &VMS, out));
}

/// The system ends: the table, how each VM ended, and the result, after all that was asked for.
pub fn end() {
    pages::ask(pages::COUNTERS);
    result();
}

/// A VM failed: why, and what becomes of it. Of a VM that fails again and again, one line a second,
/// and the last.
pub fn fault(guest: &Guest, fault: &Fault, action: Action) {
    let vm = vm_of(guest.vpe_index(0));
    let Some(told) = TOLD.get(vm) else { return };
    let due = once_a_second(told) || action == Action::Stop;
    printer::fault(vm, guest.number as u16, fault, action, due);
    if due {
        console::pump_for_guest();
    }
}
