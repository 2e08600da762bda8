//! The residency switch: one vPE leaves a shared CPU, another one has it.
//!
//! Two steps, because a vPE that waits often goes on before anybody else runs:
//!
//! 1. `pause`, `resume`: its timers and its PMU stop being in the CPU, with their PPIs, and its residency ends. A PPI
//!    is active exactly while its vPE has the CPU and has it in hand; the next vPE's could not interrupt if it stayed so.
//! 2. `load`: the registers of one are saved, its SErrors charged to it (serror.rs), and those of the other loaded (`away`),
//!    only when another vPE runs.
//!
//! Nothing here loops over vPEs, VMs or events.
//!
//! **Translations.** They are tagged by VMID. A vPE that runs where another one of its VM ran last makes the CPU forget
//! them first. The alternative, a VMID for each vPE, would make the VM's broadcast TLB maintenance miss its other vPEs.

use crate::cpu::away::away;
use crate::cpu::counters;
use crate::cpu::physical;
use crate::cpu::serror;
use crate::cpu::workarounds;
use crate::gic::platform::Hardware;
use crate::gic::residency::{self, Why};
use crate::state::percpu::PerCpu;
use crate::state::plan_data::{PLAN, VM_COUNT};
use crate::state::shared::{self, Here};
use crate::state::system::Built;
use arch::timer::VirtualTimer;
use arch::vectors::Frame;
use arch::{cpu, gic, guest, sysreg, this};
use gicv4::IntId;
use gicv4::list_regs::ListReg;
use plan::{Features, Schedule, VpeIndex};
use sched::CpuScheduler;
use vm::counters::Counter;
use vm::platform::ListRegisters;
use vm::vgic;

const TIMER: IntId = IntId::new(PLAN.board.timer.virtual_ppi as u32);
/// No vPE.
const NOBODY: u16 = u16::MAX;

/// A shared CPU's own state.
pub struct State {
    pub scheduler: CpuScheduler,
    pub schedule: Schedule,
    /// Who has the CPU: resident, its timer in the CPU.
    pub current: Option<&'static PerCpu>,
    /// Whose registers the CPU holds.
    loaded: Option<&'static PerCpu>,
    /// Who ran last, for whom an SError may still be reported.
    last: Option<&'static PerCpu>,
    /// Firmware's workaround that is called before another VM has the CPU; 0: none.
    pub between_vms: u32,
    /// The vPE of each VM whose translations this CPU may hold.
    translated: [u16; VM_COUNT],
}

impl State {
    pub const fn new() -> Self {
        Self {
            // The counter's own zero is the epoch of frames and periods: one for all CPUs.
            scheduler: CpuScheduler::new(0),
            schedule: Schedule::Unused,
            current: None,
            loaded: None,
            last: None,
            between_vms: 0,
            translated: [NOBODY; VM_COUNT],
        }
    }

    pub fn is_current(&self, vpe: VpeIndex) -> bool {
        self.current.is_some_and(|current| current.vpe == vpe)
    }

    /// The CPU holds the vPE's registers.
    pub fn is_loaded(&self, vpe: VpeIndex) -> bool {
        self.loaded.is_some_and(|loaded| loaded.vpe == vpe)
    }

    /// The vPE has the CPU, with its registers in the frame and in the CPU. False: nobody has, since its VM is to be loaded first.
    pub fn give(&mut self, next: &'static PerCpu, here: Here, frame: &mut Frame) -> bool {
        if self.is_current(next.vpe) {
            return true;
        }
        self.take_away(here);
        if next.guest.vpe.power.loads() {
            return false;
        }
        if self.loaded.is_none_or(|loaded| loaded.vpe != next.vpe) {
            if let Some(old) = self.loaded {
                away(old.vpe, |away| away.save(&old.guest, frame));
            }
            serror::settle(self.last);
            if self.between_vms != 0 {
                self.forget_branches(next);
            }
            self.load(next, frame);
        }
        resume(next, here);
        self.current = Some(next);
        true
    }

    /// Nobody has the CPU; whoever had it was ready to go on.
    pub fn take_away(&mut self, here: Here) {
        if let Some(current) = self.current.take() {
            let _ = pause(current);
            leave(current, here, Why::Preempted);
            shared::looks_later(current.vpe);
        }
    }

    /// The vPE that has the CPU waits or is off. Its timers, and whether something is pending already.
    pub fn release(&mut self, here: Here) -> Option<(Paused, bool)> {
        let current = self.current.take()?;
        let paused = pause(current);
        Some((paused, leave(current, here, Why::Waits)))
    }

    /// The vPE goes off: its list registers are empty and its registers forgotten. It has no CPU.
    pub fn forget(&mut self, vpe: VpeIndex) {
        let loaded = self.loaded.is_some_and(|loaded| loaded.vpe == vpe);
        away(vpe, |away| {
            if loaded {
                away.context.interface.save();
            }
            // PPIs are inactive since `pause`; an SPI goes back to where it came from.
            for &bits in away.context.interface.listed() {
                let register = ListReg::from_bits(bits);
                if let Some(intid) = register.pintid()
                    && !register.is_free()
                    && intid.value() >= 32
                {
                    gic::deactivate::<Built>(intid.value());
                }
            }
            away.context.interface = gic::Interface::new();
            away.forget(loaded);
        });
        if loaded {
            self.loaded = None;
        }
    }

    /// The registers that the CPU holds are saved: its vPE may go on elsewhere.
    pub fn unload(&mut self, frame: &Frame) {
        if let Some(old) = self.loaded.take() {
            away(old.vpe, |away| away.save(&old.guest, frame));
        }
    }

    /// The vPE begins a new life: what this CPU has translated for its VM may be out of date.
    pub fn distrust(&mut self, vm: usize) {
        if let Some(last) = self.translated.get_mut(vm) {
            *last = NOBODY;
        }
    }

    /// What this CPU has translated for any VM may be out of date.
    pub fn distrust_translations(&mut self) {
        self.translated = [NOBODY; VM_COUNT];
    }

    /// Nothing that the last VM taught the CPU about branches is left for `next`, if that is another.
    #[cold]
    #[inline(never)]
    fn forget_branches(&self, next: &PerCpu) {
        if self.last.is_some_and(|last| !core::ptr::eq(last.guest.config, next.guest.config)) {
            workarounds::call(self.between_vms);
        }
    }

    fn load(&mut self, next: &'static PerCpu, frame: &mut Frame) {
        let guest = &next.guest;
        let waits_here = !matches!(self.schedule, Schedule::Exclusive(_));
        guest::assign_shared(guest.config, guest.mpidr(), waits_here);
        if shared::FEATURES != Features::NONE {
            cpu::permit(guest.config.features);
        }
        let vm = PLAN.vpes.get(next.vpe.index()).map_or(0, |vpe| vpe.vm.index());
        if let Some(last) = self.translated.get_mut(vm)
            && *last != next.vpe.value()
        {
            *last = next.vpe.value();
            sysreg::isb();
            guest::forget();
        }
        away(next.vpe, |away| away.load(guest, frame));
        self.loaded = Some(next);
        self.last = Some(next);
        this::set::<Built>(next);
        guest.vpe.counters.count(Counter::Switches);
    }
}

/// What of a vPE that has left the CPU can wake it.
pub struct Paused {
    pub timer: VirtualTimer,
    /// It uses the physical timer, too.
    pub physical: bool,
}

/// The vPE's timers and counters and their PPIs leave the CPU.
fn pause(current: &PerCpu) -> Paused {
    let timer = VirtualTimer::take();
    vgic::leaves(&current.guest, &Hardware);
    if vgic::holds_timer(&current.guest, &Hardware) {
        gic::deactivate::<Built>(TIMER.value());
    }
    let paused = away(current.vpe, |away| {
        away.timer = timer;
        if away.physical.given {
            physical::leave(&mut away.physical, &current.guest);
        }
        if let Some(counters) = away.counters(&current.guest) {
            counters::leave(counters, &current.guest);
        }
        away.paused()
    });
    paused.unwrap_or(Paused { timer, physical: false })
}

fn leave(current: &PerCpu, here: Here, why: Why) -> bool {
    residency::leave(current, here.physical, why).unwrap_or_else(|error| crate::broken(error))
}

/// The PPI is active at this CPU's redistributor, before it can be asked for again.
pub fn activate(here: Here, intid: IntId) {
    // A write of ICC_DIR_EL1 before may still be on its way there; it must not undo this one.
    sysreg::isb();
    sysreg::dsb_sy();
    here.physical.redistributor.set_active(intid);
    sysreg::dsb_sy();
}

/// The vPE is resident; its timers, its counters and their PPIs are as it left them.
fn resume(next: &PerCpu, here: Here) {
    shared::looks(next.vpe);
    residency::enter(next, here.physical).unwrap_or_else(|error| crate::broken(error));
    let guest = &next.guest;
    vgic::returns(guest);
    here.cpu.enable_ppis(guest.enabled_ppis());
    if vgic::holds_timer(guest, &Hardware) {
        activate(here, TIMER);
    }
    away(next.vpe, |away| {
        if let Some(counters) = away.counters(guest) {
            counters::enter(counters, guest, here);
        }
        if away.physical.given {
            physical::enter(&away.physical, guest, here);
        }
        away.timer.put();
    });
    if guest.vpe.redistributor.has_waiting() {
        vgic::flush(guest, &mut Hardware);
    }
}

/// An interrupt that the vPE would take is listed or waits for a list register.
pub fn has_interrupt(current: &PerCpu) -> bool {
    let starved = gic::read_ich_hcr() & u64::from(vm::platform::UNDERFLOW) != 0;
    if starved || current.guest.vpe.redistributor.has_waiting() || counters::ask(&current.guest) {
        return true;
    }
    let used = Hardware.used();
    if used == 0 {
        return false;
    }
    let (enabled, mask) = gic::lets_through();
    let pending = |index| {
        let register = Hardware.read(index);
        used >> index & 1 != 0 && register.bits() >> 62 & 1 != 0 && register.priority() < mask
    };
    enabled && (0..Hardware.count()).any(pending)
}
