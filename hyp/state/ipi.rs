// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How one CPU reaches a vPE on another, or itself.
//!
//! A vPE that has its CPU for good is reached by an SGI. One on a shared CPU is reached by its bit
//! in the CPU's mailbox and the SGI. That SGI costs whoever runs there, which may be another VM's
//! vPE, and a guest can cause as many as it likes. So it is sent only when it changes something:
//!
//! * not for a vPE that is off: it looks when it begins;
//! * not for one that was told and has not run since, nor for one that was taken off the CPU while
//!   it could run: it looks when it has the CPU again (`TOLD`);
//! * under a cyclic schedule not outside of the vPE's windows: the CPU opens its mailbox when one
//!   begins (`Here::open`).

use super::cpu::{self, has_begun};
use super::intid::{ASKED, KICK, PRINTED, REVIEW};
use super::parts::{SHARED, SHARED_VPES};
use super::places;
use super::plan_data::{PLAN, VPE_COUNT};
use super::vms::is_off;
use arch::gic;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst, fence};
use plan::{CpuIndex, VpeIndex};

/// A vPE will look at what waits for it before it runs: it need not be told.
static TOLD: [AtomicBool; SHARED_VPES] = [const { AtomicBool::new(false) }; SHARED_VPES];

/// ICC_SGI1R_EL1 values that kick the CPU of each vPE.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
static KICKS: [u64; VPE_COUNT] = {
    let mut values = [0; VPE_COUNT];
    let mut vpe = 0;
    while vpe < VPE_COUNT {
        values[vpe] = gic::sgi_value(PLAN.cpus[PLAN.vpes[vpe].cpu.index()].mpidr, KICK);
        vpe += 1;
    }
    values
};

/// Something waits for `vpe` in its software state.
#[inline(always)]
pub fn kick(vpe: VpeIndex) {
    if SHARED && places::shares(vpe) {
        return kick_shared(vpe);
    }
    if let Some(&value) = KICKS.get(vpe.index()) {
        gic::send_sgi(value);
    }
}

#[inline(always)]
fn kick_shared(vpe: VpeIndex) {
    // What waits was written before: whoever begins, or gets the CPU, reads it after its state says
    // so.
    fence(SeqCst);
    if !is_off(vpe) && TOLD.get(vpe.index()).is_some_and(|told| !told.swap(true, SeqCst)) {
        send(vpe);
    }
}

/// The same for one whose mail was found on another CPU, or may have been left there.
pub fn kick_again(vpe: VpeIndex) {
    if places::shares(vpe) { send(vpe) } else { kick(vpe) }
}

fn send(vpe: VpeIndex) {
    if let Some(index) = places::cpu_of(vpe)
        && let Some(cpu) = cpu::of(index)
        && cpu.post_kick(vpe)
    {
        cpu::signal(index, KICK);
    }
}

/// `vpe` looks at what waits for it: what comes from now on it is told.
#[inline(always)]
pub fn looks(vpe: VpeIndex) {
    if let Some(told) = TOLD.get(vpe.index()) {
        told.store(false, SeqCst);
        fence(SeqCst);
    }
}

/// `vpe` was taken off its CPU and could go on: it looks when it has it again.
#[inline(always)]
pub fn looks_later(vpe: VpeIndex) {
    if let Some(told) = TOLD.get(vpe.index()) {
        told.store(true, SeqCst);
    }
}

/// The power state or the VM of `vpe` may have changed: its CPU looks. Any CPU may call this, its
/// own too.
pub fn review(vpe: VpeIndex) {
    if let Some(index) = places::cpu_of(vpe)
        && let Some(cpu) = cpu::of(index)
        && (!SHARED || cpu.post_review(vpe))
    {
        cpu::signal(index, REVIEW);
    }
}

/// The CPU visits the console.
pub fn printed(cpu: CpuIndex) {
    cpu::signal(cpu, PRINTED);
}

/// CPUs that have not answered yet.
static UNANSWERED: AtomicU32 = AtomicU32::new(0);

/// Every CPU that has begun takes the registers of its vPEs (cpu/snapshot.rs).
#[cold]
pub fn ask_all() {
    let all = || (0..PLAN.cpus.len() as u16).map(CpuIndex::new).filter(|&cpu| has_begun(cpu));
    UNANSWERED.store(all().count() as u32, SeqCst);
    all().for_each(|cpu| cpu::signal(cpu, ASKED));
}

/// The calling CPU has. True: it was the last one.
pub fn answered() -> bool {
    UNANSWERED.fetch_sub(1, SeqCst) == 1
}
