//! CPUs that several vPEs share: whose they are, and how other CPUs reach a vPE there.
//!
//! The plan says which CPUs are shared; a CPU that is exclusive in some mode and shared in another counts as shared. What
//! follows from that for a system without any is nothing: the tables are empty and the checks constant.
//!
//! A vPE on a shared CPU is reached by its bit in the CPU's letter box and SGI `KNOCK`. Bits are numbers of vPEs, not
//! slots, so that a letter that arrives after its vPE has moved can be sent on.
//!
//! An SGI costs whoever has that CPU, which may be another VM's vPE, and a guest can cause as many as it likes. So it is sent only
//! when it changes something:
//!
//! * not for a vPE that is off: it looks when it begins;
//! * not for one that was told and has not run since, nor for one that was taken off the CPU while it could run: it looks
//!   when it has the CPU again (`TOLD`);
//! * under a cyclic schedule not outside of the vPE's windows: the CPU opens its letters when one begins (`open`).

use crate::cpu::alarm::{self, Caller};
use crate::cpu::switch::State;
use crate::life::modes;
use crate::life::watchdog;
use crate::state::percpu::{self, PerCpu, Physical, VPES as STATES};
use crate::state::plan_data::{CPU_COUNT, PLAN, VPE_COUNT};
use arch::once::Once;
use arch::sysreg::{Pause, ticks};
use arch::{gic, timer};
use core::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
    fence,
};
use plan::{CpuIndex, Features, Placement, Schedule, VpeIndex};
use sched::Slot;
use spin::mutex::TicketMutex;
use vm::power;

/// Physical SGI: "somebody has something for a vPE of yours".
pub const KNOCK: u8 = 2;

/// How many CPUs are shared.
const COUNT: usize = count();
/// The system has shared CPUs.
pub const ANY: bool = COUNT != 0;
/// vPEs, if there are shared CPUs.
pub const VPES: usize = if ANY { VPE_COUNT } else { 0 };

/// What vPEs on shared CPUs have besides what every guest has.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
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
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
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
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
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

/// Values of `SharedCpu::window` that are no vPE.
const NO_WINDOW: u32 = u32::MAX;
const NO_WINDOWS: u32 = u32::MAX - 1;

/// A vPE will look at what waits for it before it runs: it need not be told.
static TOLD: [AtomicBool; VPES] = [const { AtomicBool::new(false) }; VPES];

static CPUS: [SharedCpu; COUNT] = [const { SharedCpu::new() }; COUNT];

/// CPU and slot of each vPE, `cpu << 8 | slot`; slot `SUSPENDED`: it has none in this mode; `NOWHERE`: it has a CPU of its
/// own.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
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
            word.fetch_or(1 << (vpe.index() % 64), SeqCst);
        }
    }

    fn has(&self, vpe: VpeIndex) -> bool {
        let word = self.0.get(vpe.index() / 64);
        word.is_some_and(|word| word.load(SeqCst) >> (vpe.index() % 64) & 1 != 0)
    }

    /// Takes those out that are `wanted`. True: there were some.
    fn collect(&self, wanted: impl Fn(VpeIndex) -> bool, mut read: impl FnMut(VpeIndex)) -> bool {
        let mut any = false;
        for (index, word) in self.0.iter().enumerate() {
            let (mut rest, mut bits) = (word.load(SeqCst), 0);
            while rest != 0 {
                let bit = rest & rest.wrapping_neg();
                let vpe = VpeIndex::new((index * 64) as u16 + bit.trailing_zeros() as u16);
                bits |= if wanted(vpe) { bit } else { 0 };
                rest &= !bit;
            }
            if bits == 0 {
                continue;
            }
            bits &= word.fetch_and(!bits, SeqCst);
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
    /// The vPE whose window it is, under a cyclic schedule; `NO_WINDOW`: it is nobody's; `NO_WINDOWS`: there are none.
    window: AtomicU32,
    /// When the scheduler wants to decide again, and when the console wants to be called; one timer serves both.
    decide_at: AtomicU64,
    quiet_at: AtomicU64,
    /// When a watchdog is to be looked at.
    look_at: AtomicU64,
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
            window: AtomicU32::new(NO_WINDOWS),
            decide_at: AtomicU64::new(sched::NEVER),
            quiet_at: AtomicU64::new(sched::NEVER),
            look_at: AtomicU64::new(sched::NEVER),
            leave_at: AtomicU64::new(sched::NEVER),
        }
    }

    /// These PPIs become enabled, and no others of vPEs: for the one that has this CPU, the calling one.
    #[inline(always)]
    pub fn enable_ppis(&self, on: u32) {
        let before = self.ppis_on.load(Relaxed);
        if before == on {
            return;
        }
        self.change_ppis(before, on);
    }

    #[cold]
    #[inline(never)]
    fn change_ppis(&self, before: u32, on: u32) {
        self.ppis_on.store(on, Relaxed);
        if let Some(physical) = self.physical.get() {
            physical.redistributor.enable_private(on & !before);
            if before & !on != 0 {
                physical.redistributor.disable_private(before & !on);
                // One that still comes finds its vPE's interrupt disabled, or another vPE that does not have it.
                let _ = physical.redistributor.wait_for_writes(crate::gic::its::POLLS);
            }
        }
    }

    /// A window begins, or ends: from now on only its vPE is told at once. None: the schedule has no windows.
    pub fn open(&self, window: Option<Option<VpeIndex>>) {
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

    /// What comes for `vpe` is of use now.
    fn listens(&self, vpe: VpeIndex) -> bool {
        match self.window.load(SeqCst) {
            NO_WINDOWS => true,
            // Without a place in this mode it has no window that it could wait for.
            window => window == u32::from(vpe.value()) || slot_of(vpe).is_none(),
        }
    }

    fn tell(&self, index: CpuIndex, vpe: VpeIndex) {
        fence(SeqCst);
        if self.listens(vpe) {
            self.knock(index);
        }
    }

    /// EL2 is to be called by `time`, for the vPE that has the CPU.
    pub fn call_by(&self, time: u64) {
        if time < self.decide_at.load(Relaxed) {
            self.decide_at(time);
        }
    }

    /// Sets the timer for the next decision.
    #[inline(always)]
    pub fn decide_at(&self, time: u64) {
        self.decide_at.store(time, Relaxed);
        timer::arm(time.min(self.quiet_at.load(Relaxed)).min(self.looks_at()));
    }

    /// The next decision is at most so many ticks away.
    pub fn decides_within(&self, soon: u64) -> bool {
        self.decide_at.load(Relaxed).saturating_sub(ticks()) < soon
    }

    /// The console is to be called at `time`.
    fn quiet_at(&self, time: u64) {
        if self.quiet_at.swap(time, Relaxed) != time {
            timer::arm(time.min(self.decide_at.load(Relaxed)).min(self.looks_at()));
        }
    }

    /// A watchdog is to be looked at from `time` on. The timer follows with the next decision.
    pub fn look_at(&self, time: u64) {
        self.look_at.store(time, Relaxed);
    }

    /// When a watchdog is to be looked at.
    #[inline(always)]
    pub fn looks_at(&self) -> u64 {
        if watchdog::ANY { self.look_at.load(Relaxed) } else { sched::NEVER }
    }

    /// The time has come to call the console, once.
    pub fn quiet_is_due(&self) -> bool {
        let due = self.quiet_at.load(Relaxed) <= ticks();
        if due {
            self.quiet_at.store(sched::NEVER, Relaxed);
        }
        due
    }

    /// The mode ends here at `time`. False: that was known.
    pub fn leave_at(&self, time: u64) -> bool {
        self.leave_at.swap(time, AcqRel) != time
    }

    /// When the mode ends here.
    #[inline(always)]
    pub fn leaves_at(&self) -> u64 {
        if modes::ANY { self.leave_at.load(Acquire) } else { sched::NEVER }
    }

    /// Takes out the vPEs for which something waits.
    pub fn take_knocks(&self, read: impl FnMut(VpeIndex)) -> bool {
        self.knocks.collect(|_| true, read)
    }

    /// Takes out the vPEs whose power state or VM may have changed; in another's window they wait for their own, unless they are
    /// `elsewhere` by now.
    pub fn take_attentions(
        &self,
        elsewhere: impl Fn(VpeIndex) -> bool,
        read: impl FnMut(VpeIndex),
    ) -> bool {
        self.attentions.collect(|vpe| self.listens(vpe) || elsewhere(vpe), read)
    }

    /// There is such a vPE.
    pub fn has_attention(&self, vpe: VpeIndex) -> bool {
        self.attentions.has(vpe)
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

/// The calling CPU, if it is shared.
#[inline(always)]
pub fn calling() -> Option<(CpuIndex, &'static SharedCpu)> {
    if !ANY {
        return None;
    }
    let index = percpu::calling()?;
    Some((index, cpu(index)?))
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
    // What waits was written before: whoever begins, or gets the CPU, reads it after its state says so.
    fence(SeqCst);
    let on = STATES.get(vpe.index()).is_some_and(|vpe| vpe.power.state() != power::State::Off);
    if on && TOLD.get(vpe.index()).is_some_and(|told| !told.swap(true, SeqCst)) {
        send(index, vpe);
    }
    true
}

/// The same for one whose letter was found on another CPU, or may have been left there. False: its CPU is not shared.
pub fn send_on(vpe: VpeIndex) -> bool {
    let home = home_of(vpe);
    if let Some(index) = home {
        send(index, vpe);
    }
    home.is_some()
}

fn send(index: CpuIndex, vpe: VpeIndex) {
    if let Some(cpu) = cpu(index) {
        cpu.knocks.post(vpe);
        cpu.tell(index, vpe);
    }
}

/// `vpe` looks at what waits for it: what comes from now on it is told.
#[inline(always)]
pub fn looks(vpe: VpeIndex) {
    if let Some(told) = TOLD.get(vpe.index()) {
        told.store(false, SeqCst);
        fence(SeqCst);
    }
}

/// `vpe` was taken off its CPU and could go on: it looks when it has it again.
#[inline(always)]
pub fn looks_later(vpe: VpeIndex) {
    if let Some(told) = TOLD.get(vpe.index()) {
        told.store(true, SeqCst);
    }
}

/// The power state of `vpe`, or its VM, has changed. False: its CPU is not shared.
pub fn attention(vpe: VpeIndex) -> bool {
    let Some(index) = home_of(vpe) else { return false };
    if let Some(cpu) = cpu(index) {
        cpu.attentions.post(vpe);
        cpu.tell(index, vpe);
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
        cpu.physical.get_or_make(|| physical);
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
