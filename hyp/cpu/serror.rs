// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whose an SError is that became pending while EL2 had the CPU.
//!
//! 1. Boot: it is firmware's, or a probe's. Told in one line and dropped (boot/order.rs).
//! 2. A CPU of its own: nobody else runs there, so it stays pending and is taken when the guest
//!    goes on (exits/synchronous.rs).
//! 3. A shared CPU, before another vPE's registers are loaded: charged to the vPE that ran last,
//!    whose CPU fails its VM for it. A write that nothing answers is not the next VM's fault.

use crate::state::ipi;
use crate::state::parts::SHARED_VPES;
use crate::state::vpe::Vpe;
use arch::serror::{self, Taken};
use plan::VpeIndex;
use vm::serror::{Charge, of_deferred};

static CHARGES: [Charge; SHARED_VPES] = [const { Charge::new() }; SHARED_VPES];

/// Another vPE gets the calling CPU, whose return state has been saved; `last` ran there before.
#[inline(always)]
pub fn settle(last: Option<&Vpe>) {
    if serror::is_pending() {
        charge(last);
    }
}

#[cold]
#[inline(never)]
fn charge(last: Option<&Vpe>) {
    let (Some(esr), Some(last)) = (take(), last) else { return };
    if let Some(charge) = CHARGES.get(last.index.index()) {
        charge.put(esr);
        ipi::review(last.index);
    }
}

/// What the vPE is charged with: its CPU is to fail its VM.
pub fn charged(vpe: VpeIndex) -> Option<u64> {
    CHARGES.get(vpe.index())?.take()
}

/// ESR_EL2 of a pending SError, which is taken. None: there was none.
pub fn take() -> Option<u64> {
    match serror::take() {
        Taken::Deferred(disr) => of_deferred(disr),
        Taken::Syndrome(esr) => (esr != 0).then_some(esr),
    }
}
