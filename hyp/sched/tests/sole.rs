// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The scheduler of one vPE beside the general one under an exclusive schedule.

use plan::{Schedule, VpeIndex};
use proptest::prelude::*;
use sched::{CpuScheduler, Slot, Sole, Task};

#[derive(Clone, Copy, Debug)]
enum Event {
    Decide,
    Wake,
    /// If it runs; its timer so many ticks from now.
    Block(Option<u64>),
    On,
    Off,
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Decide),
        2 => Just(Event::Wake),
        3 => prop::option::of(0..30u64).prop_map(Event::Block),
        1 => Just(Event::On),
        1 => Just(Event::Off),
    ]
}

proptest! {
    #[test]
    fn same_events_same_decisions(events in prop::collection::vec((any_event(), 0..20u64), 1..200)) {
        let slot = Slot::new(0).unwrap();
        let schedule = Schedule::Exclusive(VpeIndex::new(3));
        let (mut general, mut sole) = (CpuScheduler::new(0), Sole::new(0));
        general.enter(schedule, 1, |_| Task::OFF);
        sole.enter(schedule, 1, |_| Task::OFF);
        prop_assert_eq!(sole.vpe(slot), general.vpe(slot));
        prop_assert_eq!(sole.window(), general.window());
        let mut now = 1;
        for (event, ticks) in events {
            now += ticks;
            match event {
                Event::Decide => {}
                Event::Wake => {
                    general.wake(slot, now);
                    sole.wake(slot, now);
                }
                Event::Block(_) if general.running().is_none() => {}
                Event::Block(timer) => {
                    let until = timer.map(|ticks| now + ticks);
                    general.block(slot, until, now);
                    sole.block(slot, until, now);
                }
                Event::On => {
                    general.on(slot, now);
                    sole.on(slot, now);
                }
                Event::Off => {
                    general.off(slot, now);
                    sole.off(slot, now);
                }
            }
            if !matches!(event, Event::Wake) {
                prop_assert_eq!(sole.decide(now), general.decide(now));
            }
        }
    }
}
