// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From firmware's entry to the first instruction of every guest.
//!
//! The plan is copied into hardware; nothing is decided here. The first CPU does what the board has
//! once, starts the others, and then does what every CPU does for itself.

use super::{verify, wires};
use crate::cpu::{serror as errors, workarounds};
use crate::gic::its;
use crate::io::halt::{broken, stop};
use crate::io::{console, dma};
use crate::life::{load, switchover};
use crate::run::{cpu_loop, interrupts};
use crate::state::cpu::{self as cpus, POLLS, Vacant};
use crate::state::parts::{Direct, SMMU, is_used};
use crate::state::places;
use crate::state::plan_data::{PLAN, VM_COUNT};
use crate::state::system::Built;
use crate::state::vms::VMS;
use arch::region::Region;
use arch::{CpuBoot, SystemBoot, cpu, gic, given, mmu, serror, smc, sysreg, vectors};
use gicv4::boot::{Assembly, CpuTables, Ready};
use gicv4::dist::Dist;
use gicv4::redist::Redist;
use gicv4::{Error, IntId};
use plan::{Cpu, CpuIndex, VmIndex};
use vm::text::Text;

/// Priority of every physical interrupt; EL2 masks instead of ranking.
const PRIORITY: u8 = 0xa0;
/// How long firmware may take to start a CPU, in seconds.
const START_TIME: u64 = 5;

/// Where the CPUs that the plan uses wait for each other.
static ASSEMBLY: Assembly = Assembly::new(used());

#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const fn used() -> u32 {
    let (mut used, mut cpu) = (1, 1);
    while cpu < PLAN.cpus.len() {
        used += is_used(CpuIndex::new(cpu as u16), &PLAN.cpus[cpu]) as u32;
        cpu += 1;
    }
    used
}

/// The first CPU, MMU and caches on.
#[inline(always)]
pub fn first_cpu(system: &SystemBoot<Built>, cpu: CpuBoot<Built>, entered: u64) -> ! {
    console::enable();
    dma::close();
    verify::machine().unwrap_or_else(|difference| difference.end());
    clear_tables(system);
    board().unwrap_or_else(|error| broken(error));
    if SMMU {
        dma::boot();
    }
    console::banner(entered);
    // All count as running from here on, so that none is taken for the last one while others have
    // not begun.
    VMS.iter().for_each(|vm| vm.health.start());
    (0..VM_COUNT as u16).for_each(|vm| load::load(VmIndex::new(vm)));
    switchover::prepare_homeless();
    start_other_cpus(system);
    this_cpu(cpu)
}

/// Any other CPU, by firmware's CPU_ON.
#[inline(always)]
pub fn other_cpu(boot: CpuBoot<Built>) -> ! {
    if let Some(cpu) = PLAN.cpus.get(boot.cpu().index()) {
        verify::this_cpu(cpu).unwrap_or_else(|difference| difference.end());
    }
    this_cpu(boot)
}

/// Tables that hardware requires to be zero, and those that begin as the plan has them; memory that
/// VMs share.
fn clear_tables(system: &SystemBoot<Built>) {
    mmu::clear_tables(system);
    PLAN.vms.iter().for_each(mmu::write_vlpi_config::<Built>);
    for memory in PLAN.shared_memory {
        match Region::<Built>::shared(memory) {
            Some(region) if memory.clear => region.clear_and_flush(),
            Some(region) => region.flush(),
            None => {}
        }
    }
    sysreg::dsb_sy();
}

/// What the board has once and no other CPU is needed for: distributor, routes of SPIs.
fn board() -> Result<(), Error> {
    let distributor = Dist::new(mmu::distributor::<Built>());
    distributor.enable(PRIORITY, POLLS)?;
    for (intid, spi) in (32..).map(IntId::new).zip(PLAN.spis) {
        let Some(spi) = spi else { continue };
        if !distributor.is_ours(intid, POLLS)? {
            let owner = PLAN.vms.get(spi.vm.index()).map_or("", |vm| vm.name);
            verify::not_ours(intid.value(), "an interrupt of VM", owner, None).end();
        }
        distributor.set_edge(intid, spi.edge);
        if let Some(cpu) = places::plan_of(spi.vpe) {
            distributor.route(intid, cpu.mpidr);
        }
    }
    if let (Some(intid), Some(cpu)) =
        (PLAN.board.console.intid(), PLAN.cpus.get(PLAN.console_cpu.index()))
    {
        distributor.route(IntId::new(intid), cpu.mpidr);
        if !distributor.is_ours(IntId::new(intid), POLLS)? {
            verify::not_ours(intid, "the console's interrupt", "", None).end();
        }
        distributor.enable_spi(IntId::new(intid));
    }
    for smmu in PLAN.smmus {
        for intid in [smmu.event_intid, smmu.error_intid] {
            if !distributor.is_ours(IntId::new(intid), POLLS)? {
                verify::not_ours(intid, "the SMMU's interrupt", "", None).end();
            }
            distributor.set_edge(IntId::new(intid), smmu.edge);
            if let Some(cpu) = PLAN.cpus.get(smmu.cpu.index()) {
                distributor.route(IntId::new(intid), cpu.mpidr);
            }
            distributor.enable_spi(IntId::new(intid));
        }
    }
    Ok(())
}

/// Firmware starts every other CPU that the plan uses; each goes on in `other_cpu`.
fn start_other_cpus(system: &SystemBoot<Built>) {
    for (index, cpu) in PLAN.cpus.iter().enumerate().skip(1) {
        if !is_used(CpuIndex::new(index as u16), cpu) {
            continue;
        }
        let answer = smc::cpu_on(system, CpuIndex::new(index as u16));
        // ALREADY_ON is no success: such a CPU runs something else, and would never arrive here.
        if answer != 0 {
            verify::missing_cpu(cpu, answer).end();
        }
    }
}

/// The calling CPU's redistributor is up. Comes back when all are, and the ITS has its script.
fn assemble(index: CpuIndex, ready: Ready) -> Result<(), Error> {
    if let Some(everyone) = ASSEMBLY.arrive(ready)? {
        its::boot(&everyone)?;
        ASSEMBLY.open(everyone);
        return Ok(());
    }
    let start = sysreg::ticks();
    let patience = PLAN.board.timer.frequency.saturating_mul(START_TIME);
    while !ASSEMBLY.is_open() {
        sysreg::pause();
        if index.index() == 0 && sysreg::ticks().wrapping_sub(start) > patience {
            missing();
        }
    }
    Ok(())
}

/// A CPU that firmware started has not arrived.
fn missing() {
    for (index, cpu) in PLAN.cpus.iter().enumerate() {
        let index = CpuIndex::new(index as u16);
        if is_used(index, cpu) && !cpus::has_begun(index) {
            verify::absent_cpu(cpu).end();
        }
    }
}

/// What every CPU does for itself, up to its guest.
fn this_cpu(boot: CpuBoot<Built>) -> ! {
    let index = boot.cpu();
    cpu::initialise(&boot);
    gic::initialise();
    let Some(cpu) = PLAN.cpus.get(index.index()) else { unplanned() };
    let (ready, vacant) = interrupts(index, cpu).unwrap_or_else(|error| broken(error));
    let Some(here) = cpus::begin(index, cpu, vacant) else { unplanned() };
    assemble(index, ready).unwrap_or_else(|error| broken(error));
    drop_errors(cpu);
    workarounds::discover(index);
    cpu_loop::begin(here, cpu.schedule);
    let mut frame = boot.frame();
    cpu_loop::settle(here, &mut frame);
    vectors::enter(frame)
}

/// Drops the SError that firmware or the probes of boot left on the calling CPU.
fn drop_errors(cpu: &Cpu) {
    if !serror::is_pending() {
        return;
    }
    if let Some(esr) = errors::take() {
        console::write(&mut |out| {
            out.text("bulkhead: dropped an SError from before the guests, on the CPU with MPIDR ");
            out.hex(cpu.mpidr);
            out.text(", syndrome ");
            out.hex(esr);
            out.text("\n");
        });
    }
}

fn unplanned() -> ! {
    stop(&mut |out| out.text("a CPU that the plan does not have"))
}

/// The CPU's redistributor: its PPIs and SGIs, and its LPIs.
fn interrupts(index: CpuIndex, cpu: &Cpu) -> Result<(Ready, Option<Vacant>), Error> {
    let Some(frame) = mmu::redistributor::<Built>(index) else { unplanned() };
    let tables = CpuTables {
        priority: PRIORITY,
        lpis: given::lpi_tables::<Built>(cpu),
        inherited: PLAN.board.inherited,
    };
    let residency = mmu::virtual_lpis::<Built>(index)
        .zip(PLAN.its.as_ref())
        .map(|(vlpis, its)| (vlpis, its.vintid_bits));
    let ready = gicv4::boot::redistributor::<Direct, _, _>(&frame, residency, &tables, POLLS)?;
    let redistributor = Redist::new(frame);
    let not_ours = redistributor.not_ours(interrupts::OWN | interrupts::GUESTS, POLLS)?;
    if not_ours != 0 {
        let intid = not_ours.trailing_zeros();
        let whose = match interrupts::GUESTS >> intid & 1 {
            0 => "an interrupt of the hypervisor",
            _ => "a timer or PMU of VMs",
        };
        verify::not_ours(intid, whose, "", Some(cpu.redistributor)).end();
    }
    wires::verify(&redistributor, cpu.redistributor).unwrap_or_else(|differs| differs.end());
    redistributor.enable_private(interrupts::OWN);
    Ok(ready)
}
