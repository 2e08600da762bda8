//! Who runs where and when, in one mode: schedules of CPUs, places of vPEs.
//!
//! Times become counter ticks. Edges of windows are rounded down, so that windows that touch in the TOML touch here.

use serde::Serialize;

use super::gap;
use crate::model::{self, Budget, Claim, CpuUse, Sharing, System, VpeName};

/// How a CPU is given to vPEs, which are indices of the plan's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Schedule {
    Unused,
    Exclusive {
        vpe: usize,
    },
    /// Highest priority first.
    Priority {
        slots: Vec<PrioritySlot>,
        /// Budgets, in millionths of the CPU.
        given_ppm: u64,
    },
    Cyclic {
        /// Ticks of a frame.
        ticks: u64,
        /// By slot.
        vpes: Vec<Turn>,
        /// By start.
        windows: Vec<Window>,
        /// Windows, in millionths of the CPU.
        given_ppm: u64,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PrioritySlot {
    pub vpe: usize,
    pub priority: u8,
    pub budget: Option<Ticks>,
    /// Longest time without the CPU while it wants it, the hypervisor's own time not counted. None: no bound.
    pub worst_gap: Option<u64>,
}

/// A budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Ticks {
    pub ticks: u64,
    pub period: u64,
    /// "background" or "suspended".
    pub rest: &'static str,
}

/// What a vPE has of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Turn {
    pub vpe: usize,
    /// Ticks in each frame.
    pub ticks: u64,
    /// Longest time between its windows.
    pub worst_gap: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// Index into the frame's vPEs.
    pub slot: usize,
    pub start: u64,
    pub ticks: u64,
}

/// A vPE's place in a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Placement {
    pub cpu: usize,
    pub slot: usize,
}

/// One mode, decided.
#[derive(Clone, Debug)]
pub struct Layout {
    /// By CPU.
    pub schedules: Vec<Schedule>,
    /// By vPE; None: suspended.
    pub placements: Vec<Option<Placement>>,
}

impl Schedule {
    /// By slot.
    pub fn vpes(&self) -> Vec<usize> {
        match self {
            Self::Unused => Vec::new(),
            Self::Exclusive { vpe } => vec![*vpe],
            Self::Priority { slots, .. } => slots.iter().map(|slot| slot.vpe).collect(),
            Self::Cyclic { vpes, .. } => vpes.iter().map(|turn| turn.vpe).collect(),
        }
    }

    pub fn is_used(&self) -> bool {
        *self != Self::Unused
    }

    /// By priority or by a frame.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Priority { .. } | Self::Cyclic { .. })
    }
}

/// Every mode, the one that boots first.
pub fn layouts(system: &System) -> Vec<Layout> {
    let first = layout(system, &system.cpus, None);
    let others = system.modes.iter().map(|mode| layout(system, &mode.cpus, Some(&first)));
    let others: Vec<Layout> = others.collect();
    std::iter::once(first).chain(others).collect()
}

/// What `cpus` describe; what they do not, is exclusive, or as in the `first` mode.
fn layout(system: &System, cpus: &[CpuUse], first: Option<&Layout>) -> Layout {
    let schedules: Vec<Schedule> = (0..system.board.cpus.len())
        .map(|cpu| match (cpus.iter().find(|described| described.cpu.value == cpu), first) {
            (Some(described), _) => schedule(system, cpu, &described.sharing),
            (None, Some(first)) => first.schedules[cpu].clone(),
            (None, None) => claimed(system, cpu),
        })
        .collect();
    let place = |vpe| {
        schedules.iter().enumerate().find_map(|(cpu, schedule)| {
            let slot = schedule.vpes().iter().position(|&of| of == vpe)?;
            Some(Placement { cpu, slot })
        })
    };
    let placements = (0..system.vpes().count()).map(place).collect();
    Layout { schedules, placements }
}

/// The CPU is the one vPE's that claims it.
fn claimed(system: &System, cpu: usize) -> Schedule {
    let vpe = system.vpes().position(|(_, _, vpe)| vpe.cpu.value == cpu);
    vpe.map_or(Schedule::Unused, |vpe| Schedule::Exclusive { vpe })
}

fn schedule(system: &System, cpu: usize, sharing: &Sharing) -> Schedule {
    match sharing {
        Sharing::Idle => Schedule::Unused,
        Sharing::Exclusive(None) => claimed(system, cpu),
        Sharing::Exclusive(Some(vpe)) => Schedule::Exclusive { vpe: index(system, vpe) },
        Sharing::Priority(claims) => priority(system, claims),
        Sharing::Cyclic(frame) => cyclic(system, frame),
    }
}

fn index(system: &System, name: &VpeName) -> usize {
    system.vpes().position(|(vm, number, _)| (vm, number) == name.key()).unwrap_or(0)
}

fn priority(system: &System, claims: &[Claim]) -> Schedule {
    let mut sorted: Vec<&Claim> = claims.iter().collect();
    sorted.sort_by_key(|claim| std::cmp::Reverse(claim.priority.value));
    let budgets: Vec<Option<Ticks>> =
        sorted.iter().map(|claim| claim.budget.as_ref().map(|b| ticks(system, b))).collect();
    let slots = sorted.iter().enumerate().map(|(rank, claim)| PrioritySlot {
        vpe: index(system, &claim.vpe),
        priority: claim.priority.value,
        budget: budgets[rank],
        worst_gap: gap::by_priority(&budgets[..rank], budgets[rank]),
    });
    let given = budgets.iter().flatten().map(|budget| ppm(budget.ticks, budget.period)).sum();
    Schedule::Priority { slots: slots.collect(), given_ppm: given }
}

fn ticks(system: &System, budget: &Budget) -> Ticks {
    let timer = &system.board.timer;
    Ticks {
        ticks: timer.ticks(budget.time.value),
        period: timer.ticks(budget.period.value),
        rest: match budget.rest {
            model::Rest::Background => "background",
            model::Rest::Suspended => "suspended",
        },
    }
}

fn cyclic(system: &System, frame: &model::Frame) -> Schedule {
    let timer = &system.board.timer;
    let length = timer.ticks(frame.length.value);
    let mut sorted: Vec<&model::Window> = frame.windows.iter().collect();
    sorted.sort_by_key(|window| window.start.value);
    let mut vpes: Vec<usize> = Vec::new();
    let mut windows = Vec::new();
    for window in sorted {
        let vpe = index(system, &window.vpe);
        let slot = vpes.iter().position(|&known| known == vpe).unwrap_or(vpes.len());
        if slot == vpes.len() {
            vpes.push(vpe);
        }
        let start = timer.ticks(window.start.value);
        windows.push(Window { slot, start, ticks: timer.ticks(window.end()) - start });
    }
    let turns = vpes.iter().enumerate().map(|(slot, &vpe)| {
        let own: Vec<Window> = windows.iter().filter(|w| w.slot == slot).copied().collect();
        let ticks = own.iter().map(|window| window.ticks).sum();
        Turn { vpe, ticks, worst_gap: gap::in_frame(&own, length) }
    });
    let vpes = turns.collect();
    let given = windows.iter().map(|window| window.ticks).sum();
    Schedule::Cyclic { ticks: length, vpes, windows, given_ppm: ppm(given, length) }
}

/// Millionths, rounded down.
pub fn ppm(part: u64, whole: u64) -> u64 {
    let ppm = u128::from(part) * 1_000_000 / u128::from(whole.max(1));
    u64::try_from(ppm).unwrap_or(u64::MAX)
}
