// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The vINTIDs and vPEs of events, one [[vm.event]] at a time.
//!
//! One that is a run of events is split where a guest's vINTIDs do not follow each other. Of events
//! that the report does not name the plan's values count: they are what the guest asked for, or it
//! never mapped them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use codegen::plan::Plan;
use toml_edit::{Array, Item, Table, Value};

use super::edit::{Tables, replace, set, text};
use crate::run::Learned;

/// vINTID and vPE.
type Wish = (u32, u32);
/// Of each event of one device.
type Wishes = BTreeMap<u32, Wish>;

/// Edits what the report names; gives what has no place in the file.
pub fn learn(file: &mut Tables, plan: &Plan, learned: &[Learned]) -> Vec<String> {
    let mut all: BTreeMap<(&str, &str), Wishes> = BTreeMap::new();
    for one in learned {
        if let Learned::Event { vm, device, event, vintid, vpe } = one {
            all.entry((vm, device)).or_default().insert(*event, (*vintid, *vpe));
        }
    }
    let mut left = Vec::new();
    for ((vm, device), wishes) in all {
        let mut open = wishes.clone();
        if let Some(events) = file.events(vm) {
            let planned = planned(plan, vm, device);
            let mut tables = Vec::new();
            for table in events.iter() {
                let run = run(table).filter(|_| text(table, "device") == Some(device));
                match run.filter(|run| open.keys().any(|event| run.contains(event))) {
                    None => tables.push(table.clone()),
                    Some(run) => {
                        let all = run.clone().filter_map(|event| {
                            let wish = wishes.get(&event).or_else(|| planned.get(&event))?;
                            Some((event, *wish))
                        });
                        tables.extend(parts(table, &all.collect()));
                        open.retain(|event, _| !run.contains(event));
                    }
                }
            }
            replace(events, tables);
        }
        left.extend(open.into_iter().map(|(event, (vintid, vpe))| {
            format!(
                "vintid = {vintid}, vpe = {vpe} in the [[vm.event]] of VM \"{vm}\" for device \
                 \"{device}\", event {event}"
            )
        }));
    }
    left
}

/// What the plan has of a device's events.
fn planned(plan: &Plan, vm: &str, device: &str) -> Wishes {
    let own = plan.events.iter().filter(|event| {
        !event.ring && event.source == device && plan.vms[plan.vpes[event.vpe].vm].name == vm
    });
    own.map(|event| (event.event, (event.vintid, plan.vpes[event.vpe].number.into()))).collect()
}

/// The EventIDs that a [[vm.event]] is for.
fn run(table: &Table) -> Option<RangeInclusive<u32>> {
    if let Some(event) = table.get("event").and_then(Item::as_integer) {
        let event = event.try_into().ok()?;
        return Some(event..=event);
    }
    let (first, last) = text(table, "events")?.split_once("..")?;
    Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
}

/// The table once for each stretch in which vINTIDs follow each other.
fn parts(table: &Table, wishes: &Wishes) -> Vec<Table> {
    let all: Vec<(u32, Wish)> = wishes.iter().map(|(event, wish)| (*event, *wish)).collect();
    let stretches = all.chunk_by(|a, b| a.0 + 1 == b.0 && a.1.0 + 1 == b.1.0);
    let part = |(n, stretch): (usize, &[(u32, Wish)])| {
        let (first, last) = (stretch.first()?, stretch.last()?);
        let mut part = table.clone();
        if n > 0 {
            part = part_without_place(&part);
        }
        if table.contains_key("events") {
            match first.0 == last.0 {
                false => set(&mut part, "events", format!("{}..{}", first.0, last.0).into()),
                true => {
                    part.remove("events");
                    set(&mut part, "event", i64::from(first.0).into());
                }
            }
        }
        set(&mut part, "vintid", i64::from(first.1.0).into());
        let vpes: Vec<u32> = stretch.iter().map(|(_, wish)| wish.1).collect();
        match vpes.iter().all(|vpe| *vpe == vpes[0]) {
            true if vpes[0] == 0 => drop(part.remove("vpe")),
            true => set(&mut part, "vpe", i64::from(vpes[0]).into()),
            false => {
                let list: Array = vpes.iter().map(|vpe| i64::from(*vpe)).collect();
                set(&mut part, "vpe", Value::Array(list));
            }
        }
        Some(part)
    };
    stretches.enumerate().filter_map(part).collect()
}

/// A table with the same keys, to stand behind another one.
fn part_without_place(table: &Table) -> Table {
    let mut new = Table::new();
    new.decor_mut().set_prefix("\n");
    for (key, item) in table {
        if let Some(value) = item.as_value() {
            let mut value = value.clone();
            value.decor_mut().clear();
            new.insert(key, Item::Value(value));
        }
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(table: &str, wishes: &[(u32, Wish)]) -> String {
        let document: toml_edit::DocumentMut = table.parse().unwrap();
        let of = document["event"].as_array_of_tables().unwrap().get(0).unwrap();
        let mut out = toml_edit::DocumentMut::new();
        let mut list = toml_edit::ArrayOfTables::new();
        replace(&mut list, parts(of, &wishes.iter().copied().collect()));
        out.insert("event", Item::ArrayOfTables(list));
        out.to_string()
    }

    #[test]
    fn one_event_has_its_values_and_its_comment() {
        let old =
            "# first\n[[event]] # second\ndevice = \"x\" # third\nevent = 1\nvpe = 1 # four\n";
        let new = "# first\n[[event]] # second\ndevice = \"x\" # third\nevent = 1\nvpe = 2 # four\n\
                   vintid = 8195\n";
        assert_eq!(split(old, &[(1, (8195, 2))]), new);
        let new = "# first\n[[event]] # second\ndevice = \"x\" # third\nevent = 1\nvintid = 8195\n";
        assert_eq!(split(old, &[(1, (8195, 0))]), new, "vPE 0 needs no key");
    }

    #[test]
    fn a_run_is_split_where_vintids_do_not_follow() {
        let old = "[[event]]\ndevice = \"x\" # all\nevents = \"0..3\"\nvpe = \"spread\"\n";
        let wishes = [(0, (8192, 0)), (1, (8193, 1)), (2, (8200, 0)), (3, (8193, 1))];
        let new = "[[event]]\ndevice = \"x\" # all\nevents = \"0..1\"\nvpe = [0, 1]\nvintid = 8192\n\
                   \n[[event]]\ndevice = \"x\"\nevent = 2\nvintid = 8200\n\
                   \n[[event]]\ndevice = \"x\"\nvpe = 1\nevent = 3\nvintid = 8193\n";
        assert_eq!(split(old, &wishes), new);
        let whole = [(0, (9000, 1)), (1, (9001, 1)), (2, (9002, 1)), (3, (9003, 1))];
        let new = "[[event]]\ndevice = \"x\" # all\nevents = \"0..3\"\nvpe = 1\nvintid = 9000\n";
        assert_eq!(split(old, &whole), new);
    }
}
