// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who runs, in registers: one vPE leaves the CPU, another one has it.
//!
//! On a shared CPU in two steps, because a vPE that waits often goes on before anybody else runs:
//!
//! 1. `pause`, `resume`: its timers and its PMU stop being in the CPU, with their PPIs, and its
//!    residency ends. A PPI is active exactly while its vPE runs and has it in hand; the next
//!    vPE's could not interrupt if it stayed so.
//! 2. `exchange`: the registers of one are saved, its SErrors charged to it (serror.rs), and those
//!    of the other loaded (saved.rs), only when another vPE runs.
//!
//! A CPU that a vPE has for good keeps all its registers, and while it sleeps only its residency
//! ends. Its timers go on, and wake it.
//!
//! Nothing here loops over vPEs, VMs or events, but that on a GICv3 `resume` looks for events that
//! were masked, a word for each 32 of the plan's (gic/lpis.rs).
//!
//! **Translations.** They are tagged by VMID. A vPE that runs where another one of its VM ran last
//! makes the CPU forget them first. The alternative, a VMID for each vPE, would make the VM's
//! broadcast TLB maintenance miss its other vPEs.

use super::saved::{Paused, saved};
use super::{physical_timer, pmu, serror, workarounds};
use crate::gic::hardware::Hardware;
use crate::gic::lpis;
use crate::gic::residency::{self, Why};
use crate::io::halt;
use crate::state::cpu::Here;
use crate::state::intid::VIRTUAL_TIMER;
use crate::state::ipi;
use crate::state::parts::SHARED_FEATURES;
use crate::state::running::{NOBODY, Running};
use crate::state::system::Built;
use crate::state::vms::vm_of;
use crate::state::vpe::Vpe;
use arch::frame::Frame;
use arch::timer::VirtualTimer;
use arch::{cpu, gic, guest, sysreg, this};
use gicv4::list_regs::ListReg;
use plan::{Features, Schedule};
use vm::counters::Counter;
use vm::platform::{ListRegisters, PhysicalGic};
use vm::power::Start;
use vm::vgic;

impl Running {
    /// The vPE runs, with its registers in the frame and in the CPU. False: nobody does, since its
    /// VM is to be loaded first.
    pub fn give(&mut self, next: &'static Vpe, here: Here, frame: &mut Frame) -> bool {
        if self.is_current(next.index) {
            return true;
        }
        self.take_away(here);
        if next.guest.vpe.power.loads() {
            return false;
        }
        if next.shares() {
            if !self.is_loaded(next.index) {
                self.exchange(next, frame);
            }
            resume(next, here);
        } else {
            self.wake(next, here, frame);
        }
        self.current = Some(next);
        true
    }

    /// Nobody runs; whoever did could go on.
    pub fn take_away(&mut self, here: Here) {
        if let Some(current) = self.current.take()
            && current.shares()
        {
            let _ = pause(current);
            leave(current, here, Why::Preempted);
            ipi::looks_later(current.index);
        }
    }

    /// The vPE that runs waits or is off. Its timers, and whether something is pending already.
    pub fn release(&mut self, here: Here) -> Option<(Paused, bool)> {
        let current = self.current.take()?;
        let paused = if current.shares() { pause(current) } else { Paused::NONE };
        Some((paused, leave(current, here, Why::Waits)))
    }

    /// The vPE, which was off, begins at `start`, everything of its own as after reset.
    pub fn start(&mut self, this: &'static Vpe, start: Start, frame: &mut Frame) {
        let guest = &this.guest;
        if this.shares() {
            self.forget_shared(this);
            self.distrust(vm_of(this.index));
            saved(this.index, |saved| saved.context.start(start.entry, start.context));
            return;
        }
        gic::reset_virtual();
        guest::assign::<Built>(guest.config, guest.mpidr());
        guest::reset(start.entry);
        guest::forget();
        frame.start(start.context);
        this::set::<Built>(this);
        self.loaded = Some(this);
        // Enables of PPIs outlived the vPE in the emulated redistributor, but not in the physical
        // one.
        Hardware.enable_ppis(this.index, guest.enabled_ppis(), true);
    }

    /// The vPE, which sleeps or is about to, goes on at `start` with its registers as after reset.
    pub fn restart(&mut self, this: &Vpe, start: Start, frame: &mut Frame) {
        if !this.shares() {
            // Its timers are to wake it.
            self.restart = Some(start);
            return;
        }
        reset(start, frame);
        saved(this.index, |saved| {
            saved.timer = VirtualTimer::OFF;
            saved.physical.reset();
        });
    }

    /// The vPE goes off and does not run: its list registers are empty, its registers forgotten.
    pub fn forget(&mut self, this: &Vpe) {
        if this.shares() {
            return self.forget_shared(this);
        }
        guest::stop_timers();
        Hardware.enable_ppis(this.index, this.guest.config.ppis, false);
        gic::reset_virtual();
        self.loaded = None;
        self.restart = None;
    }

    fn forget_shared(&mut self, this: &Vpe) {
        let loaded = self.is_loaded(this.index);
        saved(this.index, |saved| {
            if loaded {
                saved.context.interface.save();
            }
            // PPIs are inactive since `pause`; an SPI goes back to where it came from.
            for &bits in saved.context.interface.listed() {
                let register = ListReg::from_bits(bits);
                if let Some(intid) = register.pintid()
                    && !register.is_free()
                    && intid.value() >= 32
                {
                    gic::deactivate::<Built>(intid.value());
                }
            }
            saved.context.interface = gic::Interface::new();
            saved.forget(loaded);
        });
        if loaded {
            self.loaded = None;
        }
    }

    /// The registers that the CPU holds are saved: its vPE may go on elsewhere.
    pub fn unload(&mut self, frame: &Frame) {
        if let Some(old) = self.loaded.take() {
            saved(old.index, |saved| saved.save(&old.guest, frame));
        }
    }

    /// The vPE begins a new life: what this CPU has translated for its VM may be out of date.
    fn distrust(&mut self, vm: usize) {
        if let Some(last) = self.translated.get_mut(vm) {
            *last = NOBODY;
        }
    }

    /// What this CPU has translated for any VM may be out of date.
    pub fn distrust_translations(&mut self) {
        self.translated.fill(NOBODY);
    }

    /// Nothing that the last VM taught the CPU about branches is left for `next`, if that is
    /// another.
    #[cold]
    #[inline(never)]
    fn forget_branches(&self, next: &Vpe) {
        if self.last.is_some_and(|last| !core::ptr::eq(last.guest.config, next.guest.config)) {
            workarounds::call(self.between_vms);
        }
    }

    /// The registers of `next` for those that the CPU holds.
    fn exchange(&mut self, next: &'static Vpe, frame: &mut Frame) {
        if let Some(old) = self.loaded {
            saved(old.index, |saved| saved.save(&old.guest, frame));
        }
        serror::settle(self.last);
        if self.between_vms != 0 {
            self.forget_branches(next);
        }
        let guest = &next.guest;
        let waits_here = !matches!(self.schedule, Schedule::Exclusive(_));
        guest::assign_shared::<Built>(guest.config, guest.mpidr(), waits_here);
        if SHARED_FEATURES != Features::NONE {
            cpu::permit(guest.config.features);
        }
        if let Some(last) = self.translated.get_mut(vm_of(next.index))
            && *last != next.index.value()
        {
            *last = next.index.value();
            sysreg::isb();
            guest::forget();
        }
        saved(next.index, |saved| saved.load(guest, frame));
        self.loaded = Some(next);
        self.last = Some(next);
        this::set::<Built>(next);
        guest.vpe.counters.count(Counter::Switches);
    }

    /// The vPE that has this CPU for good goes on.
    fn wake(&mut self, next: &Vpe, here: Here, frame: &mut Frame) {
        next.guest.vpe.power.resume();
        if let Some(start) = self.restart.take() {
            reset(start, frame);
        }
        become_resident(next, here);
        take_waiting(next);
    }
}

/// The registers that the CPU holds are as after reset, about to run at `start`; what list
/// registers hold stays.
fn reset(start: Start, frame: &mut Frame) {
    gic::reset_virtual_control();
    guest::reset(start.entry);
    frame.start(start.context);
}

/// The vPE's timers and counters and their PPIs leave the CPU.
fn pause(current: &Vpe) -> Paused {
    let timer = VirtualTimer::take();
    vgic::leaves(&current.guest, &Hardware);
    if vgic::holds_timer(&current.guest, &Hardware) {
        gic::deactivate::<Built>(VIRTUAL_TIMER);
    }
    let paused = saved(current.index, |saved| {
        saved.timer = timer;
        if saved.physical.given {
            physical_timer::leave(&mut saved.physical, &current.guest);
        }
        if let Some(counters) = saved.counters(&current.guest) {
            pmu::leave(counters, &current.guest);
        }
        saved.paused()
    });
    paused.unwrap_or(Paused { timer, physical: false })
}

fn leave(current: &Vpe, here: Here, why: Why) -> bool {
    residency::leave(current, here.local, why).unwrap_or_else(|error| halt::broken(error))
}

fn become_resident(next: &Vpe, here: Here) {
    residency::enter(next, here.local).unwrap_or_else(|error| halt::broken(error));
}

fn take_waiting(next: &Vpe) {
    if next.guest.vpe.redistributor.has_waiting() {
        vgic::flush(&next.guest, &mut Hardware);
    }
}

/// The vPE is resident; its timers, its counters and their PPIs are as it left them.
fn resume(next: &Vpe, here: Here) {
    ipi::looks(next.index);
    become_resident(next, here);
    let guest = &next.guest;
    vgic::returns(guest);
    lpis::unmask(next.index).unwrap_or_else(|error| halt::broken(error));
    here.enable_ppis(guest.enabled_ppis());
    if vgic::holds_timer(guest, &Hardware) {
        here.activate(VIRTUAL_TIMER);
    }
    saved(next.index, |saved| {
        if let Some(counters) = saved.counters(guest) {
            pmu::enter(counters, guest, here);
        }
        if saved.physical.given {
            physical_timer::enter(&saved.physical, guest, here);
        }
        saved.timer.put();
    });
    take_waiting(next);
}

/// An interrupt that the vPE would take is listed or waits for a list register.
pub fn has_interrupt(current: &Vpe) -> bool {
    let starved = gic::read_ich_hcr() & u64::from(vm::platform::UNDERFLOW) != 0;
    if starved || current.guest.vpe.redistributor.has_waiting() || pmu::ask(&current.guest) {
        return true;
    }
    let used = Hardware.used();
    // On a CPU of its own it may go on for nothing: whatever is listed counts.
    if used == 0 || !current.shares() {
        return used != 0;
    }
    let (enabled, mask) = gic::lets_through();
    let pending = |index| {
        let register = Hardware.read(index);
        used >> index & 1 != 0 && register.bits() >> 62 & 1 != 0 && register.priority() < mask
    };
    enabled && (0..Hardware.count()).any(pending)
}

/// When a timer of a vPE that has left the CPU asks for an interrupt that it would take. `idle`: it
/// did not have the virtual timer's interrupt in hand.
pub fn next_timer(this: &Vpe, paused: &Paused, idle: bool) -> Option<u64> {
    let enabled = this.guest.enabled_ppis() >> VIRTUAL_TIMER & 1 != 0;
    let fires_at = if idle && enabled { paused.timer.fires_at() } else { None };
    if !paused.physical {
        return fires_at;
    }
    fires_at.into_iter().chain(physical_timer::wakes_at(this)).min()
}
