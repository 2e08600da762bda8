// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Calls to the firmware's PSCI (DEN 0022), by the conduit that the plan names.

use crate::boot::SystemBoot;
use crate::head;
use crate::system::System;
use abi::{psci, smccc};
use core::arch::asm;
use plan::{Conduit, CpuIndex};

/// CPU_ON with 64-bit arguments.
const CPU_ON: u32 = psci::CPU_ON | psci::SMC64;
const WORKAROUNDS: [u32; 3] =
    [smccc::ARCH_WORKAROUND_1, smccc::ARCH_WORKAROUND_2, smccc::ARCH_WORKAROUND_3];

/// Calls firmware with SMCCC's registers; x1-x17 may change.
#[inline(never)]
fn call<S: System>(function: u32, x1: u64, x2: u64, x3: u64) -> i64 {
    let x0: i64;
    match S::PLAN.board.psci {
        // SAFETY: a firmware call; PSCI functions change no memory of ours.
        Conduit::Smc => unsafe {
            asm!(
                "smc #0",
                inout("x0") u64::from(function) => x0, inout("x1") x1 => _,
                inout("x2") x2 => _, inout("x3") x3 => _,
                clobber_abi("C"), options(nostack)
            )
        },
        // SAFETY: as above. Only boards whose firmware is above us by nesting use HVC from EL2.
        Conduit::Hvc => unsafe {
            asm!(
                "hvc #0",
                inout("x0") u64::from(function) => x0, inout("x1") x1 => _,
                inout("x2") x2 => _, inout("x3") x3 => _,
                clobber_abi("C"), options(nostack)
            )
        },
    }
    x0
}

/// Has firmware start a CPU, which comes to [`crate::Handlers::other_cpu`]. 0: success, else PSCI's
/// error, such as INVALID_PARAMETERS for a CPU that the plan does not have.
pub fn cpu_on<S: System>(_: &SystemBoot<S>, cpu: CpuIndex) -> i64 {
    match S::PLAN.cpus.get(cpu.index()) {
        Some(there) => call::<S>(CPU_ON, there.mpidr, head::entry_of_others(), cpu.index() as u64),
        None => psci::INVALID_PARAMETERS as i64,
    }
}

/// Firmware has SMCCC_ARCH_FEATURES. Asked by PSCI first, since an SMC that nobody knows may be
/// UNDEFINED.
pub fn has_arch_features<S: System>() -> bool {
    call::<S>(psci::VERSION, 0, 0, 0) as i32 >= 0x1_0000
        && call::<S>(psci::FEATURES, smccc::VERSION.into(), 0, 0) as i32 >= 0
        && call::<S>(smccc::VERSION, 0, 0, 0) as i32 >= 0x1_0001
}

/// SMCCC_ARCH_FEATURES of `function`.
pub fn arch_features<S: System>(function: u32) -> i64 {
    i64::from(call::<S>(smccc::ARCH_FEATURES, function.into(), 0, 0) as i32)
}

/// One of SMCCC_ARCH_WORKAROUND_n; nothing for any other function.
pub fn workaround<S: System>(function: u32, x1: u64) {
    if WORKAROUNDS.contains(&function) {
        call::<S>(function, x1, 0, 0);
    }
}

/// The board turns off.
pub fn system_off<S: System>() -> ! {
    call::<S>(psci::SYSTEM_OFF, 0, 0, 0);
    park()
}

/// The board starts again.
pub fn system_reset<S: System>() -> ! {
    call::<S>(psci::SYSTEM_RESET, 0, 0, 0);
    park()
}

/// Nothing more happens on this CPU.
pub fn park() -> ! {
    loop {
        super::sysreg::wfi();
    }
}
