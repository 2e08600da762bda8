//! Counters, faults and the end of the system, on the console.

use crate::arch::sysreg::{ticks, ticks_per_second};
use crate::console;
use crate::percpu::{VMS, VPES};
use crate::plan_data::{PLAN, VM_COUNT};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use plan::Fault as Policy;
use vm::Guest;
use vm::health::Fault;
use vm::text::Text;

/// When a guest last got the table, in ticks; and when a fault of each VM was last told.
static SHOWN: AtomicU64 = AtomicU64::new(0);
static TOLD: [AtomicU64; VM_COUNT] = [const { AtomicU64::new(0) }; VM_COUNT];

/// True at most once a second: a guest that asks all the time does not keep the console from others.
fn once_a_second(last: &AtomicU64) -> bool {
    let (now, before) = (ticks(), last.load(Relaxed));
    let due = before == 0 || now.wrapping_sub(before) >= ticks_per_second();
    due && last.compare_exchange(before, now | 1, Relaxed, Relaxed).is_ok()
}

/// The table of every vPE's counters, for a guest.
pub fn counters_for_guest() {
    if once_a_second(&SHOWN) {
        counters();
    }
}

/// The table of every vPE's counters.
#[inline(never)]
pub fn counters() {
    console::write(&mut |out| vm::report::counters(&PLAN, &VPES, out));
}

/// How each VM ended, and the result.
pub fn result() {
    console::write(&mut |out| vm::report::vms(&PLAN, &VMS, out));
}

/// A VM failed: why, and what becomes of it. Of a VM that fails again and again, one line a second.
pub fn fault(guest: &Guest, fault: &Fault) {
    let vm = PLAN.vpes.get(usize::from(guest.config.first_vpe)).map_or(0, |vpe| vpe.vm.index());
    if TOLD.get(vm).is_some_and(|last| !once_a_second(last)) {
        return;
    }
    console::write(&mut |out| {
        out.text("bulkhead: fault of ");
        out.text(guest.config.name);
        out.text("/");
        out.decimal(guest.number as u64);
        out.text(": ");
        out.text(fault.reason.name());
        out.text(" at ");
        out.hex(fault.elr);
        out.text(", esr ");
        out.hex(fault.esr);
        out.text(", far ");
        out.hex(fault.far);
        out.text(match guest.config.on_fault {
            Policy::Halt => "; it is stopped\n",
            Policy::Restart => "; it restarts\n",
            Policy::ResetBoard => "; the board is reset\n",
        });
    });
}
