// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a CPU signals by PPIs: each source can be made to ask for its interrupt, for a moment.
//!
//! At boot, before any guest has one of them. DDI 0487 D12.2 (a timer with CVAL = 0 meets its
//! condition), D13.3.1 (overflow); IHI 0069H 12.4 (ICH_HCR_EL2.NPIE: no list register is pending).

use super::gic::{ICH_ENABLE, read_ich_hcr, write_ich_hcr};
use super::sysreg::{dsb_sy, isb, read, write};

/// Who signals.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// EL2's own timer.
    HypervisorTimer,
    /// The virtual CPU interface.
    Maintenance,
    /// EL1's virtual timer.
    VirtualTimer,
    /// EL1's physical timer.
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
                write!(CNTHP_CVAL_EL2, 0);
                write!(CNTHP_CTL_EL2, 1);
            }
            // The list registers are empty.
            Self::Maintenance => write_ich_hcr(ICH_ENABLE | NONE_PENDING),
            Self::VirtualTimer => {
                write!(CNTV_CVAL_EL0, 0);
                write!(CNTV_CTL_EL0, 1);
            }
            Self::PhysicalTimer => {
                write!(CNTP_CVAL_EL0, 0);
                write!(CNTP_CTL_EL0, 1);
            }
            Self::Overflow => {
                write!(PMCR_EL0, read!(PMCR_EL0) | 1);
                write!(PMOVSSET_EL0, CYCLES);
                // Last: QEMU does not look at the line when PMCR_EL0.E changes.
                write!(PMINTENSET_EL1, CYCLES);
            }
        }
        isb();
        dsb_sy();
    }

    /// It asks no more.
    pub fn release(self) {
        match self {
            Self::HypervisorTimer => write!(CNTHP_CTL_EL2, 0),
            Self::Maintenance => write_ich_hcr(read_ich_hcr() & !NONE_PENDING),
            Self::VirtualTimer => write!(CNTV_CTL_EL0, 0),
            Self::PhysicalTimer => write!(CNTP_CTL_EL0, 0),
            Self::Overflow => {
                write!(PMINTENCLR_EL1, CYCLES);
                write!(PMOVSCLR_EL0, CYCLES);
                write!(PMCR_EL0, read!(PMCR_EL0) & !1);
            }
        }
        isb();
        dsb_sy();
    }
}
