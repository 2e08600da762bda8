// SPDX-License-Identifier: Apache-2.0 OR MIT
//! On which CPU each vPE runs, and in which of its slots.
//!
//! The plan says so for ever, unless the system has modes. A CPU that is exclusive in some mode and
//! shared in another counts as shared.

use super::parts::{SHARED, SHARED_VPES, is_shared};
use super::plan_data::PLAN;
use core::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Release},
};
use plan::{CpuIndex, Placement, VpeIndex};
use sched::Slot;

/// CPU and slot of each vPE, `cpu << 8 | slot`; slot `SUSPENDED`: it has none in this mode. With
/// `ALONE`, nobody else ever has its CPU.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
static PLACES: [AtomicU32; SHARED_VPES] = {
    let mut places = [const { AtomicU32::new(0) }; SHARED_VPES];
    let mut vpe = 0;
    while vpe < PLAN.vpes.len() && SHARED {
        let (cpu, mut slot) = (PLAN.vpes[vpe].cpu, PLAN.vpes[vpe].slot as u32);
        let mut alone = if is_shared(cpu) { 0 } else { ALONE };
        if let Some(modes) = &PLAN.modes
            && modes.modes[0].placements[vpe].is_none()
        {
            slot = SUSPENDED;
            alone = 0;
        }
        places[vpe] = AtomicU32::new(alone | (cpu.value() as u32) << 8 | slot);
        vpe += 1;
    }
    places
};
const ALONE: u32 = 1 << 31;
const SUSPENDED: u32 = 0xff;

#[inline(always)]
fn at(vpe: VpeIndex) -> Option<u32> {
    Some(PLACES.get(vpe.index())?.load(Acquire))
}

/// Others have the vPE's CPU, too, in some mode at least.
#[inline(always)]
pub fn shares(vpe: VpeIndex) -> bool {
    SHARED && at(vpe).is_some_and(|place| place & ALONE == 0)
}

/// The CPU of a vPE; of one without a place in this mode, the one that looks after it.
#[inline(always)]
pub fn cpu_of(vpe: VpeIndex) -> Option<CpuIndex> {
    if SHARED {
        return Some(CpuIndex::new((at(vpe)? >> 8) as u16 & 0xff));
    }
    Some(PLAN.vpes.get(vpe.index())?.cpu)
}

/// The same as the plan has it.
pub fn plan_of(vpe: VpeIndex) -> Option<&'static plan::Cpu> {
    PLAN.cpus.get(cpu_of(vpe)?.index())
}

/// The vPE's slot on its CPU. None: it does not run in this mode.
#[inline(always)]
pub fn slot_of(vpe: VpeIndex) -> Option<Slot> {
    Slot::new(if SHARED { at(vpe)? as u8 } else { 0 })
}

/// Where a vPE is in a mode that begins on `cpus`. One without a place stays at the CPU of the
/// first mode.
pub fn place(vpe: VpeIndex, placement: Option<Placement>, cpus: u64) {
    let Some(place) = PLACES.get(vpe.index()) else { return };
    let first = PLAN.vpes.get(vpe.index()).map_or(0, |vpe| vpe.cpu.value());
    let next = match placement {
        Some(placement) if cpus >> placement.cpu.value() & 1 == 0 => return,
        Some(placement) => u32::from(placement.cpu.value()) << 8 | u32::from(placement.slot),
        None => u32::from(first) << 8 | SUSPENDED,
    };
    place.store(next, Release);
}
