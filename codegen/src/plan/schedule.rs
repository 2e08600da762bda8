// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who runs where and when, in one mode: schedules of CPUs, places of vPEs.
//!
//! Times become counter ticks. Edges of windows are rounded down, so that windows that touch in the
//! TOML touch here.

use std::num::NonZeroU64;
use std::time::Duration;

use ::plan::{
    Budget, CpuIndex, Frame, Placement, PrioritySlot, Restarts, Schedule, Turn, VpeIndex, Window,
};

use super::gap;
use crate::model::{self, At, Claim, CpuUse, Sharing, System, VpeName};
use crate::units::Time;

/// One mode, decided.
#[derive(Clone, Debug)]
pub struct Layout {
    /// By CPU.
    pub schedules: Vec<Schedule>,
    /// By vPE; None: suspended.
    pub placements: Vec<Option<Placement>>,
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
            let slot = schedule.vpes().iter().position(|of| of.index() == vpe)?;
            Some(Placement { cpu: CpuIndex::at(cpu), slot: slot as u8 })
        })
    };
    let placements = (0..system.vpes().count()).map(place).collect();
    Layout { schedules, placements }
}

/// The CPU is the one vPE's that claims it.
fn claimed(system: &System, cpu: usize) -> Schedule {
    let vpe = system.vpes().position(|(_, _, vpe)| vpe.cpu.value == cpu);
    vpe.map_or(Schedule::Unused, |vpe| Schedule::Exclusive(VpeIndex::at(vpe)))
}

fn schedule(system: &System, cpu: usize, sharing: &Sharing) -> Schedule {
    match sharing {
        Sharing::Idle => Schedule::Unused,
        Sharing::Exclusive(None) => claimed(system, cpu),
        Sharing::Exclusive(Some(vpe)) => Schedule::Exclusive(index(system, vpe)),
        Sharing::Priority(claims) => priority(system, claims),
        Sharing::Cyclic(frame) => cyclic(system, frame),
    }
}

fn index(system: &System, name: &VpeName) -> VpeIndex {
    let mut vpes = system.vpes();
    VpeIndex::at(vpes.position(|(vm, number, _)| (vm, number) == name.key()).unwrap_or(0))
}

fn priority(system: &System, claims: &[Claim]) -> Schedule {
    let mut sorted: Vec<&Claim> = claims.iter().collect();
    sorted.sort_by_key(|claim| std::cmp::Reverse(claim.priority.value));
    let budgets: Vec<Option<Budget>> =
        sorted.iter().map(|claim| claim.budget.as_ref().map(|b| budget(system, b))).collect();
    let slots = sorted.iter().enumerate().map(|(rank, claim)| PrioritySlot {
        vpe: index(system, &claim.vpe),
        priority: claim.priority.value,
        budget: budgets[rank],
        worst_gap: gap::by_priority(&budgets[..rank], budgets[rank]),
    });
    Schedule::Priority(slots.collect())
}

fn budget(system: &System, budget: &model::Budget) -> Budget {
    let timer = &system.board.timer;
    Budget {
        ticks: ticks(timer, budget.time.value),
        period: ticks(timer, budget.period.value),
        rest: budget.rest,
    }
}

/// A time that `check` has found to be a tick at least.
fn ticks(timer: &model::Timer, time: Duration) -> NonZeroU64 {
    NonZeroU64::new(timer.ticks(time)).unwrap_or(NonZeroU64::MIN)
}

/// How often a VM may start again, by what the TOML says or what is usual.
pub fn limit(
    timer: &model::Timer,
    limit: Option<&At<model::Restarts>>,
    usual: (u32, Duration),
) -> Restarts {
    let (most, within) = limit.map_or(usual, |limit| (limit.value.most, limit.value.within.value));
    Restarts { most, within: Time(within).to_string(), ticks: timer.ticks(within) }
}

fn cyclic(system: &System, frame: &model::Frame) -> Schedule {
    let timer = &system.board.timer;
    let length = ticks(timer, frame.length.value);
    let mut sorted: Vec<&model::Window> = frame.windows.iter().collect();
    sorted.sort_by_key(|window| window.start.value);
    let mut vpes: Vec<VpeIndex> = Vec::new();
    let mut windows = Vec::new();
    for window in sorted {
        let vpe = index(system, &window.vpe);
        let slot = vpes.iter().position(|&known| known == vpe).unwrap_or(vpes.len());
        if slot == vpes.len() {
            vpes.push(vpe);
        }
        let start = timer.ticks(window.start.value);
        let ticks = timer.ticks(window.end()) - start;
        windows.push(Window { slot: slot as u8, start, ticks });
    }
    let turns = vpes.iter().enumerate().map(|(slot, &vpe)| {
        let own = windows.iter().filter(|window| usize::from(window.slot) == slot);
        let own: Vec<Window> = own.copied().collect();
        let ticks = own.iter().map(|window| window.ticks).sum();
        Turn { vpe, ticks, worst_gap: gap::in_frame(&own, length.get()) }
    });
    let turns = turns.collect();
    Schedule::Cyclic(Box::new(Frame { ticks: length, vpes, turns, windows }))
}
