// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Power: PSCI 1.1 (DEN 0022) by HVC.

use abi::psci::*;

use crate::smccc::hvc;

/// In their 64-bit forms.
const CPU_SUSPEND_64: u32 = CPU_SUSPEND | SMC64;
const CPU_ON_64: u32 = CPU_ON | SMC64;
const AFFINITY_INFO_64: u32 = AFFINITY_INFO | SMC64;

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

fn checked(result: u64) -> Result<u32, Error> {
    let code = result as i32;
    // PSCI defines 32 bits of a result.
    match i64::from(code) as u64 {
        NOT_SUPPORTED => Err(Error::NotSupported),
        INVALID_PARAMETERS => Err(Error::InvalidParameters),
        DENIED => Err(Error::Denied),
        ALREADY_ON => Err(Error::AlreadyOn),
        ON_PENDING => Err(Error::OnPending),
        INTERNAL_FAILURE => Err(Error::InternalFailure),
        NOT_PRESENT => Err(Error::NotPresent),
        DISABLED => Err(Error::Disabled),
        INVALID_ADDRESS => Err(Error::InvalidAddress),
        _ if code < 0 => Err(Error::Other(code)),
        _ => Ok(code as u32),
    }
}

fn call(function: u32, arguments: [u64; 3]) -> Result<u32, Error> {
    // SAFETY: private; each caller below passes a function that only asks, or one whose effect it
    // explains.
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

/// Whether the vPE with this MPIDR is on.
pub fn affinity_info(mpidr: u64) -> Result<Power, Error> {
    let info = call(AFFINITY_INFO_64, [mpidr, 0, 0])?;
    match u64::from(info) {
        INFO_ON => Ok(Power::On),
        INFO_OFF => Ok(Power::Off),
        INFO_ON_PENDING => Ok(Power::OnPending),
        _ => Err(Error::Other(info as i32)),
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
/// Code at `entry` must be ready to run there without stack and translation: only `rt`'s own entry
/// is.
pub unsafe fn cpu_on(mpidr: u64, entry: u64, context: u64) -> Result<(), Error> {
    // SAFETY: the caller vouches for the entry.
    let [result, ..] = unsafe { hvc(CPU_ON_64, [mpidr, entry, context]) };
    checked(result).map(drop)
}

/// Sleeps in the hypervisor until an interrupt is pending for this vPE, masked or not, and comes
/// back with nothing lost.
pub fn cpu_standby() -> Result<(), Error> {
    call(CPU_SUSPEND_64, [0; 3]).map(drop)
}

/// Powers this vPE down until an interrupt is pending for it; it then starts at `entry` with
/// `context` in x0. Comes back with a refusal, or with Ok if an interrupt was pending already and
/// the hypervisor did not power it down.
///
/// # Safety
/// As `cpu_on`.
pub unsafe fn cpu_suspend(entry: u64, context: u64) -> Result<(), Error> {
    // SAFETY: the caller vouches for the entry.
    let [result, ..] = unsafe { hvc(CPU_SUSPEND_64, [POWER_DOWN, entry, context]) };
    checked(result).map(drop)
}
