// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Schedules that nobody thought of: what `check` lets pass makes tables that hold, and it stops
//! exactly what does not.

use std::cell::Cell;
use std::fmt::Write;
use std::fs;

use codegen::plan::{Plan, Schedule, VpeIndex};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::stand_in;

/// Panics at the first rule that the schedules of `plan` break.
pub fn hold(plan: &Plan) {
    let first: Vec<&Schedule> = plan.cpus.iter().map(|cpu| &cpu.schedule).collect();
    places_agree(plan, &first, |vpe| {
        let vpe = &plan.vpes[vpe];
        Some((vpe.cpu.index(), vpe.slot.into()))
    });
    for mode in plan.modes.iter().flat_map(|modes| &modes.modes) {
        let schedules: Vec<&Schedule> = mode.schedules.iter().collect();
        places_agree(plan, &schedules, |vpe| {
            mode.placements[vpe].map(|place| (place.cpu.index(), place.slot.into()))
        });
        for schedule in &mode.schedules {
            tables_hold(schedule);
            if let Schedule::Cyclic(frame) = schedule {
                let concerned = mode.switches.iter().any(|switch| switch.cpus != 0);
                let boundary = mode.boundary.get();
                assert!(!concerned || boundary % frame.ticks == 0 || boundary == 1);
            }
        }
    }
    first.into_iter().for_each(tables_hold);
}

/// Every vPE is where it is said to be, and nowhere else.
fn places_agree(
    plan: &Plan,
    schedules: &[&Schedule],
    place: impl Fn(usize) -> Option<(usize, usize)>,
) {
    for vpe in 0..plan.vpes.len() {
        let places: Vec<(usize, usize)> = schedules
            .iter()
            .enumerate()
            .flat_map(|(cpu, schedule)| {
                let slots = schedule.vpes().into_iter().enumerate();
                slots.filter(|(_, of)| *of == VpeIndex::at(vpe)).map(move |(slot, _)| (cpu, slot))
            })
            .collect();
        assert_eq!(places, Vec::from_iter(place(vpe)), "vPE {vpe}");
    }
}

fn tables_hold(schedule: &Schedule) {
    assert!(schedule.vpes().len() <= plan::SLOTS);
    match schedule {
        Schedule::Unused | Schedule::Exclusive { .. } => {}
        Schedule::Priority(slots) => {
            assert!(slots.windows(2).all(|pair| pair[0].priority > pair[1].priority));
            let mut given = 0.0;
            for budget in slots.iter().filter_map(|slot| slot.budget) {
                assert!(budget.ticks <= budget.period);
                given += budget.ticks.get() as f64 / budget.period.get() as f64;
            }
            assert!(given < 1.000_001, "{given}");
        }
        Schedule::Cyclic(frame) => {
            let (ticks, windows) = (frame.ticks.get(), &frame.windows);
            let end = |n: usize| windows[n].start + windows[n].ticks;
            for n in 0..windows.len() {
                assert!(windows[n].ticks > 0 && end(n) <= ticks);
                assert!(n == 0 || end(n - 1) <= windows[n].start, "{windows:?}");
            }
            for (slot, turn) in frame.turns.iter().enumerate() {
                let own = windows.iter().filter(|window| usize::from(window.slot) == slot);
                assert_eq!(own.map(|window| window.ticks).sum::<u64>(), turn.ticks);
                assert!(turn.ticks > 0 && turn.worst_gap <= ticks - turn.ticks);
                assert_eq!(turn.worst_gap, longest_wait(schedule, slot), "{schedule:?}");
            }
        }
    }
}

/// Tried out: from every window's end to the next own start, over two frames.
fn longest_wait(schedule: &Schedule, slot: usize) -> u64 {
    let Schedule::Cyclic(frame) = schedule else { return 0 };
    let (ticks, windows) = (frame.ticks.get(), &frame.windows);
    let own = || windows.iter().filter(|window| usize::from(window.slot) == slot);
    let starts: Vec<u64> = own().flat_map(|window| [window.start, window.start + ticks]).collect();
    let wait =
        |end: u64| starts.iter().filter(|start| **start >= end).map(|start| start - end).min();
    own().filter_map(|window| wait(window.start + window.ticks)).max().unwrap_or(0)
}

/// A window: vPE, start and length in steps of 100 us.
type Wanted = (usize, u64, u64);

#[derive(Clone, Debug)]
struct Cyclic {
    frame: u64,
    windows: Vec<Wanted>,
}

/// Mostly fit: a walk through the frame, then one number of it changed.
fn cyclic() -> impl Strategy<Value = Cyclic> {
    let steps = prop::collection::vec((0..4usize, 0..8u64, 1..12u64), 4..20);
    let change = prop::option::of((any::<prop::sample::Index>(), 0..100u64, 0..30u64));
    (steps, 0..5u64, change).prop_map(|(steps, rest, change)| {
        let mut at = 0;
        let mut windows: Vec<Wanted> = Vec::new();
        for (vpe, gap, length) in steps {
            windows.push((vpe, at + gap, length));
            at += gap + length;
        }
        let last = windows.len() - 1;
        // Whoever got none gets the last ones: all four vPEs are on the CPU.
        for vpe in 0..4 {
            if windows.iter().all(|window| window.0 != vpe) {
                windows.push((vpe, at, 1));
                at += 1;
            }
        }
        if let Some((index, start, length)) = change {
            let window = &mut windows[index.index(last + 1)];
            (window.1, window.2) = (start, length);
        }
        Cyclic { frame: at + rest, windows }
    })
}

impl Cyclic {
    /// What a person with a pencil would say.
    fn is_fit(&self) -> bool {
        let mut taken = vec![0; 2000];
        for &(_, start, length) in &self.windows {
            (start..start + length).for_each(|step| taken[step as usize] += 1);
        }
        let some = self.windows.iter().all(|window| window.2 > 0);
        let inside = self.windows.iter().all(|window| window.1 + window.2 <= self.frame);
        some && inside && taken.iter().all(|&times| times <= 1)
    }

    fn table(&self) -> String {
        let windows = self.windows.iter().rev().map(|(vpe, start, length)| {
            format!(
                "{{ vm = \"v\", vpe = {vpe}, start = \"{} us\", length = \"{} us\" }}",
                start * 100,
                length * 100
            )
        });
        let windows: Vec<String> = windows.collect();
        format!(
            "[[cpu]]\nname = \"cpu0\"\nkind = \"cyclic\"\nframe = \"{} us\"\nwindows = [{}]\n",
            self.frame * 100,
            windows.join(", ")
        )
    }
}

/// A vPE by priority: priority, and budget and period in steps of 100 us.
#[derive(Clone, Debug)]
struct Priority(Vec<(u8, Option<(u64, u64)>)>);

fn priority() -> impl Strategy<Value = Priority> {
    let budget = prop::option::weighted(0.8, (1..60u64, 10..200u64));
    prop::collection::vec((any::<u8>(), budget), 4).prop_map(Priority)
}

impl Priority {
    fn is_fit(&self) -> bool {
        let different = (0..4).all(|n| self.0[..n].iter().all(|other| other.0 != self.0[n].0));
        let budgets = || self.0.iter().filter_map(|vpe| vpe.1);
        // 200! has every period.
        let whole: u128 =
            (1..=200).filter(|n| budgets().any(|b| b.1 == *n)).map(u128::from).product();
        let given: u128 =
            budgets().map(|(time, period)| whole / u128::from(period) * u128::from(time)).sum();
        different && budgets().all(|(time, period)| time <= period) && given <= whole
    }

    fn table(&self) -> String {
        let mut vpes = String::new();
        for (vpe, (priority, budget)) in self.0.iter().enumerate() {
            let _ = write!(vpes, "{{ vm = \"v\", vpe = {vpe}, priority = {priority}");
            if let Some((time, period)) = budget {
                let (time, period) = (time * 100, period * 100);
                let _ =
                    write!(vpes, ", budget = {{ time = \"{time} us\", period = \"{period} us\" }}");
            }
            vpes.push_str(" }, ");
        }
        format!("[[cpu]]\nname = \"cpu0\"\nkind = \"priority\"\nvpes = [{vpes}]\n")
    }
}

fn judge(table: &str) -> Result<Plan, String> {
    let directory = stand_in::directory("schedule");
    fs::create_dir_all(directory.join("boards")).unwrap();
    for (board, copy) in [("base", "base"), ("E311-slow-counter", "slow")] {
        let copy = directory.join(format!("boards/{copy}.toml"));
        fs::copy(format!("bad/boards/{board}.toml"), copy).unwrap();
    }
    fs::write(directory.join("payload"), [0; 4]).unwrap();
    let cpu0 = "{ cpu = \"cpu0\" }";
    let vm = format!(
        "[[vm]]\nname = \"v\"\npayload = {{ path = \"payload\", format = \"raw\" }}\nvpes = \
         [{cpu0}, {cpu0}, {cpu0}, {cpu0}]\nmemory = [{{ size = \"2 MiB\" }}]\n"
    );
    let path = directory.join("system.toml");
    fs::write(&path, format!("[system]\nname = \"s\"\nboard = \"slow\"\n{table}{vm}")).unwrap();
    let system = codegen::load(&path).map_err(|report| report.render(false))?;
    stand_in::plan(&system, &directory).map_err(|report| report.render(false))
}

#[test]
fn random_schedules_pass_if_they_are_fit() {
    let config =
        ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() };
    let seen: [[Cell<u32>; 2]; 2] = Default::default();
    TestRunner::new(config)
        .run(&(cyclic(), priority()), |(cyclic, priority)| {
            let cyclic = (cyclic.is_fit(), cyclic.table());
            let priority = (priority.is_fit(), priority.table());
            for (kind, (fit, table)) in [cyclic, priority].into_iter().enumerate() {
                match judge(&table) {
                    Ok(plan) => {
                        prop_assert!(fit, "passed: {table}");
                        hold(&plan);
                    }
                    Err(report) => prop_assert!(!fit, "{table}{report}"),
                }
                let seen = &seen[kind][usize::from(fit)];
                seen.set(seen.get() + 1);
            }
            Ok(())
        })
        .unwrap();
    assert!(seen.as_flattened().iter().all(|times| times.get() >= 30), "{seen:?}");
}

#[test]
fn every_kind_of_schedule_holds() {
    let plan = stand_in::at(stand_in::MODES);
    assert!(plan.modes.is_some());
    crate::rules::hold(&plan);
}
