// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A physical CPU: its interrupt hardware, its timer, its mailboxes, and who runs on it.

use super::mailbox::Mailbox;
use super::parts::{Direct, MODES, SHARED};
use super::places;
use super::plan_data::{CPU_COUNT, PLAN, VPE_COUNT};
use super::running::Running;
use super::system::Built;
use super::timer::Timer;
use super::vpe::Vpe;
use arch::mmu::VlpiFrame;
use arch::once::Once;
use arch::sysreg::{self, Pause, dsb_sy, isb};
use arch::{gic, mmu};
use core::ops::Deref;
use core::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, SeqCst},
    fence,
};
use gicv4::frame::Redistributor;
use gicv4::hw::MmioFrame;
use gicv4::redist::Redist;
use gicv4::residency::Form;
use gicv4::{IntId, RdBase, Vetted};
use plan::{CpuIndex, Schedule, VpeIndex};
use sched::NEVER;
use spin::Mutex;
use spin::mutex::TicketMutex;
use spin::mutex::ticket::TicketMutexGuard;

/// Values of `Cpu::window` that are no vPE.
const NO_WINDOW: u32 = u32::MAX;
const NO_WINDOWS: u32 = u32::MAX - 1;

/// Polls of the ITS and of redistributors before boot or a command gives up.
pub const POLLS: u32 = 1_000_000;

static CPUS: [Cpu; CPU_COUNT] = [const { Cpu::new() }; CPU_COUNT];

pub struct Cpu {
    local: Once<Local>,
    running: TicketMutex<Running, Pause>,
    pub timer: Timer,
    /// vPEs for which something waits in their software state (`vm::vgic::deliver`).
    kicks: Mailbox,
    /// vPEs whose power state or VM may have changed.
    reviews: Mailbox,
    /// Which PPIs of vPEs that share the CPU are enabled at the redistributor.
    ppis: AtomicU32,
    /// The vPE whose window it is, under a cyclic schedule; `NO_WINDOW`: it is nobody's;
    /// `NO_WINDOWS`: there are none.
    window: AtomicU32,
    /// When the mode ends here (life/switchover.rs).
    leave_at: AtomicU64,
}

/// A CPU's VLPI frame while no vPE is resident.
pub type Vacant = <Direct as Form>::Vacant<VlpiFrame>;

/// What only the CPU itself uses of the GIC.
pub struct Local {
    pub index: CpuIndex,
    pub redistributor: Redist<MmioFrame<Redistributor>>,
    /// SYNC of this redistributor.
    pub sync: Vetted,
    /// Its VLPI frame while no vPE is resident; its lock is never contended.
    pub vacant: Mutex<Option<Vacant>>,
}

/// The CPU `index`.
#[inline(always)]
pub fn of(index: CpuIndex) -> Option<&'static Cpu> {
    CPUS.get(index.index())
}

/// Number of the calling CPU.
#[inline(never)]
pub fn calling_index() -> Option<CpuIndex> {
    let affinity = sysreg::affinity();
    let index = PLAN.cpus.iter().position(|cpu| cpu.mpidr == affinity)?;
    Some(CpuIndex::new(index as u16))
}

/// The calling CPU.
pub fn calling() -> Option<&'static Cpu> {
    of(calling_index()?)
}

/// The CPU `index` has begun.
pub fn has_begun(index: CpuIndex) -> bool {
    of(index).is_some_and(|cpu| cpu.local.get().is_some())
}

/// The CPU `index`, the calling one, begins; once, with its VLPI frame.
pub fn begin(index: CpuIndex, plan: &plan::Cpu, vacant: Option<Vacant>) -> Option<Here> {
    let cpu = of(index)?;
    let redistributor = Redist::new(mmu::redistributor::<Built>(index)?);
    let sync = Vetted::sync(rd_base(plan));
    cpu.local.get_or_make(|| Local { index, redistributor, sync, vacant: Mutex::new(vacant) });
    here(index)
}

/// A CPU's redistributor as ITS commands name it.
fn rd_base(cpu: &plan::Cpu) -> RdBase {
    match &PLAN.its {
        Some(its) if its.by_address => RdBase::from_field(cpu.redistributor.value()),
        _ => RdBase::processor(cpu.processor),
    }
}

/// The CPU `index`, which is the calling one and has begun.
#[inline(always)]
pub fn here(index: CpuIndex) -> Option<Here> {
    let cpu = of(index)?;
    Some(Here { cpu, local: cpu.local.get()? })
}

/// The calling CPU.
#[derive(Clone, Copy)]
pub struct Here {
    cpu: &'static Cpu,
    pub local: &'static Local,
}

impl Deref for Here {
    type Target = &'static Cpu;

    #[inline(always)]
    fn deref(&self) -> &Self::Target {
        &self.cpu
    }
}

impl Here {
    /// The CPU of a vPE that runs, or is about to, on the calling one.
    #[inline(always)]
    pub fn of(this: &Vpe) -> Option<Self> {
        if SHARED { Self::find(this.index) } else { Self::find_small(this.index) }
    }

    #[inline(always)]
    fn find(vpe: VpeIndex) -> Option<Self> {
        here(places::cpu_of(vpe)?)
    }

    #[inline(never)]
    fn find_small(vpe: VpeIndex) -> Option<Self> {
        Self::find(vpe)
    }

    /// The vPE runs on this CPU, or is looked after here.
    pub fn has(self, vpe: VpeIndex) -> bool {
        places::cpu_of(vpe) == Some(self.local.index)
    }

    /// All vPEs that run here, in this mode.
    pub fn vpes(self) -> impl Iterator<Item = VpeIndex> {
        let all = if SHARED {
            0..VPE_COUNT as u16
        } else {
            self.owner().map_or(0..0, |vpe| vpe.value()..vpe.value().wrapping_add(1))
        };
        all.map(VpeIndex::new).filter(move |&vpe| !SHARED || self.has(vpe))
    }

    /// The PPI is active at this CPU's redistributor, before it can be asked for again.
    pub fn activate(self, intid: u32) {
        // A write of ICC_DIR_EL1 before may still be on its way there; it must not undo this one.
        isb();
        dsb_sy();
        self.local.redistributor.set_active(IntId::new(intid));
        dsb_sy();
    }

    /// These PPIs become enabled, and no others of vPEs: for the one that runs here.
    #[inline(always)]
    pub fn enable_ppis(self, on: u32) {
        let before = self.ppis.load(Relaxed);
        if before != on {
            self.change_ppis(before, on);
        }
    }

    #[cold]
    #[inline(never)]
    fn change_ppis(self, before: u32, on: u32) {
        self.ppis.store(on, Relaxed);
        let redistributor = &self.local.redistributor;
        redistributor.enable_private(on & !before);
        if before & !on != 0 {
            redistributor.disable_private(before & !on);
            // One that still comes finds its vPE's interrupt disabled, or another vPE that does
            // not have it.
            let _ = redistributor.wait_for_writes(POLLS);
        }
    }

    /// A window begins, or ends: from now on only its vPE is told at once. None: the schedule has
    /// no windows.
    pub fn open(self, window: Option<Option<VpeIndex>>) {
        let now = match window {
            None => NO_WINDOWS,
            Some(None) => NO_WINDOW,
            Some(Some(vpe)) => vpe.value().into(),
        };
        // Who tells posts first and looks at the window then.
        if self.window.load(Relaxed) != now {
            self.window.store(now, SeqCst);
            fence(SeqCst);
        }
    }

    /// Takes out the vPEs for which something waits.
    pub fn take_kicks(self, read: impl FnMut(VpeIndex)) -> bool {
        self.kicks.take(|_| true, read)
    }

    /// Takes out the vPEs whose power state or VM may have changed; in another's window they wait
    /// for their own, unless they are elsewhere by now. False: there are none, or without shared
    /// CPUs, no more than the one.
    pub fn take_reviews(self, mut read: impl FnMut(VpeIndex)) -> bool {
        if !SHARED {
            if let Some(vpe) = self.owner() {
                read(vpe);
            }
            return false;
        }
        self.reviews.take(|vpe| self.listens(vpe) || !self.has(vpe), read)
    }

    /// The vPE that has this CPU for good.
    pub fn owner(self) -> Option<VpeIndex> {
        match PLAN.cpus.get(self.local.index.index())?.schedule {
            Schedule::Exclusive(vpe) => Some(vpe),
            _ => None,
        }
    }
}

/// Who runs on a CPU.
type Guard = TicketMutexGuard<'static, Running, Pause>;

impl Cpu {
    const fn new() -> Self {
        Self {
            local: Once::new(),
            running: TicketMutex::new(Running::new()),
            timer: Timer::new(),
            kicks: Mailbox::new(),
            reviews: Mailbox::new(),
            ppis: AtomicU32::new(0),
            window: AtomicU32::new(NO_WINDOWS),
            leave_at: AtomicU64::new(NEVER),
        }
    }

    /// Who runs here. For the CPU itself; another one copies figures for a report.
    #[inline(always)]
    pub fn running(&'static self) -> Guard {
        if SHARED { self.running.lock() } else { self.lock() }
    }

    /// Where nobody's turn depends on it, small rather than fast.
    #[inline(never)]
    fn lock(&'static self) -> Guard {
        self.running.lock()
    }

    /// Something waits for `vpe`, which runs here. True: the CPU is to be told.
    #[inline(always)]
    pub fn post_kick(&self, vpe: VpeIndex) -> bool {
        self.kicks.post(vpe);
        fence(SeqCst);
        self.listens(vpe)
    }

    /// The power state or the VM of `vpe` may have changed. True: the CPU is to be told.
    pub fn post_review(&self, vpe: VpeIndex) -> bool {
        self.reviews.post(vpe);
        fence(SeqCst);
        self.listens(vpe)
    }

    /// What comes for `vpe` is of use now.
    fn listens(&self, vpe: VpeIndex) -> bool {
        match self.window.load(SeqCst) {
            NO_WINDOWS => true,
            // Without a place in this mode it has no window that it could wait for.
            window => window == u32::from(vpe.value()) || places::slot_of(vpe).is_none(),
        }
    }

    /// A review of the vPE is due.
    pub fn has_review(&self, vpe: VpeIndex) -> bool {
        self.reviews.has(vpe)
    }

    /// The mode ends here at `time`. False: that was known.
    pub fn leave_at(&self, time: u64) -> bool {
        self.leave_at.swap(time, AcqRel) != time
    }

    /// When the mode ends here.
    #[inline(always)]
    pub fn leaves_at(&self) -> u64 {
        if MODES { self.leave_at.load(Acquire) } else { NEVER }
    }
}

/// Sends a physical SGI to a CPU.
pub fn signal(index: CpuIndex, sgi: u8) {
    if let Some(cpu) = PLAN.cpus.get(index.index()) {
        gic::send_sgi(gic::sgi_value(cpu.mpidr, sgi));
    }
}
