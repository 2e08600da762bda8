// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What `vm::health` wants done about a VM.

use crate::io::report;
use crate::state::ipi;
use crate::state::system::Built;
use crate::state::vms::vpes;
use arch::smc;
use vm::Guest;
use vm::health::Action;

/// Does it: the VM's CPUs look. If a vPE of the VM runs here, its CPU is to settle.
pub fn act(guest: &Guest, action: Action) {
    match action {
        Action::Stop | Action::Restart => vpes(guest.config).for_each(ipi::review),
        Action::ResetBoard => {
            report::result();
            smc::system_reset::<Built>()
        }
        Action::Nothing => {}
    }
}
