//! What one CPU needs at hand while its vPE runs.
//!
//! Made once, on the CPU itself, from the plan; found through TPIDR_EL2 (arch/this.rs). `residency` is the CPU's own; its lock is never contended.

use crate::arch::mmu;
use crate::plan_data::{CPU_COUNT, PLAN, VM_COUNT, VPE_COUNT};
use crate::residency::Residency;
use gicv4::RdBase;
use gicv4::redist::Redist;
use plan::{Cpu, CpuIndex, Schedule, VpeIndex};
use spin::{Mutex, Once};
use vm::{Guest, VmState, VpeState};

/// State of every VM, beside `PLAN.vms`.
pub static VMS: [VmState; VM_COUNT] = [const { VmState::new() }; VM_COUNT];
/// State of every vPE, beside `PLAN.vpes`.
pub static VPES: [VpeState; VPE_COUNT] = [const { VpeState::new() }; VPE_COUNT];

static CPUS: [Once<PerCpu>; CPU_COUNT] = [const { Once::new() }; CPU_COUNT];

pub struct PerCpu {
    /// Its vPE with all that it may touch.
    pub guest: Guest,
    /// The vPE's number in the plan.
    pub vpe: VpeIndex,
    /// The redistributor as ITS commands name it.
    pub rd_base: RdBase,
    pub residency: Mutex<Residency>,
}

/// The data of CPU `index`, made at the first call, which is the CPU's own. None: the CPU has no vPE.
pub fn make(index: CpuIndex) -> Option<&'static PerCpu> {
    let cpu = PLAN.cpus.get(index.index())?;
    // codegen makes no shared CPUs yet.
    let Schedule::Exclusive(vpe) = cpu.schedule else { return None };
    let guest = Guest::new(&PLAN, &VMS, &VPES, vpe)?;
    let place = CPUS.get(index.index())?;
    Some(place.call_once(|| PerCpu::new(cpu, guest, vpe)))
}

impl PerCpu {
    fn new(cpu: &'static Cpu, guest: Guest, vpe: VpeIndex) -> Self {
        let redistributor = Redist::new(mmu::redistributor(cpu));
        let rd_base = RdBase::processor(redistributor.processor_number());
        Self { guest, vpe, rd_base, residency: Mutex::new(Residency::None) }
    }
}

/// The physical CPU of a vPE.
pub fn cpu_of(vpe: VpeIndex) -> Option<&'static Cpu> {
    let cpu = PLAN.vpes.get(vpe.index())?.cpu;
    PLAN.cpus.get(cpu.index())
}
