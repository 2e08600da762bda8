//! The CPU's own data, by TPIDR_EL2.

use super::sysreg::{read, write};
use crate::state::percpu::PerCpu;

/// Makes `cpu` what `this` gives on the calling CPU.
pub fn set(cpu: &'static PerCpu) {
    write!("tpidr_el2", cpu as *const PerCpu as u64);
}

/// The calling CPU's own data. Only after `set`: nothing that runs before, on boot's way, asks.
#[inline(always)]
pub fn this() -> &'static PerCpu {
    let pointer = read!("tpidr_el2") as *const PerCpu;
    // SAFETY: `set` stored a reference to a static, before this CPU's first guest and first interrupt; EL1 cannot
    // write TPIDR_EL2.
    unsafe { &*pointer }
}
