//! What a CPU needs at hand while a vPE runs on it.
//!
//! One for each vPE, found through TPIDR_EL2 (arch/this.rs) while it runs. An exclusive CPU has one and keeps it; a shared
//! CPU changes it with the vPE (switch.rs), so that the paths of traps are the same on both. `residency` is used by the
//! vPE's CPU alone; its lock is never contended.

use crate::gic::residency::Residency;
use crate::state::plan_data::{CPU_COUNT, EVENT_COUNT, PLAN, VM_COUNT, VPE_COUNT};
use crate::state::shared::{self, SharedCpu};
use arch::once::Once;
use arch::{mmu, sysreg};
use gicv4::RdBase;
use gicv4::command::{Command, Encoded};
use gicv4::hw::MmioFrame;
use gicv4::redist::Redist;
use gicv4::vpe::Vacant;
use plan::{Cpu, CpuIndex, Schedule, VpeIndex};
use spin::Mutex;
use vm::vits::Event;
use vm::{Guest, VmState, VpeState};

// codegen/src/limits.rs: VMIDs of 8 bits, CPUs as bits of a word, indices of 16 bits.
const _: () = assert!(VM_COUNT <= 255 && CPU_COUNT <= 64 && VPE_COUNT <= 1024);

/// State of every VM, beside `PLAN.vms`.
pub static VMS: [VmState; VM_COUNT] = [const { VmState::new() }; VM_COUNT];
/// State of every vPE, beside `PLAN.vpes`.
pub static VPES: [VpeState; VPE_COUNT] = [const { VpeState::new() }; VPE_COUNT];
/// State of every event, beside the plan's.
pub static EVENTS: [Event; EVENT_COUNT] = [const { Event::new() }; EVENT_COUNT];

static PLACES: [Once<PerCpu>; VPE_COUNT] = [const { Once::new() }; VPE_COUNT];
static CPUS: [Once<Physical>; CPU_COUNT] = [const { Once::new() }; CPU_COUNT];

pub struct PerCpu {
    /// The vPE with all that it may touch.
    pub guest: Guest,
    /// The vPE's number in the plan.
    pub vpe: VpeIndex,
    /// Its CPU is shared.
    pub takes_turns: bool,
    pub residency: Mutex<Residency>,
}

/// A CPU's interrupt hardware.
pub struct Physical {
    pub index: CpuIndex,
    pub redistributor: Redist<MmioFrame>,
    /// SYNC of this redistributor.
    pub sync: Encoded,
    /// Its VLPI frame while no vPE is resident; its lock is never contended.
    pub vacant: Mutex<Option<Vacant<MmioFrame>>>,
}

/// The data of vPE `index`, made at the first call, which is its first CPU's. None: the plan has no such vPE.
pub fn make(index: VpeIndex) -> Option<&'static PerCpu> {
    let guest = Guest::new(&PLAN, &VMS, &VPES, &EVENTS, index)?;
    let residency = Mutex::new(Residency::first(index));
    let place = PLACES.get(index.index())?;
    let takes_turns = shared::home_of(index).is_some();
    Some(place.get_or_make(|| PerCpu { guest, vpe: index, takes_turns, residency }))
}

/// The data of a vPE that has been made.
pub fn of(index: VpeIndex) -> Option<&'static PerCpu> {
    PLACES.get(index.index())?.get()
}

/// The hardware of the CPU `index`, which calls this once, with its VLPI frame.
pub fn make_physical(index: CpuIndex, cpu: &Cpu, vacant: Option<Vacant<MmioFrame>>) {
    let redistributor = Redist::new(mmu::redistributor(cpu));
    let sync = Command::Sync { redistributor: rd_base(cpu) }.encode();
    if let Some(place) = CPUS.get(index.index()) {
        place.get_or_make(|| Physical { index, redistributor, sync, vacant: Mutex::new(vacant) });
    }
}

/// A CPU's redistributor as ITS commands name it.
fn rd_base(cpu: &Cpu) -> RdBase {
    match &PLAN.its {
        Some(its) if its.by_address => RdBase::from_field(cpu.redistributor.value()),
        _ => RdBase::processor(cpu.processor),
    }
}

/// The hardware of a CPU that has made it.
pub fn physical(index: CpuIndex) -> Option<&'static Physical> {
    CPUS.get(index.index())?.get()
}

impl PerCpu {
    /// The vPE's CPU.
    pub fn physical(&self) -> Option<&'static Physical> {
        physical(cpu_index_of(self.vpe)?)
    }

    /// The shared CPU that it has its turns on; None: its CPU is its own.
    #[inline(always)]
    pub fn shared(&self) -> Option<&'static SharedCpu> {
        shared::of(self.vpe)
    }
}

/// Number of the calling CPU.
pub fn calling() -> Option<CpuIndex> {
    let affinity = sysreg::affinity();
    let index = PLAN.cpus.iter().position(|cpu| cpu.mpidr == affinity)?;
    Some(CpuIndex::new(index as u16))
}

/// Number of the physical CPU of a vPE.
pub fn cpu_index_of(vpe: VpeIndex) -> Option<CpuIndex> {
    match shared::home_of(vpe) {
        Some(cpu) => Some(cpu),
        None => Some(PLAN.vpes.get(vpe.index())?.cpu),
    }
}

/// The physical CPU of a vPE.
pub fn cpu_of(vpe: VpeIndex) -> Option<&'static Cpu> {
    PLAN.cpus.get(cpu_index_of(vpe)?.index())
}

/// The vPE that has a CPU for good.
pub fn exclusive(cpu: &Cpu) -> Option<VpeIndex> {
    match cpu.schedule {
        Schedule::Exclusive(vpe) => Some(vpe),
        _ => None,
    }
}
