// SPDX-License-Identifier: Apache-2.0 OR MIT
//! PSCI 1.1 (DEN 0022): the functions that EL2 serves, their states and their results.
//!
//! A result is what x0 has. PSCI defines 32 bits of it, so a caller extends the sign of w0.

macro_rules! functions {
    ($($name:ident = $number:literal;)*) => {
        $(pub const $name: u32 = $number;)*
        /// Every function that is served, with its name, in its 32-bit form.
        pub const FUNCTIONS: &[(u32, &str)] = &[$(($number, stringify!($name)),)*];
    };
}

functions! {
    VERSION = 0x8400_0000;
    CPU_SUSPEND = 0x8400_0001;
    CPU_OFF = 0x8400_0002;
    CPU_ON = 0x8400_0003;
    AFFINITY_INFO = 0x8400_0004;
    MIGRATE_INFO_TYPE = 0x8400_0006;
    SYSTEM_OFF = 0x8400_0008;
    SYSTEM_RESET = 0x8400_0009;
    FEATURES = 0x8400_000a;
}

/// Set in the 64-bit forms of CPU_SUSPEND, CPU_ON and AFFINITY_INFO.
pub const SMC64: u32 = 0x4000_0000;

/// What VERSION answers: 1.1.
pub const VERSION_1_1: u64 = 0x1_0001;
/// MIGRATE_INFO_TYPE: nothing to migrate.
pub const NO_MIGRATION: u64 = 2;
/// power_state of the original format (DEN 0022 5.4.2): power-down rather than standby.
pub const POWER_DOWN: u64 = 1 << 16;

/// What AFFINITY_INFO answers.
pub const INFO_ON: u64 = 0;
pub const INFO_OFF: u64 = 1;
pub const INFO_ON_PENDING: u64 = 2;

pub const SUCCESS: u64 = 0;
pub const NOT_SUPPORTED: u64 = -1i64 as u64;
pub const INVALID_PARAMETERS: u64 = -2i64 as u64;
pub const DENIED: u64 = -3i64 as u64;
pub const ALREADY_ON: u64 = -4i64 as u64;
pub const ON_PENDING: u64 = -5i64 as u64;
pub const INTERNAL_FAILURE: u64 = -6i64 as u64;
pub const NOT_PRESENT: u64 = -7i64 as u64;
pub const DISABLED: u64 = -8i64 as u64;
pub const INVALID_ADDRESS: u64 = -9i64 as u64;
