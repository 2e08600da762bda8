//! Power: PSCI 1.1 (DEN 0022) by HVC.

use crate::smccc::hvc;

const VERSION: u32 = 0x8400_0000;
const CPU_SUSPEND: u32 = 0xc400_0001;
const CPU_OFF: u32 = 0x8400_0002;
const CPU_ON: u32 = 0xc400_0003;
const AFFINITY_INFO: u32 = 0xc400_0004;
const MIGRATE_INFO_TYPE: u32 = 0x8400_0006;
const SYSTEM_OFF: u32 = 0x8400_0008;
const SYSTEM_RESET: u32 = 0x8400_0009;
const FEATURES: u32 = 0x8400_000a;

/// CPU_SUSPEND's power_state: StateType is power-down.
const POWER_DOWN: u64 = 1 << 16;

/// What PSCI refuses with (DEN 0022 5.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    NotSupported,
    InvalidParameters,
    Denied,
    AlreadyOn,
    OnPending,
    InternalFailure,
    NotPresent,
    Disabled,
    InvalidAddress,
    /// A code that PSCI does not name.
    Other(i32),
}

/// AFFINITY_INFO of a vPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    On,
    Off,
    OnPending,
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "PSCI says {self:?}")
    }
}

fn error(code: i32) -> Error {
    match code {
        -1 => Error::NotSupported,
        -2 => Error::InvalidParameters,
        -3 => Error::Denied,
        -4 => Error::AlreadyOn,
        -5 => Error::OnPending,
        -6 => Error::InternalFailure,
        -7 => Error::NotPresent,
        -8 => Error::Disabled,
        -9 => Error::InvalidAddress,
        other => Error::Other(other),
    }
}

fn checked(result: u64) -> Result<u32, Error> {
    match result as i32 {
        code @ 0.. => Ok(code as u32),
        code => Err(error(code)),
    }
}

fn call(function: u32, arguments: [u64; 3]) -> Result<u32, Error> {
    // SAFETY: private; each caller below passes a function that only asks, or one whose effect it explains.
    checked(unsafe { hvc(function, arguments) }[0])
}

/// Major and minor version.
pub fn version() -> (u32, u32) {
    let version = call(VERSION, [0; 3]).unwrap_or(0);
    (version >> 16, version & 0xffff)
}

/// Whether a function is there, and its flags.
pub fn features(function: u32) -> Result<u32, Error> {
    call(FEATURES, [u64::from(function), 0, 0])
}

/// 2: no trusted OS that would have to migrate.
pub fn migrate_info_type() -> Result<u32, Error> {
    call(MIGRATE_INFO_TYPE, [0; 3])
}

/// Whether the vPE with this MPIDR is on.
pub fn affinity_info(mpidr: u64) -> Result<Power, Error> {
    match call(AFFINITY_INFO, [mpidr, 0, 0])? {
        0 => Ok(Power::On),
        1 => Ok(Power::Off),
        2 => Ok(Power::OnPending),
        other => Err(Error::Other(other as i32)),
    }
}

/// Switches the VM off.
pub fn system_off() -> ! {
    // Nothing can be done should it be refused, but not to return.
    let _ = call(SYSTEM_OFF, [0; 3]);
    loop {
        crate::cpu::wait_for_interrupt();
    }
}

/// Starts the VM anew from its pristine image.
pub fn system_reset() -> ! {
    let _ = call(SYSTEM_RESET, [0; 3]);
    loop {
        crate::cpu::wait_for_interrupt();
    }
}

/// Switches this vPE off. Comes back only with a refusal.
pub fn cpu_off() -> Error {
    match call(CPU_OFF, [0; 3]) {
        Ok(other) => Error::Other(other as i32),
        Err(error) => error,
    }
}

/// Starts a vPE at a physical address with a value in x0.
///
/// # Safety
/// Code at `entry` must be ready to run there without stack and translation: only `rt`'s own entry is.
pub unsafe fn cpu_on(mpidr: u64, entry: u64, context: u64) -> Result<(), Error> {
    // SAFETY: the caller vouches for the entry.
    let [result, ..] = unsafe { hvc(CPU_ON, [mpidr, entry, context]) };
    checked(result).map(drop)
}

/// Sleeps in the hypervisor until an interrupt is pending for this vPE, masked or not, and comes back with nothing lost.
pub fn cpu_standby() -> Result<(), Error> {
    call(CPU_SUSPEND, [0; 3]).map(drop)
}

/// Powers this vPE down until an interrupt is pending for it; it then starts at `entry` with `context` in x0. Comes back with a
/// refusal, or with Ok if an interrupt was pending already and the hypervisor did not power it down.
///
/// # Safety
/// As `cpu_on`.
pub unsafe fn cpu_suspend(entry: u64, context: u64) -> Result<(), Error> {
    // SAFETY: the caller vouches for the entry.
    let [result, ..] = unsafe { hvc(CPU_SUSPEND, [POWER_DOWN, entry, context]) };
    checked(result).map(drop)
}
