// SPDX-License-Identifier: Apache-2.0 OR MIT
//! CPUs and their time as bars: one for each CPU in each mode.

use super::bar::{Bar, Part};
use super::colour;
use crate::emit::time::{percent, time};
use crate::plan::{Frame, Plan, PrioritySlot, Schedule, VpeIndex, ppm};

/// Millionths of a CPU.
const ALL: u64 = 1_000_000;

pub struct Mode {
    /// Empty: the system has no modes.
    pub name: String,
    pub cpus: Vec<Bar>,
}

/// The modes, the one that boots first.
pub fn modes(plan: &Plan) -> Vec<Mode> {
    let bars = |schedules: Vec<&Schedule>| {
        schedules.into_iter().enumerate().map(|(n, of)| bar(plan, n, of)).collect()
    };
    match &plan.modes {
        None => {
            let cpus = bars(plan.cpus.iter().map(|cpu| &cpu.schedule).collect());
            vec![Mode { name: String::new(), cpus }]
        }
        Some(modes) => {
            let mode = |mode: &crate::plan::Mode| Mode {
                name: mode.name.clone(),
                cpus: bars(mode.schedules.iter().collect()),
            };
            modes.modes.iter().map(mode).collect()
        }
    }
}

fn bar(plan: &Plan, cpu: usize, schedule: &Schedule) -> Bar {
    let name = &plan.cpus[cpu].name;
    let (how, parts, to) = match schedule {
        Schedule::Unused => ("nothing runs here".into(), Vec::new(), String::new()),
        Schedule::Exclusive(vpe) => {
            let part =
                of(plan, *vpe, (0, ALL), ALL).title(format!("{}, always", plan.vpe_name(*vpe)));
            ("exclusive".into(), vec![part], "all of the time".into())
        }
        Schedule::Priority(slots) => {
            let given = percent(schedule.given_ppm());
            let what = format!("by priority, {given} given as budgets");
            (what, ranks(plan, slots), "all of the time".into())
        }
        Schedule::Cyclic(frame) => {
            let idle = percent(ALL - schedule.given_ppm());
            let whole = time(plan, frame.ticks.get());
            (format!("a frame of {whole}, {idle} idle"), windows(plan, frame), whole)
        }
    };
    let about: Vec<&str> = parts.iter().map(|part| part.title.as_str()).collect();
    let about = if about.is_empty() { "idle".into() } else { about.join("; ") };
    let from = if to.is_empty() { String::new() } else { "0".into() };
    Bar { name: format!("{name}: {how}"), about, from, to, parts, zoom: None }
}

fn of(plan: &Plan, vpe: VpeIndex, range: (u64, u64), whole: u64) -> Part {
    let class = colour(plan.vpes[vpe].vm.index());
    Part::new(range, (0, whole), class, &plan.vpe_name(vpe))
}

/// Each window where it is.
fn windows(plan: &Plan, frame: &Frame) -> Vec<Part> {
    let whole = frame.ticks.get();
    let part = |window: &crate::plan::Window| {
        let vpe = *frame.vpes.get(usize::from(window.slot))?;
        let (from, to) = (time(plan, window.start), time(plan, window.start + window.ticks));
        let title = format!("{} from {from} to {to}", plan.vpe_name(vpe));
        Some(of(plan, vpe, (window.start, window.ticks), whole).title(title))
    };
    frame.windows.iter().filter_map(part).collect()
}

/// Budgets, highest priority first, and who has the rest. A budget is not a place in time.
fn ranks(plan: &Plan, slots: &[PrioritySlot]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut at = 0;
    for slot in slots {
        let Some(budget) = slot.budget else { continue };
        let (ticks, period) = (budget.ticks.get(), budget.period.get());
        let share = ppm(ticks, period);
        let (most, every) = (time(plan, ticks), time(plan, period));
        let name = plan.vpe_name(slot.vpe);
        let title = format!("{name}: priority {}, {most} of every {every}", slot.priority);
        parts.push(of(plan, slot.vpe, (at, share), ALL).title(title));
        at += share;
    }
    let rest = slots.iter().filter(|slot| slot.budget.is_none());
    let rest: Vec<String> = rest.map(|slot| plan.vpe_name(slot.vpe)).collect();
    if at < ALL && !rest.is_empty() {
        let title = format!("the rest, by priority: {}", rest.join(", "));
        let part = Part::new((at, ALL - at), (0, ALL), "rest".into(), &rest.join(", "));
        parts.push(part.title(title));
    }
    parts
}
