// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The other vPEs of the VM: started with a function, stopped, asked, put to sleep.
//!
//! 1. `start` gives the vPE a function ([`Entry`]) and calls CPU_ON with `_secondary` and the vPE's
//!    stacks.
//! 2. `_secondary` takes the stacks and turns translation on.
//! 3. `secondary` sets up the GIC for this vPE, takes the function, runs it and switches the vPE
//!    off.
//!
//! `sleep` does the same to the vPE itself: its stack begins anew, so it never comes back but in
//! the function given.

use crate::entry::Entry;
use crate::psci::{self, Power};
use crate::start::{self, VPES};
use crate::{Machine, cpu, gic, println};

static ENTRIES: [Entry; VPES] = [const { Entry::new() }; VPES];

/// Where another vPE, or this one after a power-down, begins.
fn entry() -> u64 {
    unsafe extern "C" {
        static _secondary: u8;
    }
    &raw const _secondary as u64
}

fn stacks(vpe: u32) -> Option<u64> {
    start::stacks_of(Machine::get()?, vpe).map(|stacks| stacks.base)
}

/// Starts vPE number `vpe` in `main`, interrupts masked. When that returns, the vPE switches itself
/// off.
pub fn start(vpe: u32, main: fn()) -> Result<(), psci::Error> {
    let entry_of = ENTRIES.get(vpe as usize).ok_or(psci::Error::InvalidParameters)?;
    let stacks = stacks(vpe).ok_or(psci::Error::InternalFailure)?;
    while !entry_of.give(main) {
        match power(vpe)? {
            Power::On => return Err(psci::Error::AlreadyOn),
            Power::OnPending => return Err(psci::Error::OnPending),
            // Another vPE is about to start it.
            Power::Off => cpu::relax(),
        }
    }
    // SAFETY: `_secondary` is made to be entered so, and the stacks are that vPE's.
    let result = unsafe { psci::cpu_on(cpu::affinity_of(vpe), entry(), stacks) };
    if result.is_err() {
        entry_of.withdraw(main);
    }
    result
}

/// Switches this vPE off.
pub fn stop() -> ! {
    let error = psci::cpu_off();
    panic!("CPU_OFF came back: {error}");
}

/// Whether a vPE is on.
pub fn power(vpe: u32) -> Result<Power, psci::Error> {
    psci::affinity_info(cpu::affinity_of(vpe))
}

/// Waits until a vPE is off. Looks again and again: there is no interrupt to wait for.
pub fn wait_off(vpe: u32) -> Result<(), psci::Error> {
    while power(vpe)? != Power::Off {
        cpu::relax();
    }
    Ok(())
}

/// Powers this vPE down by CPU_SUSPEND until an interrupt is pending for it, and goes on in `main`
/// with a fresh stack and interrupts masked. Ok: an interrupt was pending before the vPE was down,
/// and the call came back instead.
pub fn sleep(main: fn()) -> Result<(), psci::Error> {
    let vpe = cpu::vpe();
    let entry_of = ENTRIES.get(vpe as usize).ok_or(psci::Error::InvalidParameters)?;
    let stacks = stacks(vpe).ok_or(psci::Error::InternalFailure)?;
    entry_of.set(main);
    // SAFETY: as in `start`; what lies on this vPE's stacks is abandoned, never dropped.
    let result = unsafe { psci::cpu_suspend(entry(), stacks) };
    entry_of.withdraw(main);
    result
}

/// First Rust of a secondary vPE with translation and caches on.
pub(crate) extern "C" fn secondary() -> ! {
    gic::init_vpe();
    let vpe = cpu::vpe();
    match ENTRIES.get(vpe as usize).and_then(Entry::take) {
        Some(main) => main(),
        None => println!("vPE {vpe} was started without a function"),
    }
    stop()
}
