//! What a CPU signals by PPIs: each source can be made to ask for its interrupt, for a moment.
//!
//! At boot, before any guest has one of them. DDI 0487 D12.2 (a timer with CVAL = 0 meets its condition), D13.3.1 (overflow);
//! IHI 0069H 12.4 (ICH_HCR_EL2.NPIE: no list register is pending).

use super::gic::{ICH_ENABLE, read_ich_hcr, write_ich_hcr};
use super::sysreg::{dsb_sy, isb, read, write};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Source {
    HypervisorTimer,
    Maintenance,
    VirtualTimer,
    PhysicalTimer,
    /// An overflow of the performance counters.
    Overflow,
}

/// ICH_HCR_EL2.NPIE.
const NONE_PENDING: u64 = 1 << 3;
/// The cycle counter, in PMOVSSET_EL0 and PMINTENSET_EL1.
const CYCLES: u64 = 1 << 31;

impl Source {
    /// It asks for its interrupt until [`Self::release`].
    pub fn signal(self) {
        match self {
            Self::HypervisorTimer => {
                write!("cnthp_cval_el2", 0);
                write!("cnthp_ctl_el2", 1);
            }
            // The list registers are empty.
            Self::Maintenance => write_ich_hcr(ICH_ENABLE | NONE_PENDING),
            Self::VirtualTimer => {
                write!("cntv_cval_el0", 0);
                write!("cntv_ctl_el0", 1);
            }
            Self::PhysicalTimer => {
                write!("cntp_cval_el0", 0);
                write!("cntp_ctl_el0", 1);
            }
            Self::Overflow => {
                write!("pmcr_el0", read!("pmcr_el0") | 1);
                write!("pmovsset_el0", CYCLES);
                // Last: QEMU does not look at the line when PMCR_EL0.E changes.
                write!("pmintenset_el1", CYCLES);
            }
        }
        isb();
        dsb_sy();
    }

    /// It asks no more.
    pub fn release(self) {
        match self {
            Self::HypervisorTimer => write!("cnthp_ctl_el2", 0),
            Self::Maintenance => write_ich_hcr(read_ich_hcr() & !NONE_PENDING),
            Self::VirtualTimer => write!("cntv_ctl_el0", 0),
            Self::PhysicalTimer => write!("cntp_ctl_el0", 0),
            Self::Overflow => {
                write!("pmintenclr_el1", CYCLES);
                write!("pmovsclr_el0", CYCLES);
                write!("pmcr_el0", read!("pmcr_el0") & !1);
            }
        }
        isb();
        dsb_sy();
    }
}
