//! The counters and the end of the system, on the console.

use crate::console;
use crate::percpu::{VMS, VPES};
use crate::plan_data::PLAN;

/// The table of every vPE's counters.
pub fn counters() {
    console::write(|out| vm::report::counters(&PLAN, &VPES, out));
}

/// How each VM ended, and the result.
pub fn result() {
    console::write(|out| vm::report::vms(&PLAN, &VMS, out));
}
