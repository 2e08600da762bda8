// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The generic timer: EL2's own deadline, and the timers of a vPE that does not run.
//!
//! DDI 0487 D12. CNTVOFF_EL2 is 0, so that a guest's compare values are times of the counter that
//! EL2 reads.

use super::sysreg::{isb, read, write};

/// CNTHCTL_EL2 (E2H = 0): the physical counter is the guest's to read.
pub const COUNTER: u64 = 1;
/// The same, and the physical timer is.
pub const COUNTER_AND_TIMER: u64 = 1 | 1 << 1;

const ENABLE: u64 = 1;
const MASK: u64 = 1 << 1;

/// When a timer with these values asks for an interrupt; None: never.
#[inline]
fn fires_at(control: u64, compare: u64) -> Option<u64> {
    (control & (ENABLE | MASK) == ENABLE).then_some(compare)
}

/// CNTV_CTL_EL0 and CNTV_CVAL_EL0 of a vPE whose timer is not in the CPU.
#[derive(Clone, Copy)]
pub struct VirtualTimer {
    control: u64,
    compare: u64,
}

impl VirtualTimer {
    /// As after reset.
    pub const OFF: Self = Self { control: 0, compare: 0 };

    /// As it is in the CPU.
    pub fn read() -> Self {
        Self { control: read!(CNTV_CTL_EL0), compare: read!(CNTV_CVAL_EL0) }
    }

    /// Its control and its compare value.
    pub fn told(self) -> (u64, u64) {
        (self.control, self.compare)
    }

    /// Takes it out of the CPU: its interrupt goes away.
    #[inline]
    pub fn take() -> Self {
        let timer = Self { control: read!(CNTV_CTL_EL0), compare: read!(CNTV_CVAL_EL0) };
        write!(CNTV_CTL_EL0, 0);
        isb();
        timer
    }

    /// Puts it back.
    #[inline]
    pub fn put(self) {
        write!(CNTV_CVAL_EL0, self.compare);
        write!(CNTV_CTL_EL0, self.control);
        isb();
    }

    /// When it asks for an interrupt; None: never as it is set.
    #[inline]
    pub fn fires_at(self) -> Option<u64> {
        fires_at(self.control, self.compare)
    }
}

/// CNTP_CTL_EL0 and CNTP_CVAL_EL0 of a vPE whose timer is not in the CPU.
#[derive(Clone, Copy)]
pub struct PhysicalTimer {
    control: u64,
    compare: u64,
}

impl PhysicalTimer {
    /// As after reset.
    pub const OFF: Self = Self { control: 0, compare: 0 };

    /// Takes it out of the CPU: its interrupt goes away, and the next guest's first access comes to
    /// EL2.
    pub fn take() -> Self {
        let timer = Self { control: read!(CNTP_CTL_EL0), compare: read!(CNTP_CVAL_EL0) };
        write!(CNTP_CTL_EL0, 0);
        write!(CNTHCTL_EL2, COUNTER);
        isb();
        timer
    }

    /// Puts it back, for the guest to use.
    pub fn put(self) {
        write!(CNTP_CVAL_EL0, self.compare);
        write!(CNTP_CTL_EL0, self.control);
        write!(CNTHCTL_EL2, COUNTER_AND_TIMER);
        isb();
    }

    /// When it asks for an interrupt; None: never as it is set.
    pub fn fires_at(self) -> Option<u64> {
        fires_at(self.control, self.compare)
    }
}

/// No interrupt of EL2's own timer.
pub fn stop() {
    write!(CNTHP_CTL_EL2, 0);
}

/// It interrupts from `deadline` on; not at all for the latest of all times.
#[inline]
pub fn arm(deadline: u64) {
    write!(CNTHP_CVAL_EL2, deadline);
    write!(CNTHP_CTL_EL2, if deadline == u64::MAX { 0 } else { ENABLE });
    isb();
}
