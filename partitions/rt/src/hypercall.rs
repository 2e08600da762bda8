// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What Bulkhead offers beyond PSCI: results, counters, rings. docs/guest-abi.md has the table.
//!
//! On a bare board none of it exists, and HVC with an unknown function is UNDEFINED there; so every
//! call looks at the device tree first.

use core::fmt;

use abi::hypercall::*;
use abi::smccc;

use crate::Machine;
use crate::smccc::hvc;

pub use abi::Counter;

/// Why a hypercall was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// No Bulkhead is underneath, or it does not know the function.
    NotSupported,
    /// The peer's VM is off.
    Denied,
    InvalidParameters,
    /// Another switch of modes is not over yet.
    Busy,
    Other(i64),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotSupported => f.write_str("no such hypercall"),
            Error::Denied => f.write_str("the peer's VM is off"),
            Error::InvalidParameters => f.write_str("invalid parameters"),
            Error::Busy => f.write_str("another switch is not over yet"),
            Error::Other(code) => write!(f, "hypercall result {code}"),
        }
    }
}

fn call(function: u32, arguments: [u64; 3]) -> Result<[u64; 4], Error> {
    if !Machine::get().is_some_and(Machine::has_hypervisor) {
        return Err(Error::NotSupported);
    }
    // SAFETY: only functions of `abi` are called, and none of them touches the caller's memory or
    // code.
    let result = unsafe { hvc(function, arguments) };
    Ok(result)
}

fn checked(function: u32, arguments: [u64; 3]) -> Result<u64, Error> {
    let [status, value, ..] = call(function, arguments)?;
    match status {
        smccc::SUCCESS => Ok(value),
        smccc::NOT_SUPPORTED => Err(Error::NotSupported),
        smccc::DENIED => Err(Error::Denied),
        smccc::INVALID_PARAMETERS => Err(Error::InvalidParameters),
        smccc::BUSY => Err(Error::Busy),
        other => Err(Error::Other(other as i64)),
    }
}

/// The hypervisor's UID, as four words.
pub fn uid() -> Result<[u32; 4], Error> {
    Ok(call(smccc::HYPERVISOR_UID, [0; 3])?.map(|word| word as u32))
}

/// The hypervisor's revision, major and minor.
pub fn revision() -> Result<(u64, u64), Error> {
    let [major, minor, ..] = call(smccc::HYPERVISOR_REVISION, [0; 3])?;
    Ok((major, minor))
}

/// Records a result: 0 pass, other: a failure code.
pub fn report(code: u32) -> Result<(), Error> {
    checked(REPORT, [u64::from(code), 0, 0]).map(drop)
}

/// Value of a counter of a vPE of this VM.
pub fn counter(vpe: u32, counter: Counter) -> Result<u64, Error> {
    checked(COUNTER, [u64::from(vpe), counter as u64, 0])
}

/// Lets the hypervisor print the table of counters.
pub fn show_counters() -> Result<(), Error> {
    checked(SHOW_COUNTERS, [0; 3]).map(drop)
}

/// Rings the peer of a channel.
pub fn ring(channel: u32) -> Result<(), Error> {
    crate::cpu::barrier();
    checked(RING, [u64::from(channel), 0, 0]).map(drop)
}

/// Asks for another mode of the system, by its number. True: it is agreed; false: another switch is
/// not over yet.
pub fn switch_mode(mode: u64) -> Result<bool, Error> {
    match checked(MODE_SWITCH, [mode, 0, 0]) {
        Ok(_) => Ok(true),
        Err(Error::Busy) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Feeds the VM's watchdog.
pub fn feed() -> Result<(), Error> {
    checked(FEED, [0; 3]).map(drop)
}

/// Does nothing.
pub fn nothing() -> Result<(), Error> {
    checked(NOTHING, [0; 3]).map(drop)
}
