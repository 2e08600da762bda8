// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What becomes of a VM whose guest did what it must not, and who is told.

use super::{action, mode};
use crate::io::report;
use arch::guest;
use arch::sysreg::ticks;
use vm::Guest;
use vm::health::{Action, Fault, Reason};

/// An SError that came when the guest had left its CPU: no address of it is known any more.
#[cold]
#[inline(never)]
pub fn charged(guest: &Guest, esr: u64) {
    fail(guest, Fault { reason: Reason::SystemError, esr, far: 0, elr: 0, ipa: None });
}

/// Ends the VM by its policy, and says and records why.
pub fn fail(guest: &Guest, fault: Fault) {
    let config = guest.config;
    let action = guest.vm.health.fail(fault, config.on_fault, config.restarts, ticks());
    if action != Action::Nothing {
        failed(guest, &fault, action);
    }
    action::act(guest, action);
}

/// PSCI SYSTEM_RESET of the VM.
#[inline(never)]
pub fn reset(guest: &Guest) {
    let fault = Fault { reason: Reason::Resets, esr: 0, far: 0, elr: guest::elr(), ipa: None };
    let config = guest.config;
    let action = guest.vm.health.reset(fault, config.resets, config.on_fault, ticks());
    if matches!(action, Action::Stop | Action::ResetBoard) {
        failed(guest, &fault, action);
    }
    action::act(guest, action);
}

fn failed(guest: &Guest, fault: &Fault, action: Action) {
    report::fault(guest, fault, action);
    mode::after_fault(guest.config);
}
