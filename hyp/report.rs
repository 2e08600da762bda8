//! Counters, faults and the end of the system, on the console.

use crate::console;
use crate::percpu::{VMS, VPES};
use crate::plan_data::PLAN;
use plan::Fault as Policy;
use vm::Guest;
use vm::health::Fault;
use vm::text::Text;

/// The table of every vPE's counters.
pub fn counters() {
    console::write(|out| vm::report::counters(&PLAN, &VPES, out));
}

/// How each VM ended, and the result.
pub fn result() {
    console::write(|out| vm::report::vms(&PLAN, &VMS, out));
}

/// A VM failed: why, and what becomes of it.
pub fn fault(guest: &Guest, fault: &Fault) {
    console::write(|out| {
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
