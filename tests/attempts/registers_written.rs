// SPDX-License-Identifier: Apache-2.0 OR MIT
//! TTBR0_EL2, HCR_EL2, SCTLR_EL2 and VBAR_EL2 by the crate's own means.
#![no_std]
#![forbid(unsafe_code)]

pub fn attempt() {
    arch::sysreg::write!(TTBR0_EL2, 0); //~ E0603
}
