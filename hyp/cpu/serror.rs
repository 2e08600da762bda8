//! Whose an SError is that became pending while EL2 had the CPU.
//!
//! 1. Boot: it is firmware's, or a probe's. Told in one line and dropped.
//! 2. A CPU of its own: nobody else runs there, so it stays pending and is taken when the guest goes on (`trap::error`).
//! 3. A shared CPU, before another vPE's registers are loaded: charged to the vPE that ran last, whose CPU fails its VM for it.
//!    A write that nothing answers is not the next VM's fault.

use crate::gic::platform::attention;
use crate::io::console;
use crate::state::percpu::PerCpu;
use crate::state::shared::VPES;
use arch::serror::{self, Taken};
use plan::{Cpu, VpeIndex};
use vm::serror::{Charge, of_deferred};
use vm::text::Text;

static CHARGES: [Charge; VPES] = [const { Charge::new() }; VPES];

/// Drops what firmware or the probes of boot left on the calling CPU.
pub fn at_boot(cpu: &Cpu) {
    if !serror::is_pending() {
        return;
    }
    if let Some(esr) = syndrome(serror::take()) {
        console::write(&mut |out| {
            out.text("bulkhead: dropped an SError from before the guests, on the CPU with MPIDR ");
            out.hex(cpu.mpidr);
            out.text(", syndrome ");
            out.hex(esr);
            out.text("\n");
        });
    }
}

/// Another vPE gets the calling CPU, whose return state has been saved; `last` ran there before.
#[inline(always)]
pub fn settle(last: Option<&PerCpu>) {
    if serror::is_pending() {
        charge(last);
    }
}

#[cold]
#[inline(never)]
fn charge(last: Option<&PerCpu>) {
    let (Some(esr), Some(last)) = (syndrome(serror::take()), last) else { return };
    if let Some(charge) = CHARGES.get(last.vpe.index()) {
        charge.put(esr);
        attention(last.vpe);
    }
}

/// What the vPE is charged with: its CPU is to fail its VM.
pub fn charged(vpe: VpeIndex) -> Option<u64> {
    CHARGES.get(vpe.index())?.take()
}

/// ESR_EL2 of an SError that was taken. None: there was none.
fn syndrome(taken: Taken) -> Option<u64> {
    match taken {
        Taken::Deferred(disr) => of_deferred(disr),
        Taken::Syndrome(esr) => (esr != 0).then_some(esr),
    }
}
