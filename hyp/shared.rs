//! CPUs that several vPEs share: whose they are, and how other CPUs reach a vPE there.
//!
//! The plan says which CPUs are shared; a CPU that is exclusive in some mode and shared in another counts as shared. What
//! follows from that for a system without any is nothing: the tables are empty and the checks constant.
//!
//! A vPE on a shared CPU is reached by its bit in the CPU's letter box and SGI `KNOCK`. Bits are numbers of vPEs, not
//! slots, so that a letter that arrives after its vPE has moved can be sent on.

use crate::alarm::{self, Caller};
use crate::arch::sysreg::{Pause, ticks};
use crate::arch::{gic, timer};
use crate::modes;
use crate::percpu::{self, PerCpu, Physical};
use crate::plan_data::{CPU_COUNT, PLAN, VPE_COUNT};
use crate::switch::State;
use core::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use plan::{CpuIndex, Features, Placement, Schedule, VpeIndex};
use sched::Slot;
use spin::Once;
use spin::mutex::TicketMutex;

/// Physical SGI: "somebody has something for a vPE of yours".
pub const KNOCK: u8 = 2;

/// How many CPUs are shared.
const COUNT: usize = count();
/// The system has shared CPUs.
pub const ANY: bool = COUNT != 0;
/// vPEs, if there are shared CPUs.
pub const VPES: usize = if ANY { VPE_COUNT } else { 0 };

/// What vPEs on shared CPUs have besides what every guest has.
pub const FEATURES: Features = {
    let (mut features, mut vpe) = (Features::NONE, 0);
    while vpe < PLAN.vpes.len() {
        if is_shared(PLAN.vpes[vpe].cpu.value() as usize) {
            features = features.with(PLAN.vms[PLAN.vpes[vpe].vm.value() as usize].features);
        }
        vpe += 1;
    }
    features
};

/// The CPU is shared, in some mode at least.
pub const fn is_shared(cpu: usize) -> bool {
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

const fn count() -> usize {
    let (mut count, mut cpu) = (0, 0);
    while cpu < CPU_COUNT {
        count += is_shared(cpu) as usize;
        cpu += 1;
    }
    count
}

/// Index of each CPU among the shared ones; `NONE`: it is exclusive.
static NUMBERS: [u8; CPU_COUNT] = {
    let mut numbers = [NONE; CPU_COUNT];
    let (mut next, mut cpu) = (0, 0);
    while cpu < CPU_COUNT {
        if is_shared(cpu) {
            numbers[cpu] = next;
            next += 1;
        }
        cpu += 1;
    }
    numbers
};
const NONE: u8 = u8::MAX;

static CPUS: [SharedCpu; COUNT] = [const { SharedCpu::new() }; COUNT];

/// CPU and slot of each vPE, `cpu << 8 | slot`; slot `SUSPENDED`: it has none in this mode; `NOWHERE`: it has a CPU of its
/// own.
static PLACES: [AtomicU32; VPES] = {
    let mut places = [const { AtomicU32::new(NOWHERE) }; VPES];
    let mut vpe = 0;
    while vpe < PLAN.vpes.len() && ANY {
        let (cpu, slot) = (PLAN.vpes[vpe].cpu.value(), PLAN.vpes[vpe].slot);
        if is_shared(cpu as usize) {
            places[vpe] = AtomicU32::new((cpu as u32) << 8 | slot as u32);
        }
        if let Some(modes) = &PLAN.modes
            && modes.modes[0].placements[vpe].is_none()
        {
            places[vpe] = AtomicU32::new((cpu as u32) << 8 | SUSPENDED);
        }
        vpe += 1;
    }
    places
};
const NOWHERE: u32 = u32::MAX;
const SUSPENDED: u32 = 0xff;

/// A bit for each vPE.
struct Letters([AtomicU64; WORDS]);
const WORDS: usize = VPES.div_ceil(64);

impl Letters {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; WORDS])
    }

    fn post(&self, vpe: VpeIndex) {
        if let Some(word) = self.0.get(vpe.index() / 64) {
            word.fetch_or(1 << (vpe.index() % 64), AcqRel);
        }
    }

    /// Takes them out. True: there were some.
    fn collect(&self, mut read: impl FnMut(VpeIndex)) -> bool {
        let mut any = false;
        for (index, word) in self.0.iter().enumerate() {
            let mut bits = if word.load(Acquire) == 0 { 0 } else { word.swap(0, AcqRel) };
            any |= bits != 0;
            while bits != 0 {
                read(VpeIndex::new((index * 64) as u16 + bits.trailing_zeros() as u16));
                bits &= bits - 1;
            }
        }
        any
    }
}

pub struct SharedCpu {
    physical: Once<&'static Physical>,
    /// Used by the CPU itself; another one copies figures for a report.
    pub state: TicketMutex<State, Pause>,
    /// vPEs for which something waits in their software state (`vm::vgic::deliver`).
    knocks: Letters,
    /// vPEs whose power state or VM may have changed.
    attentions: Letters,
    /// Which PPIs are enabled at the redistributor, of those that vPEs here have.
    ppis_on: AtomicU32,
    /// When the scheduler wants to decide again, and when the console wants to be called; one timer serves both.
    decide_at: AtomicU64,
    quiet_at: AtomicU64,
    /// When a mode ends here (modes.rs).
    leave_at: AtomicU64,
}

impl SharedCpu {
    const fn new() -> Self {
        Self {
            physical: Once::new(),
            state: TicketMutex::new(State::new()),
            knocks: Letters::new(),
            attentions: Letters::new(),
            ppis_on: AtomicU32::new(0),
            decide_at: AtomicU64::new(sched::NEVER),
            quiet_at: AtomicU64::new(sched::NEVER),
            leave_at: AtomicU64::new(sched::NEVER),
        }
    }

    /// These PPIs become enabled, and no others of vPEs: for the one that has this CPU, the calling one.
    #[inline]
    pub fn enable_ppis(&self, on: u32) {
        let before = self.ppis_on.load(Relaxed);
        if before == on {
            return;
        }
        self.ppis_on.store(on, Relaxed);
        if let Some(physical) = self.physical.get() {
            physical.redistributor.enable_private(on & !before);
            if before & !on != 0 {
                physical.redistributor.disable_private(before & !on);
                // One that still comes finds its vPE's interrupt disabled, or another vPE that does not have it.
                let _ = physical.redistributor.wait_for_writes(crate::its::POLLS);
            }
        }
    }

    /// Sets the timer for the next decision.
    #[inline]
    pub fn decide_at(&self, time: u64) {
        self.decide_at.store(time, Relaxed);
        timer::arm(time.min(self.quiet_at.load(Relaxed)));
    }

    /// The console is to be called at `time`.
    fn quiet_at(&self, time: u64) {
        if self.quiet_at.swap(time, Relaxed) != time {
            timer::arm(time.min(self.decide_at.load(Relaxed)));
        }
    }

    /// The time has come to call the console, once.
    pub fn quiet_is_due(&self) -> bool {
        let due = self.quiet_at.load(Relaxed) <= ticks();
        if due {
            self.quiet_at.store(sched::NEVER, Relaxed);
        }
        due
    }

    /// The mode ends here at `time`.
    pub fn leave_at(&self, time: u64) {
        self.leave_at.store(time, Release);
    }

    /// When the mode ends here.
    #[inline(always)]
    pub fn leaves_at(&self) -> u64 {
        if modes::ANY { self.leave_at.load(Acquire) } else { sched::NEVER }
    }

    /// Takes out the vPEs for which something waits.
    pub fn take_knocks(&self, read: impl FnMut(VpeIndex)) -> bool {
        self.knocks.collect(read)
    }

    /// Takes out the vPEs whose power state or VM may have changed.
    pub fn take_attentions(&self, read: impl FnMut(VpeIndex)) -> bool {
        self.attentions.collect(read)
    }

    /// Makes this CPU, whose number is `cpu`, look at its letters and at the time.
    pub fn knock(&self, cpu: CpuIndex) {
        if let Some(cpu) = PLAN.cpus.get(cpu.index()) {
            gic::send_sgi(gic::sgi_value(cpu.mpidr, KNOCK));
        }
    }
}

/// The shared CPU `index`. None: it is exclusive.
#[inline(always)]
pub fn cpu(index: CpuIndex) -> Option<&'static SharedCpu> {
    if !ANY {
        return None;
    }
    CPUS.get(usize::from(*NUMBERS.get(index.index())?))
}

/// Number of the CPU where a vPE takes turns. None: it has one of its own.
#[inline(always)]
pub fn home_of(vpe: VpeIndex) -> Option<CpuIndex> {
    if !ANY {
        return None;
    }
    let place = PLACES.get(vpe.index())?.load(Acquire);
    (place != NOWHERE).then_some(CpuIndex::new((place >> 8) as u16))
}

/// Its slot there. None: it does not run in this mode.
#[inline(always)]
pub fn slot_of(vpe: VpeIndex) -> Option<Slot> {
    Slot::new(PLACES.get(vpe.index())?.load(Acquire) as u8)
}

/// The shared CPU of a vPE.
#[inline(always)]
pub fn of(vpe: VpeIndex) -> Option<&'static SharedCpu> {
    cpu(home_of(vpe)?)
}

/// Where a vPE is in a mode that begins on `cpus`. One without a place stays at the CPU of the first mode.
pub fn place(vpe: VpeIndex, placement: Option<Placement>, cpus: u64) {
    let Some(place) = PLACES.get(vpe.index()) else { return };
    let first = PLAN.vpes.get(vpe.index()).map_or(0, |vpe| vpe.cpu.value());
    let next = match placement {
        Some(placement) if cpus >> placement.cpu.value() & 1 == 0 => return,
        Some(placement) => u32::from(placement.cpu.value()) << 8 | u32::from(placement.slot),
        None => u32::from(first) << 8 | SUSPENDED,
    };
    place.store(next, Release);
}

/// Calls the console on the calling CPU once `ticks` have passed; None: not at all.
pub fn call_console(after: Option<u64>) {
    if ANY && let Some(cpu) = percpu::calling().and_then(cpu) {
        cpu.quiet_at(after.map_or(sched::NEVER, |after| ticks().wrapping_add(after)));
        return;
    }
    alarm::set(Caller::Console, after.map_or(sched::NEVER, |after| ticks().wrapping_add(after)));
}

/// Something waits for `vpe` in its software state. False: its CPU is not shared.
#[inline(always)]
pub fn kick(vpe: VpeIndex) -> bool {
    let Some(index) = home_of(vpe) else { return false };
    if let Some(cpu) = cpu(index) {
        cpu.knocks.post(vpe);
        cpu.knock(index);
    }
    true
}

/// The power state of `vpe`, or its VM, has changed. False: its CPU is not shared.
pub fn attention(vpe: VpeIndex) -> bool {
    let Some(index) = home_of(vpe) else { return false };
    if let Some(cpu) = cpu(index) {
        cpu.attentions.post(vpe);
        cpu.knock(index);
    }
    true
}

/// A shared CPU as the calling one.
#[derive(Clone, Copy)]
pub struct Here {
    pub cpu: &'static SharedCpu,
    pub physical: &'static Physical,
}

impl Here {
    /// The CPU of the vPE that runs on the calling one. None: it is exclusive.
    #[inline(always)]
    pub fn of(this: &PerCpu) -> Option<Self> {
        let cpu = this.shared()?;
        Some(Self { cpu, physical: cpu.physical.get()? })
    }

    /// The shared CPU `index`, which calls this at boot.
    pub fn first(index: CpuIndex) -> Option<Self> {
        let (cpu, physical) = (cpu(index)?, percpu::physical(index)?);
        cpu.physical.call_once(|| physical);
        Some(Self { cpu, physical })
    }

    /// The vPE has its turns on this CPU, or is kept here.
    pub fn has(self, vpe: VpeIndex) -> bool {
        home_of(vpe).is_some_and(|home| home == self.physical.index)
    }

    /// All vPEs that have their turns here.
    pub fn vpes(self) -> impl Iterator<Item = VpeIndex> {
        (0..VPE_COUNT as u16).map(VpeIndex::new).filter(move |&vpe| self.has(vpe))
    }
}
