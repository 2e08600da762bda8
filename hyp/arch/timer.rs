//! The hypervisor's own timer on each CPU (DDI 0487 D12, CNTHP_*_EL2).

use super::sysreg::write;

/// Its interrupt comes once `ticks` have passed, unless it is set again or stopped before.
pub fn set(ticks: u64) {
    write!("cnthp_tval_el2", ticks);
    write!("cnthp_ctl_el2", 1);
}

/// No interrupt.
pub fn stop() {
    write!("cnthp_ctl_el2", 0);
}
