// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What this system has, as constants: code for what it does not have is left out.

use super::plan_data::{
    CPU_COUNT, EVENT_COUNT, FLASH_COUNT, MASTER_COUNT, PLAN, VM_COUNT, VPE_COUNT,
};
use plan::{CpuIndex, Features, ItsPolicy, Schedule};
use vm::router::{Choose, Events};

// codegen/src/limits.rs: VMIDs of 8 bits, CPUs as bits of a word, indices of 16 bits.
const _: () = assert!(VM_COUNT <= 255 && CPU_COUNT <= 64 && VPE_COUNT <= 1024);

/// CPUs that several vPEs share, in some mode at least, as bits.
const SHARED_CPUS: u64 = {
    let (mut cpus, mut cpu) = (0, 0);
    while cpu < CPU_COUNT {
        cpus |= (is_planned_shared(cpu) as u64) << cpu;
        cpu += 1;
    }
    cpus
};

/// Some CPU is shared. If not, each CPU's scheduler is one vPE's (`sched::Sole`), and everything
/// that only shared CPUs need compiles to nothing.
pub const SHARED: bool = SHARED_CPUS != 0;

/// vPEs, if some CPU is shared.
pub const SHARED_VPES: usize = if SHARED { VPE_COUNT } else { 0 };

/// Several vPEs share the CPU, in some mode at least.
#[inline(always)]
pub const fn is_shared(cpu: CpuIndex) -> bool {
    SHARED && SHARED_CPUS >> (cpu.value() & 63) & 1 != 0
}

#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const fn is_planned_shared(cpu: usize) -> bool {
    if let Some(modes) = &PLAN.modes {
        let mut from = 0;
        while from < modes.modes.len() {
            let switches = modes.modes[from].switches;
            let mut to = 0;
            while to < switches.len() {
                if switches[to].cpus >> cpu & 1 != 0 {
                    return true;
                }
                to += 1;
            }
            from += 1;
        }
    }
    matches!(PLAN.cpus[cpu].schedule, Schedule::Priority(_) | Schedule::Cyclic(_))
}

/// Something runs on this CPU, in some mode at least.
pub const fn is_used(index: CpuIndex, cpu: &plan::Cpu) -> bool {
    !matches!(cpu.schedule, Schedule::Unused) || is_shared(index)
}

/// What vPEs on shared CPUs have besides what every guest has.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
pub const SHARED_FEATURES: Features = {
    let (mut features, mut vpe) = (Features::NONE, 0);
    while vpe < PLAN.vpes.len() {
        if is_shared(PLAN.vpes[vpe].cpu) {
            features = features.with(PLAN.vms[PLAN.vpes[vpe].vm.value() as usize].features);
        }
        vpe += 1;
    }
    features
};

/// The system has modes.
pub const MODES: bool = PLAN.modes.is_some();

/// How events reach vPEs.
pub type Router = <Events<{ PLAN.is_listed() }> as Choose>::Router;

/// Events of which EL2 keeps what waits for a list register: all, or none.
pub const LISTED_EVENTS: usize = if PLAN.is_listed() { EVENT_COUNT } else { 0 };

/// Those that may come as physical LPIs. Without an ITS there are rings alone.
pub const LISTED_LPIS: usize = if PLAN.its.is_some() { LISTED_EVENTS } else { 0 };

/// EL2 takes LPIs.
pub const LPIS: bool = PLAN.its.is_some();

/// Commands and residency have GICv4.1's forms.
pub const V41: bool = PLAN.v41().is_some();

/// How vPEs are resident, where the GIC delivers their events itself.
pub type Direct = gicv4::residency::Direct<V41>;

/// Configuration of vLPIs is invalidated by GICR_INVLPIR.
pub const INVALIDATES: bool = matches!(PLAN.v41(), Some(v41) if v41.invalidates);

/// Some guest may have its SGIs from the GIC.
pub const VIRTUAL_SGIS: bool = matches!(PLAN.v41(), Some(v41) if v41.virtual_sgis);

/// The system has channels.
pub const CHANNELS: bool = !PLAN.channel_ends.is_empty();

/// A VM's device is behind an SMMU.
pub const SMMU: bool = MASTER_COUNT != 0;

/// A VM has a flash.
pub const FLASHES: bool = FLASH_COUNT != 0;

/// A VM has a watchdog.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
pub const WATCHDOGS: bool = {
    let mut vm = 0;
    while vm < VM_COUNT && PLAN.vms[vm].watchdog.is_none() {
        vm += 1;
    }
    vm < VM_COUNT
};

/// A VM has a virtual ITS.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
pub const VIRTUAL_ITS: bool = {
    let mut vm = 0;
    while vm < VM_COUNT && matches!(PLAN.vms[vm].its, ItsPolicy::None) {
        vm += 1;
    }
    vm < VM_COUNT
};

/// A function has an MSI-X table that its VM reaches through EL2.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
pub const MSIX: bool = {
    let mut n = 0;
    while n < PLAN.functions.len()
        && !matches!(PLAN.functions[n].msix, Some(plan::Msix { pages: Some(_), .. }))
    {
        n += 1;
    }
    n < PLAN.functions.len()
};

/// A function signals by its pin.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
pub const INTX: bool = {
    let mut n = 0;
    while n < PLAN.functions.len() && PLAN.functions[n].pin == 0 {
        n += 1;
    }
    n < PLAN.functions.len()
};

/// A VM has several vPEs.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
pub const SEVERAL_VPES: bool = {
    let mut vm = 0;
    while vm < VM_COUNT && PLAN.vms[vm].vpe_count < 2 {
        vm += 1;
    }
    vm < VM_COUNT
};
