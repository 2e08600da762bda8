// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The scheduler beside a naive model: random schedules, random events; and every small case.

mod common;

use core::num::NonZeroU64;

use common::{EPOCH, Event, Pair, owner, slot, slots};
use plan::{Budget, Frame, PrioritySlot, Rest, Schedule, VpeIndex, Window};
use proptest::prelude::*;
use sched::{CpuScheduler, Task};

fn leak<T>(values: Vec<T>) -> &'static [T] {
    Vec::leak(values)
}

fn priority(budgets: Vec<Option<Budget>>) -> Schedule {
    let table = budgets.into_iter().enumerate();
    Schedule::Priority(leak(
        table
            .map(|(n, budget)| PrioritySlot {
                vpe: VpeIndex::new(n as u16),
                priority: 255 - n as u8,
                budget,
            })
            .collect(),
    ))
}

fn cyclic(ticks: u64, vpes: u16, windows: Vec<Window>) -> Schedule {
    Schedule::Cyclic(Box::leak(Box::new(Frame {
        ticks: NonZeroU64::new(ticks).expect("a frame has a length"),
        vpes: leak((0..vpes).map(VpeIndex::new).collect()),
        windows: leak(windows),
    })))
}

fn any_rest() -> impl Strategy<Value = Rest> {
    prop_oneof![Just(Rest::Background), Just(Rest::Suspended)]
}

fn any_budget() -> impl Strategy<Value = Budget> {
    (1..40u64)
        .prop_flat_map(|period| (1..=period, Just(period), any_rest()))
        .prop_map(|(ticks, period, rest)| Budget::new(ticks, period, rest))
}

fn any_priority() -> impl Strategy<Value = Schedule> {
    let few = prop::collection::vec(prop::option::of(any_budget()), 1..6);
    let many = prop::collection::vec(prop::option::of(any_budget()), 1..=sched::SLOTS);
    prop_oneof![3 => few, 1 => many].prop_map(priority)
}

fn any_cyclic() -> impl Strategy<Value = Schedule> {
    (1..8u16)
        .prop_flat_map(|vpes| {
            let window = (0..5u64, 1..12u64, 0..vpes as u8);
            (Just(vpes), prop::collection::vec(window, 1..10), 0..5u64)
        })
        .prop_map(|(vpes, windows, gap)| {
            let mut end = 0;
            let windows = windows
                .into_iter()
                .map(|(gap, ticks, slot)| {
                    let start = end + gap;
                    end = start + ticks;
                    Window { start, ticks, slot }
                })
                .collect();
            cyclic(end + gap, vpes, windows)
        })
}

fn any_event(slots: usize) -> impl Strategy<Value = Event> {
    let slot = 0..slots as u8;
    prop_oneof![
        1 => Just(Event::Look),
        6 => slot.clone().prop_map(Event::Wake),
        6 => prop::option::of(0..60u64).prop_map(Event::Block),
        3 => slot.clone().prop_map(Event::On),
        1 => slot.prop_map(Event::Off),
    ]
}

/// A schedule and, for each event, the ticks before it.
fn any_run(
    schedule: impl Strategy<Value = Schedule>,
) -> impl Strategy<Value = (Schedule, Vec<(u64, Event)>)> {
    schedule.prop_flat_map(|schedule| {
        let wait = prop_oneof![Just(0u64), 0..6u64, 0..50u64];
        (Just(schedule), prop::collection::vec((wait, any_event(slots(schedule))), 0..120))
    })
}

fn run(schedule: Schedule, events: &[(u64, Event)]) {
    let mut pair = Pair::new(schedule);
    let all_on: Vec<Event> = (0..slots(schedule) as u8).map(Event::On).collect();
    let mut together = all_on;
    for &(wait, event) in events {
        for _ in 0..wait {
            pair.step(&together);
            together.clear();
        }
        together.push(event);
    }
    for _ in 0..100 {
        pair.step(&together);
        together.clear();
    }
    pair.compare_statistics();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn priority_agrees_on_every_tick((schedule, events) in any_run(any_priority())) {
        run(schedule, &events);
    }

    #[test]
    fn cyclic_agrees_on_every_tick((schedule, events) in any_run(any_cyclic())) {
        run(schedule, &events);
    }

    /// A timer that is late by up to `late` ticks, again and again, lets a vPE that never stops
    /// have at most its budgets and one lateness more; and the others are not shut out.
    #[test]
    fn late_timers_do_not_raise_a_budget(
        budget in any_budget(),
        lates in prop::collection::vec(0..30u64, 1..200),
    ) {
        let Schedule::Priority(table) = priority(vec![Some(budget), None]) else { unreachable!() };
        let mut cpu = CpuScheduler::new(EPOCH);
        cpu.enter(Schedule::Priority(table), EPOCH, |_| Task::OFF);
        cpu.on(slot(0), EPOCH);
        cpu.on(slot(1), EPOCH);
        let (mut now, mut used, mut latest) = (EPOCH, 0, 0);
        for late in lates {
            let decision = cpu.decide(now);
            let Some(deadline) = decision.deadline else { break };
            prop_assert!(deadline > now);
            let next = deadline + late;
            if decision.run == Some(slot(0)) {
                used += next - now;
                latest = latest.max(late);
            }
            now = next;
            let periods = (now - EPOCH).div_ceil(budget.period.get());
            prop_assert!(used <= periods * budget.ticks.get() + latest, "{used} by {now}");
        }
    }

    /// Decisions at any times whatever find the plan's owner of that moment and the plan's next
    /// boundary.
    #[test]
    fn late_timers_do_not_shift_a_frame(
        schedule in any_cyclic(),
        waits in prop::collection::vec(0..1000u64, 1..50),
    ) {
        let Schedule::Cyclic(frame) = schedule else { unreachable!() };
        let mut cpu = CpuScheduler::new(EPOCH);
        cpu.enter(schedule, EPOCH, |_| Task::OFF);
        for n in 0..frame.vpes.len() as u8 {
            cpu.on(slot(n), EPOCH);
        }
        let mut now = EPOCH;
        for wait in waits {
            now += wait;
            let here = owner(frame, now);
            let decision = cpu.decide(now);
            prop_assert_eq!(decision.run.map(|slot| slot.index()), here.map(|(n, _)| n));
            let boundary = (now + 1..).find(|&later| {
                owner(frame, later) != here || (later - EPOCH) % frame.ticks == 0
            });
            prop_assert_eq!(decision.deadline, boundary);
        }
    }
}

const ALPHABET: [Event; 9] = [
    Event::Look,
    Event::Wake(0),
    Event::Wake(1),
    Event::Block(None),
    Event::Block(Some(0)),
    Event::Block(Some(1)),
    Event::Block(Some(3)),
    Event::Off(0),
    Event::On(0),
];

/// Every sequence of single events and quiet ticks.
fn explore(pair: &Pair, depth: u32) -> u64 {
    if depth == 0 {
        let mut pair = pair.clone();
        for _ in 0..6 {
            pair.step(&[]);
        }
        pair.compare_statistics();
        return 1;
    }
    let mut quiet = pair.clone();
    quiet.step(&[]);
    let mut cases = explore(&quiet, depth - 1);
    for event in ALPHABET {
        let mut next = pair.clone();
        next.step(&[event]);
        cases += explore(&next, depth - 1);
    }
    cases
}

#[test]
fn every_small_case_by_priority() {
    let budgets = [
        None,
        Some(Budget::new(1, 2, Rest::Suspended)),
        Some(Budget::new(1, 3, Rest::Background)),
        Some(Budget::new(2, 3, Rest::Suspended)),
    ];
    let mut cases = 0;
    for first in budgets {
        for second in budgets {
            let mut pair = Pair::new(priority(vec![first, second]));
            pair.step(&[Event::On(0), Event::On(1)]);
            cases += explore(&pair, 4);
        }
    }
    assert_eq!(cases, 16 * 10u64.pow(4));
}

#[test]
fn every_small_case_by_frame() {
    let mut cases = 0;
    for length in 1..=4u32 {
        // Each tick of the frame belongs to nobody, to vPE 0, or to vPE 1.
        for code in 0..3u32.pow(length) {
            let windows = (0..length)
                .filter_map(|tick| {
                    let owner = code / 3u32.pow(tick) % 3;
                    Some(Window { start: tick.into(), ticks: 1, slot: owner.checked_sub(1)? as u8 })
                })
                .collect();
            let mut pair = Pair::new(cyclic(length.into(), 2, windows));
            pair.step(&[Event::On(0), Event::On(1)]);
            cases += explore(&pair, 3);
        }
    }
    assert_eq!(cases, (3 + 9 + 27 + 81) * 10u64.pow(3));
}
