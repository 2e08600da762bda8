// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Rings of channels: each is an event that EL2 raises. Where the GIC delivers events that is an
//! INT of the physical ITS; where EL2 lists them, the event waits for its vPE, which is kicked, and
//! no ITS is needed.
//!
//! A ring comes out of its VM's allowance. One that finds it empty is kept with its channel end,
//! and so are all that come before that one is delivered: the peer is rung once, and sees
//! everything that was written before any of them. The vPE that had to wait delivers it, from EL2's
//! timer while it has its CPU, and at the latest when it goes off. On a shared CPU that takes
//! nobody else's time: while another vPE runs, its rings wait.
//!
//! While an end of the VM waits, those that come later wait behind it, so that an end that is rung
//! all the time keeps no other from its turn.

use crate::gic::hardware::Hardware;
use crate::state::cpu::Here;
use crate::state::parts::{CHANNELS, Router};
use crate::state::plan_data::{PLAN, VM_COUNT, VPE_COUNT};
use crate::state::vms::{VPES, vm_of};
use crate::state::vpe::Vpe;
use arch::sysreg::ticks;
use core::sync::atomic::{
    AtomicBool, AtomicU16, AtomicU64,
    Ordering::{AcqRel, Relaxed},
};
use plan::VpeIndex;
use sched::NEVER;
use vm::Router as _;
use vm::counters::Counter;
use vm::hypercall::Bell;

const ENDS: usize = PLAN.channel_ends.len();
const VMS_WITH: usize = if CHANNELS { VM_COUNT } else { 0 };
const VPES_WITH: usize = if CHANNELS { VPE_COUNT } else { 0 };

/// An end was rung, and its peer was not yet. Beside `PLAN.channel_ends`.
static KEPT: [AtomicBool; ENDS] = [const { AtomicBool::new(false) }; ENDS];
/// How many of a VM's ends are kept, and which of them comes first the next time.
static COUNTS: [AtomicU16; VMS_WITH] = [const { AtomicU16::new(0) }; VMS_WITH];
static FIRST: [AtomicU16; VMS_WITH] = [const { AtomicU16::new(0) }; VMS_WITH];
/// When a vPE is to deliver what its VM keeps. Written by its CPU alone.
static DUE: [AtomicU64; VPES_WITH] = [const { AtomicU64::new(NEVER) }; VPES_WITH];

/// When `vpe`, which has the calling CPU, is to be called.
#[inline(always)]
pub fn due(vpe: VpeIndex) -> u64 {
    DUE.get(vpe.index()).map_or(NEVER, |due| due.load(Relaxed))
}

/// The guest of the vPE that has this CPU rings one of its channels.
pub fn ring(this: &Vpe, bell: Bell) {
    let guest = &this.guest;
    guest.vpe.counters.count(Counter::ChannelRings);
    let (Some(kept), Some(count)) = (KEPT.get(bell.end), COUNTS.get(vm_of(this.index))) else {
        return;
    };
    // Whoever delivers the one that is kept sees what was written before this one.
    if kept.swap(true, AcqRel) {
        guest.vpe.counters.count(Counter::RingsKept);
        return;
    }
    let limit = guest.config.its_allowance;
    let time = match count.load(Relaxed) {
        0 => match guest.vm.allowance.take(limit, ticks()) {
            Ok(()) => {
                if kept.swap(false, AcqRel) {
                    return give(bell.event);
                }
                // Another vPE has just delivered it, and counted that.
                count.fetch_add(1, AcqRel);
                return;
            }
            Err(time) => time,
        },
        _ => guest.vm.allowance.ready_at(limit),
    };
    guest.vpe.counters.count(Counter::RingsKept);
    count.fetch_add(1, AcqRel);
    if due(this.index) == NEVER {
        call(this, time);
    }
}

/// Delivers what has come to its time; `this` has the calling CPU, or is about to.
#[inline(always)]
pub fn deliver_due(this: &Vpe) {
    if CHANNELS && due(this.index) != NEVER {
        deliver(this, false);
    }
}

/// The vPE goes off, or its CPU to another mode: delivers all, which is at most one ring for each
/// end of the VM.
pub fn deliver_all(this: &Vpe) {
    if CHANNELS && due(this.index) != NEVER {
        deliver(this, true);
    }
}

#[inline(never)]
fn deliver(this: &Vpe, all: bool) {
    let now = ticks();
    if !all && due(this.index) > now {
        return;
    }
    let guest = &this.guest;
    let (limit, config) = (guest.config.its_allowance, guest.config);
    let (ends, vm) = (config.channel_end_count, vm_of(this.index));
    let (Some(first), Some(count)) = (FIRST.get(vm), COUNTS.get(vm)) else { return };
    for _ in 0..ends {
        let position = first.load(Relaxed);
        let end = usize::from(config.first_channel_end.wrapping_add(position));
        let (Some(kept), Some(plan)) = (KEPT.get(end), PLAN.channel_ends.get(end)) else { break };
        if kept.load(Relaxed) {
            match guest.vm.allowance.take(limit, now) {
                Ok(()) => {}
                Err(_) if all => guest.vm.allowance.owe(limit, now, 1),
                Err(time) => return call(this, time),
            }
            // What comes after this is a ring of its own.
            if kept.swap(false, AcqRel) {
                count.fetch_sub(1, AcqRel);
                give(plan.rings as usize);
            }
        }
        first.store(if position.wrapping_add(1) < ends { position + 1 } else { 0 }, Relaxed);
    }
    call(this, NEVER);
}

/// The vPE, which has the calling CPU, is to deliver at `time`.
fn call(this: &Vpe, time: u64) {
    if let Some(due) = DUE.get(this.index.index()) {
        due.store(time, Relaxed);
    }
    if let Some(here) = Here::of(this) {
        here.timer.decide_by(time);
    }
}

fn give(event: usize) {
    if let Some(route) = PLAN.events.get(event)
        && let Some(vpe) = VPES.get(route.vpe.index())
    {
        Router::raise(&mut Hardware, route, event, vpe);
    }
}
