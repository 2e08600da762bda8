// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a VM starts, first or again: in pieces, on the CPU of its first vPE and in that vPE's time.
//!
//! The vPE is `Loading` (`vm::power`) until all is done, and its CPU comes to `run` whenever it
//! would have entered the guest: on a CPU of its own at once, on a shared one in the vPE's windows
//! or within its budget. A piece takes as long as an interrupt may wait; `run` returns when one
//! does. So a start delays no neighbour by more than a piece, and a mode switch takes the vPE along
//! like any other.
//!
//! 1. Before another start: no DMA and no MSI of its devices, which are reset if they can be, or
//!    left until what they do has settled; its SPIs off; what the ITS knows of it as at boot.
//! 2. Registers of its emulated GIC and UART as after reset.
//! 3. Its memory (`vm::loading`), and before its first start its flashes (flash.rs).
//! 4. Its functions set up, then what SMMUs hold attached; its first vPE on.

use super::{devices, dma, flash, watchdog};
use crate::gic::hardware::Hardware;
use crate::gic::its;
use crate::io::halt;
use crate::state::parts::{FLASHES, LISTED_EVENTS, SMMU, VIRTUAL_ITS, VIRTUAL_SGIS};
use crate::state::plan_data::{PLAN, VM_COUNT};
use crate::state::system::Built;
use crate::state::vms::{EVENTS, VMS, VPES};
use crate::state::vpe::Vpe;
use arch::region::Region;
use arch::sysreg::{dsb_sy, invalidate_instructions, ticks, ticks_per_second};
use arch::{gic, mmu};
use gicv4::{Error, Vetted, VpeId};
use plan::{Vm, VmIndex};
use spin::Mutex;
use vm::VmState;
use vm::counters::Counter;
use vm::loading::{Loading, Work};
use vm::power::Start;
use vm::vgic::Retreat;
use vm::vits::{Renewal, Renewed, View};

/// What `run` leaves to be done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Loaded {
    /// The vPE begins.
    All,
    /// An interrupt waits to be taken; then go on.
    Interrupted,
    /// Nothing can be done before this time.
    Until(u64),
}

#[derive(Clone, Copy)]
enum Stage {
    StopDevices,
    Wait(u64),
    StopInterrupts,
    RetreatSgis(Retreat),
    RenewIts(Renewal),
    /// By part.
    Registers(usize),
    Memory,
    Flashes,
    /// By function.
    Devices(usize),
    /// By device that an SMMU holds.
    Streams(usize),
}

struct Loader {
    stage: Stage,
    memory: Loading,
}

/// Used by the CPU that the first vPE has, and by the last one to give up another vPE.
static LOADERS: [Mutex<Loader>; VM_COUNT] =
    [const { Mutex::new(Loader { stage: Stage::Registers(0), memory: Loading::first() }) };
        VM_COUNT];

/// The VM, whose vPEs are all off, starts again. Its first vPE's CPU is to be told.
pub fn again(index: VmIndex) {
    if let Some(loader) = LOADERS.get(index.index()) {
        *loader.lock() = Loader { stage: Stage::StopDevices, memory: Loading::again() };
    }
    load(index);
}

/// The VM's first vPE has its loading to do.
pub fn load(index: VmIndex) {
    let vm = PLAN.vms.get(index.index());
    if let Some(vpe) = vm.and_then(|vm| VPES.get(usize::from(vm.first_vpe))) {
        vpe.power.load();
    }
}

/// Goes on with the start of a VM on its first vPE's CPU.
#[inline(never)]
pub fn run(this: &Vpe) -> Loaded {
    let Some(index) = PLAN.vpes.get(this.index.index()).map(|vpe| vpe.vm) else {
        return Loaded::All;
    };
    let (Some(loader), Some(state)) = (LOADERS.get(index.index()), VMS.get(index.index())) else {
        return Loaded::All;
    };
    let mut loader = loader.lock();
    let loaded = loop {
        if let Some(loaded) = loader.step(this, index, state) {
            break loaded;
        }
        if gic::is_pending() {
            break Loaded::Interrupted;
        }
    };
    // Another CPU may go on.
    dsb_sy();
    loaded
}

/// Registers of a VM's emulated GIC and UART as after reset, all at once: at boot, of one that has
/// no place yet.
pub fn reset_registers(index: VmIndex) {
    let (Some(loader), Some(vm), Some(state)) =
        (LOADERS.get(index.index()), PLAN.vms.get(index.index()), VMS.get(index.index()))
    else {
        return;
    };
    let mut loader = loader.lock();
    while let Stage::Registers(part) = loader.stage {
        loader.stage = registers(index, vm, state, part);
    }
}

impl Loader {
    /// One piece. Some: no more now.
    fn step(&mut self, this: &Vpe, index: VmIndex, state: &VmState) -> Option<Loaded> {
        let vm = this.guest.config;
        self.stage = match self.stage {
            Stage::StopDevices => {
                let wait = ticks_per_second() / 1000 * u64::from(devices::stop(vm, true));
                Stage::Wait(ticks().wrapping_add(wait))
            }
            Stage::Wait(until) if ticks() < until => return Some(Loaded::Until(until)),
            Stage::Wait(_) => Stage::StopInterrupts,
            Stage::StopInterrupts => {
                state.distributor.quiesce(&mut Hardware);
                mmu::write_vlpi_config::<Built>(vm);
                match VIRTUAL_SGIS {
                    true => Stage::RetreatSgis(Retreat::default()),
                    false => Stage::RenewIts(Renewal::new()),
                }
            }
            Stage::RetreatSgis(mut retreat) => match retreat.step(&this.guest, &mut Hardware) {
                None => Stage::RenewIts(Renewal::new()),
                Some(Ok(())) => Stage::RetreatSgis(retreat),
                Some(Err(time)) => return Some(Loaded::Until(time)),
            },
            Stage::RenewIts(mut renewal) => match renew_its(vm, state, &mut renewal) {
                Ok(Renewed::All) => Stage::Registers(0),
                Ok(Renewed::More) => Stage::RenewIts(renewal),
                Ok(Renewed::Until(time)) => {
                    self.stage = Stage::RenewIts(renewal);
                    return Some(Loaded::Until(time));
                }
                Err(error) => halt::broken(error),
            },
            Stage::Registers(part) => registers(index, vm, state, part),
            Stage::Memory => match self.memory.next(&PLAN, vm) {
                Some(work) => {
                    self.memory.done(carry_out(this, work));
                    Stage::Memory
                }
                None => Stage::Flashes,
            },
            Stage::Flashes => match FLASHES && flash::fill(index) {
                true => Stage::Flashes,
                false => {
                    dsb_sy();
                    invalidate_instructions();
                    Stage::Devices(0)
                }
            },
            Stage::Devices(number) if devices::set_up(vm, number) => {
                Stage::Devices(number.wrapping_add(1))
            }
            Stage::Devices(_) if SMMU => Stage::Streams(0),
            Stage::Streams(number) if dma::attach(index, number) => {
                Stage::Streams(number.wrapping_add(1))
            }
            Stage::Devices(_) | Stage::Streams(_) => {
                self.stage = Stage::StopDevices;
                finish(index);
                return Some(Loaded::All);
            }
        };
        None
    }
}

fn registers(index: VmIndex, vm: &'static Vm, state: &VmState, part: usize) -> Stage {
    let parts = VmState::reset_parts(&PLAN);
    if part < parts {
        state.reset_part(&PLAN, vm, part);
        return Stage::Registers(part.wrapping_add(1));
    }
    let number = part.wrapping_sub(parts);
    if number < usize::from(vm.vpe_count) {
        if let Some(vpe) = VPES.get(usize::from(vm.first_vpe).wrapping_add(number)) {
            vpe.reset();
        }
        return Stage::Registers(part.wrapping_add(1));
    }
    if VIRTUAL_ITS || LISTED_EVENTS != 0 {
        View::new(&PLAN, vm, &EVENTS).reset();
    }
    if FLASHES {
        flash::reset(index);
    }
    Stage::Memory
}

/// Goes on to renew what the ITS knows of a VM that starts again: every event where the plan has
/// it, nothing pending; and in the end its vPEs' configuration, which was written as the plan has
/// it before.
fn renew_its(vm: &'static Vm, state: &VmState, renewal: &mut Renewal) -> Result<Renewed, Error> {
    let view = View::new(&PLAN, vm, &EVENTS);
    let renewed = renewal.step(view, &state.allowance, &mut Hardware, true);
    if renewed == Renewed::All {
        let vpes = vm.first_vpe..vm.first_vpe.wrapping_add(vm.vpe_count);
        for vpe in vpes.filter(|&vpe| has_tables(vpe)).map(VpeId::new) {
            its::run(&[Vetted::vinvall(vpe), Vetted::vsync(vpe)])?;
        }
    }
    Ok(renewed)
}

fn has_tables(vpe: u16) -> bool {
    PLAN.vpes.get(usize::from(vpe)).is_some_and(|vpe| vpe.tables.is_some())
}

/// Does it until an interrupt waits. How many bytes are done.
fn carry_out(this: &Vpe, work: Work) -> u64 {
    let (base, bytes) = match work {
        Work::Flush(base, bytes) | Work::Clear(base, bytes) => (base, bytes),
        Work::Copy(to, from) => (to, from.len() as u64),
    };
    let Some(region) = Region::<Built>::of_vm(this.guest.config, base, bytes) else {
        return bytes;
    };
    match work {
        Work::Flush(..) => region.flush_some(),
        Work::Copy(_, from) => region.copy_and_flush_some(from),
        Work::Clear(..) => {
            let counters = &this.guest.vpe.counters;
            let before = ticks();
            let done = region.clear_and_flush_some();
            counters.add(Counter::ClearedTicks, ticks().wrapping_sub(before));
            counters.add(Counter::ClearedBytes, done);
            done
        }
    }
}

/// The VM runs, and its first vPE is about to begin.
fn finish(index: VmIndex) {
    let (Some(vm), Some(state)) = (PLAN.vms.get(index.index()), VMS.get(index.index())) else {
        return;
    };
    watchdog::start(vm, state);
    state.health.start();
    if let Some(vpe) = VPES.get(usize::from(vm.first_vpe)) {
        vpe.power.loaded(Start { entry: vm.entry.value(), context: vm.x0 });
    }
}
