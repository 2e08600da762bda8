// SPDX-License-Identifier: Apache-2.0 OR MIT
//! State of every VM, vPE and event, beside the plan's tables of them.

use super::parts::{LISTED_EVENTS, LISTED_LPIS, SEVERAL_VPES, VIRTUAL_ITS};
use super::plan_data::{EVENT_COUNT, PLAN, VM_COUNT, VPE_COUNT};
use core::sync::atomic::AtomicU32;
use plan::{Vm, VpeIndex};
use vm::power::PowerState;
use vm::snapshot::Snapshot;
use vm::vits::{Event, View};
use vm::{VmState, VpeState};

/// Beside `PLAN.vms`.
pub static VMS: [VmState; VM_COUNT] = [const { VmState::new() }; VM_COUNT];
/// Beside `PLAN.vpes`.
pub static VPES: [VpeState; VPE_COUNT] = [const { VpeState::new() }; VPE_COUNT];
/// Beside `PLAN.vpes`: registers for whoever asks (cpu/snapshot.rs).
pub static SNAPSHOTS: [Snapshot<LIST>; VPE_COUNT] = [const { Snapshot::new() }; VPE_COUNT];
const LIST: usize = PLAN.board.list_registers as usize;
/// Beside the plan's events.
pub static EVENTS: [Event; EVENT_COUNT] = [const { Event::new() }; EVENT_COUNT];

/// Those that wait for a list register, where they need one ([`vm::platform`]): a bit for each.
pub static WAITING: [AtomicU32; LISTED_EVENTS.div_ceil(32)] =
    [const { AtomicU32::new(0) }; LISTED_EVENTS.div_ceil(32)];

/// What vPEs are to drop that others cleared or unmapped, likewise. Only a virtual ITS can.
pub static STALE: [AtomicU32; STALE_EVENTS] = [const { AtomicU32::new(0) }; STALE_EVENTS];
const STALE_EVENTS: usize = if VIRTUAL_ITS && SEVERAL_VPES { LISTED_LPIS } else { 0 };

/// All vPEs of a VM, by their index in the plan.
pub fn vpes(vm: &Vm) -> impl Iterator<Item = VpeIndex> {
    (vm.first_vpe..vm.first_vpe.wrapping_add(vm.vpe_count)).map(VpeIndex::new)
}

/// Their states.
pub fn states(vm: &Vm) -> &'static [VpeState] {
    let first = usize::from(vm.first_vpe);
    VPES.get(first..first.wrapping_add(usize::from(vm.vpe_count))).unwrap_or(&[])
}

/// The vPE `number` of a VM.
pub fn vpe(vm: &Vm, number: usize) -> VpeIndex {
    VpeIndex::new(vm.first_vpe.wrapping_add(number as u16))
}

/// Index of a vPE's VM.
pub fn vm_of(vpe: VpeIndex) -> usize {
    PLAN.vpes.get(vpe.index()).map_or(0, |vpe| vpe.vm.index())
}

/// What the plan has of a vPE's VM.
pub fn config_of(vpe: VpeIndex) -> Option<&'static Vm> {
    PLAN.vms.get(vm_of(vpe))
}

/// Nothing of the vPE is left in its CPU.
pub fn is_off(vpe: VpeIndex) -> bool {
    VPES.get(vpe.index()).is_none_or(|vpe| vpe.power.state() == PowerState::Off)
}

/// The event `event` waits for its vPE, which is the answer ([`vm::vgic::hold_lpi`]).
pub fn hold_lpi(event: usize) -> Option<VpeIndex> {
    let config = config_of(PLAN.events.get(event)?.vpe)?;
    let view = View::new(&PLAN, config, &EVENTS);
    let number = vm::vgic::hold_lpi(&view, &WAITING, states(config), event)?;
    Some(vpe(config, number))
}

/// The VM of a vPE runs.
pub fn runs(vpe: VpeIndex) -> bool {
    PLAN.vpes
        .get(vpe.index())
        .and_then(|vpe| VMS.get(vpe.vm.index()))
        .is_some_and(|vm| vm.health.running())
}
