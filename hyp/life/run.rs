//! Which vPE runs, and the life of a VM: start, stop, restart, end of the system.
//!
//! Any CPU may change what a vPE or a VM should be (`vm::power`, `vm::health`), then sends `ATTENTION` to the CPUs that
//! it concerns. Each CPU brings its own vPE there, in `settle`, on its way back to the guest:
//!
//! 1. VM not running any more: the vPE gives up its residency, timer and list registers and is off.
//! 2. The last vPE of a VM to do so has it start again (load.rs) or, if no VM is left, ends the system.
//! 3. First vPE of a VM that starts: a piece of that, and the interrupts that came meanwhile.
//! 4. vPE turned on: first state of its registers, residency, and into the guest.
//! 5. Otherwise the CPU sleeps in EL2 and takes interrupts.
//!
//! This is what exclusive CPUs do; a shared one does the same for all its vPEs in turns.rs.

use crate::cpu::alarm::{self, Caller};
use crate::gic::platform::{Hardware, MSIX, attention};
use crate::gic::residency::{self, Why};
use crate::gic::rings;
use crate::io::{console, dma, report};
use crate::life::load::{self, Loaded};
use crate::life::watchdog;
use crate::run::{irq, turns};
use crate::state::percpu::{self, PerCpu, VMS, VPES};
use crate::state::plan_data::{PLAN, VM_COUNT};
use crate::state::shared::Here;
use crate::state::system::Built;
use arch::sysreg::{pause, ticks};
use arch::vectors::Frame;
use arch::{self, gic, guest, mmu, smc};
use core::sync::atomic::{AtomicBool, Ordering::SeqCst};
use plan::{PowerOff, Vm, VpeIndex};
use spin::mutex::TicketMutex;
use vm::health::{self, Action};
use vm::platform::PhysicalGic;
use vm::power::{Start, State};
use vm::{Guest, pci, vgic};

/// Held by whoever collects the vPEs of a VM.
static COLLECTING: [TicketMutex<(), arch::sysreg::Pause>; VM_COUNT] =
    [const { TicketMutex::new(()) }; VM_COUNT];
/// Somebody ends the system.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Returns when this CPU's vPE may run, with its registers in the frame and in the CPU.
pub fn settle(this: &PerCpu, frame: &mut Frame) {
    match Here::of(this) {
        Some(here) => turns::settle(here, frame),
        None => settle_exclusive(this, frame),
    }
}

fn settle_exclusive(this: &PerCpu, frame: &mut Frame) {
    let guest = &this.guest;
    loop {
        console::pump();
        if watchdog::ANY
            && let Some(cpu) = percpu::cpu_index_of(this.vpe)
        {
            watchdog::look(cpu);
        }
        if let Some(start) = guest.vpe.power.take_start() {
            begin(this, guest, start, frame);
        }
        let running = guest.vm.health.running();
        match guest.vpe.power.state() {
            State::On | State::Suspended if running => return,
            State::On | State::Suspended => stop(this, guest),
            State::Loading if load(this) => continue,
            _ => {}
        }
        irq::wait(this);
    }
}

/// Goes on with the start of the VM. False: an interrupt waits.
fn load(this: &PerCpu) -> bool {
    if let Loaded::Until(time) = load::run(this) {
        while ticks() < time && !gic::is_pending() {
            pause();
        }
    }
    !gic::is_pending()
}

/// The vPE begins at `start`, everything of its own as after reset.
fn begin(this: &PerCpu, guest: &Guest, start: Start, frame: &mut Frame) {
    gic::reset_virtual();
    guest::assign(guest.config, guest.mpidr());
    guest::reset(start.entry);
    guest::forget();
    frame.start(start.context);
    enter(this);
    // Enables of PPIs outlived the vPE in the emulated redistributor, but not in the physical one.
    Hardware.enable_ppis(this.vpe, guest.enabled_ppis(), true);
    vgic::flush(guest, &mut Hardware);
}

fn enter(this: &PerCpu) {
    if let Some(cpu) = this.physical() {
        residency::enter(this, cpu).unwrap_or_else(|error| crate::broken(error));
    }
}

/// True: something is pending for it.
fn leave(this: &PerCpu) -> bool {
    this.physical().is_some_and(|cpu| {
        residency::leave(this, cpu, Why::Waits).unwrap_or_else(|error| crate::broken(error))
    })
}

/// The vPE that runs on this CPU, of a VM that stops, or that called CPU_OFF: nothing of it is left in this CPU, and then it is
/// off. The last one of a VM that stops ends or restarts it, also one that was about to leave by itself.
pub fn stop(this: &PerCpu, guest: &Guest) {
    vgic::turn_off(guest, &mut Hardware);
    withdraw(this);
    guest.vpe.power.turn_off();
    collect(guest.config, this.vpe);
}

/// Takes a vPE out of this CPU. Its power state is the caller's.
fn withdraw(this: &PerCpu) {
    rings::deliver_all(this);
    if let Some(here) = Here::of(this) {
        return turns::withdraw(here, this);
    }
    guest::stop_timers();
    Hardware.enable_ppis(this.vpe, this.guest.config.ppis, false);
    gic::reset_virtual();
    let _ = leave(this);
}

/// CPU_SUSPEND: sleeps until an interrupt is there for the vPE, then goes on at `resume`, its state lost, or where it was.
pub fn suspend(this: &PerCpu, guest: &Guest, resume: Option<Start>, frame: &mut Frame) {
    guest.vpe.power.suspend();
    let mut wake = leave(this);
    let listed = !gic::empty_list_registers() & ((1 << PLAN.board.list_registers) - 1);
    wake |= listed != 0 || guest.vpe.redistributor.has_waiting();
    while !wake && guest.vm.health.running() {
        wake = irq::wait(this);
    }
    guest.vpe.power.resume();
    if !guest.vm.health.running() {
        return;
    }
    if let Some(resume) = resume {
        gic::reset_virtual_control();
        guest::reset(resume.entry);
        frame.start(resume.context);
    }
    enter(this);
}

/// The guest is to execute an instruction again that waits for the physical ITS until `time`: sleeps until then, or until an interrupt
/// is there for the vPE.
#[inline(never)]
pub fn wait_for_its(this: &PerCpu, time: u64) {
    if let Some(here) = Here::of(this) {
        return turns::wait_until(here, this, time);
    }
    alarm::set(Caller::Waiter, time);
    while ticks() < time && this.guest.vm.health.running() && !irq::wait(this) {}
    alarm::set(Caller::Waiter, sched::NEVER);
}

/// All vPEs of a VM, by their index in the plan.
pub fn vpes(vm: &Vm) -> impl Iterator<Item = VpeIndex> {
    (vm.first_vpe..vm.first_vpe.wrapping_add(vm.vpe_count)).map(VpeIndex::new)
}

fn is_off(vpe: VpeIndex) -> bool {
    VPES.get(vpe.index()).is_none_or(|vpe| vpe.power.state() == State::Off)
}

/// Follows what `vm::health` decided about the VM of this CPU's vPE. The caller goes on to `settle`.
pub fn act(guest: &Guest, action: Action) {
    match action {
        Action::Stop | Action::Restart => vpes(guest.config).for_each(attention),
        Action::ResetBoard => {
            report::result();
            smc::system_reset::<Built>()
        }
        Action::Nothing => {}
    }
}

/// If all vPEs of the VM are off: has it start again, or ends the system if it was the last.
pub fn collect(vm: &'static Vm, one_of_them: VpeIndex) {
    let Some(index) = PLAN.vpes.get(one_of_them.index()).map(|vpe| vpe.vm) else { return };
    let (Some(state), Some(lock)) = (VMS.get(index.index()), COLLECTING.get(index.index())) else {
        return;
    };
    let guard = lock.lock();
    if !vpes(vm).all(is_off) {
        return;
    }
    match state.health.state() {
        health::State::Restarting => {
            load::again(index);
            attention(VpeIndex::new(vm.first_vpe));
        }
        health::State::Off | health::State::Failed(_) => {
            stop_devices(vm, false);
            state.distributor.quiesce(&mut Hardware);
            drop(guard);
            end();
        }
        health::State::Running => {}
    }
}

/// The VM's PCI functions.
fn functions(vm: &Vm) -> &'static [plan::PciFunction] {
    let first = usize::from(vm.first_function);
    PLAN.functions.get(first..first.wrapping_add(usize::from(vm.function_count))).unwrap_or(&[])
}

/// BARs and the command register of the VM's function `number`, as the plan decided them; no
/// interrupts yet, whatever firmware left. False: it has no such function.
pub fn set_up_device(vm: &Vm, number: usize) -> bool {
    let Some(function) = functions(vm).get(number) else { return false };
    pci::silence(&mut Hardware, function);
    for write in function.setup {
        mmu::config_space(function, write.offset).write(write.value);
    }
    mmu::complete_config(function);
    if MSIX {
        pci::table::clear(&mut Hardware, function);
    }
    true
}

/// No DMA and no MSI of the VM's functions any more. With `reset`, before another start, those that can are reset. True: they
/// must be left alone for [`pci::RESET_MILLISECONDS`].
pub fn stop_devices(vm: &Vm, reset: bool) -> bool {
    if dma::ANY
        && let Some(vpe) = PLAN.vpes.get(usize::from(vm.first_vpe))
    {
        dma::detach(vpe.vm);
    }
    let mut wait = false;
    for function in functions(vm) {
        wait |= pci::quiet(&mut Hardware, function, reset);
    }
    wait
}

/// If no VM runs any more, says how it went and does what the plan wants then. Once.
fn end() {
    let all_off = (0..PLAN.vpes.len() as u16).map(VpeIndex::new).all(is_off);
    let ended = VMS.iter().all(|vm| vm.health.ended());
    if !all_off || !ended || ENDING.swap(true, SeqCst) {
        return;
    }
    report::ask(report::COUNTERS);
    report::result();
    if PLAN.when_all_off == PowerOff::PowerOff {
        smc::system_off::<Built>();
    }
}
