//! Calls to the firmware's PSCI (DEN 0022), by the conduit that the plan names.

use core::arch::asm;
use plan::Conduit;

use crate::state::plan_data::PLAN;

const PSCI_VERSION: u64 = 0x8400_0000;
const PSCI_FEATURES: u64 = 0x8400_000a;
const SMCCC_VERSION: u64 = 0x8000_0000;
const ARCH_FEATURES: u64 = 0x8000_0001;
const CPU_ON: u64 = 0xc400_0003;
const SYSTEM_OFF: u64 = 0x8400_0008;
const SYSTEM_RESET: u64 = 0x8400_0009;

/// Calls firmware with SMCCC's registers; x1-x17 may change.
fn call(function: u64, x1: u64, x2: u64, x3: u64) -> i64 {
    let x0: i64;
    match PLAN.board.psci {
        // SAFETY: a firmware call; PSCI functions change no memory of ours.
        Conduit::Smc => unsafe {
            asm!("smc #0", inout("x0") function => x0, inout("x1") x1 => _, inout("x2") x2 => _, inout("x3") x3 => _,
                 clobber_abi("C"), options(nostack))
        },
        // SAFETY: as above. Only boards whose firmware is above us by nesting use HVC from EL2.
        Conduit::Hvc => unsafe {
            asm!("hvc #0", inout("x0") function => x0, inout("x1") x1 => _, inout("x2") x2 => _, inout("x3") x3 => _,
                 clobber_abi("C"), options(nostack))
        },
    }
    x0
}

/// Starts a CPU at `entry` with the MMU off and x0 = `context`. 0: success, else PSCI's error.
pub fn cpu_on(affinity: u64, entry: u64, context: u64) -> i64 {
    call(CPU_ON, affinity, entry, context)
}

/// Firmware has SMCCC_ARCH_FEATURES. Asked by PSCI first, since an SMC that nobody knows may be UNDEFINED.
pub fn has_arch_features() -> bool {
    call(PSCI_VERSION, 0, 0, 0) as i32 >= 0x1_0000
        && call(PSCI_FEATURES, SMCCC_VERSION, 0, 0) as i32 >= 0
        && call(SMCCC_VERSION, 0, 0, 0) as i32 >= 0x1_0001
}

/// SMCCC_ARCH_FEATURES of `function`.
pub fn arch_features(function: u32) -> i64 {
    i64::from(call(ARCH_FEATURES, function.into(), 0, 0) as i32)
}

/// One of SMCCC_ARCH_WORKAROUND_n.
pub fn workaround(function: u32, x1: u64) {
    call(function.into(), x1, 0, 0);
}

pub fn system_off() -> ! {
    call(SYSTEM_OFF, 0, 0, 0);
    park()
}

pub fn system_reset() -> ! {
    call(SYSTEM_RESET, 0, 0, 0);
    park()
}

/// Nothing more happens on this CPU.
pub fn park() -> ! {
    loop {
        super::sysreg::wfi();
    }
}
