// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What changed from an older plan.json to a plan, for review.
//!
//! Both are compared as JSON, so that a plan of an older version can be read. Entries of a list are
//! found again by what names them: a VM by its name, an event by who raises it, an area by its
//! owner. A list of commands is compared as a sequence; in any other list the place is the name.
//! An index of a VM, a vPE or a CPU is read as that one's name: a new VM changes no other's.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::{Map, Value};
use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::report;
use crate::plan::Plan;

/// Keys that name an entry of a list, the first that is in all of them and different in each.
const NAMES: [&[&str]; 7] = [
    &["name"],
    &["name", "vm"],
    &["vm", "number"],
    &["source", "device", "event"],
    &["owner", "what"],
    &["what"],
    &["kind"],
];
/// Letters of a value that are shown.
const SHOWN: usize = 100;

/// All changes.
pub struct Changes {
    /// Digests of both, and the name of the older.
    pub old: String,
    pub new: String,
    pub system: String,
    pub parts: Vec<Part>,
}

/// Those of one of the plan's fields.
pub struct Part {
    pub name: String,
    pub changes: Vec<Change>,
}

pub struct Change {
    /// From the part on: "control.memory.0.bytes".
    pub path: String,
    /// None: it is new.
    pub old: Option<String>,
    /// None: it is gone.
    pub new: Option<String>,
}

impl Changes {
    /// From the text of an older plan.json. The error says what is wrong with it.
    pub fn new(old: &str, plan: &Plan) -> Result<Self, String> {
        let read = |text: &str| match serde_json::from_str(text) {
            Ok(Value::Object(plan)) => Ok(plan),
            Ok(_) => Err("it is no plan.json: a plan is an object".to_owned()),
            Err(error) => Err(format!("it is no JSON: {error}")),
        };
        let (old, new) = (with_names(read(old)?), with_names(read(&report::json(plan))?));
        let text = |plan: &Map<String, Value>, key: &str| {
            let text = plan.get(key).and_then(Value::as_str).map(str::to_owned);
            text.ok_or_else(|| format!("it is no plan.json: it has no `{key}`"))
        };
        let mut all = Self {
            old: text(&old, "digest")?,
            new: text(&new, "digest")?,
            system: text(&old, "system")?,
            parts: Vec::new(),
        };
        let gone = old.keys().filter(|key| !new.contains_key(*key));
        for name in new.keys().chain(gone).filter(|name| *name != "digest") {
            let mut changes = Vec::new();
            compare(&mut changes, "", old.get(name), new.get(name));
            if !changes.is_empty() {
                all.parts.push(Part { name: name.clone(), changes });
            }
        }
        Ok(all)
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.parts.iter().map(|part| part.changes.len()).sum()
    }

    /// For a terminal, or to be kept with a review.
    pub fn text(&self) -> String {
        let count = self.count();
        let plural = if count == 1 { "" } else { "s" };
        let mut out = format!("From plan {} to {}: {count} change{plural}\n", self.old, self.new);
        for part in &self.parts {
            let _ = writeln!(out, "\n{}", part.name);
            for Change { path, old, new } in &part.changes {
                // Writing to a String cannot fail.
                let _ = match (old, new) {
                    (Some(old), Some(new)) => writeln!(out, "  {}", joined(path, old, " -> ", new)),
                    (None, new) => writeln!(out, "+ {}", joined(path, "", "", or_empty(new))),
                    (old, None) => writeln!(out, "- {}", joined(path, or_empty(old), "", "")),
                };
            }
        }
        out
    }
}

/// The plan with names in the place of indices.
fn with_names(plan: Map<String, Value>) -> Map<String, Value> {
    let list = |key: &str| plan.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let names = |key: &str| -> Vec<String> {
        let name = |one: &Value| one.get("name").map(shown).unwrap_or_default();
        list(key).iter().map(name).collect()
    };
    let (vms, cpus) = (names("vms"), names("cpus"));
    let vpe = |vpe: &Value| {
        let vm = vpe.get("vm").and_then(Value::as_u64).and_then(|vm| vms.get(vm as usize));
        let number = vpe.get("number").map(shown).unwrap_or_default();
        format!("{}/{number}", vm.map_or("", String::as_str))
    };
    let vpes: Vec<String> = list("vpes").iter().map(vpe).collect();
    let spis = by_intid(list("spis"));
    let mut named = Value::Object(plan);
    named["spis"] = spis;
    name(&mut named, &Names { vms, cpus, vpes });
    match named {
        Value::Object(plan) => plan,
        _ => Map::new(),
    }
}

/// SPIs that somebody has: entry n of the list is INTID 32 + n.
fn by_intid(spis: &[Value]) -> Value {
    let all = spis.iter().enumerate().filter(|(_, spi)| !spi.is_null());
    Value::Object(all.map(|(n, spi)| ((n + 32).to_string(), spi.clone())).collect())
}

/// Of a plan, by index.
struct Names {
    vms: Vec<String>,
    cpus: Vec<String>,
    vpes: Vec<String>,
}

fn name(value: &mut Value, names: &Names) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|entry| name(entry, names)),
        Value::Object(fields) => {
            // Beside a VM it is the number in the VM.
            let in_vm = fields.contains_key("vm");
            for (key, field) in fields {
                let of = match key.as_str() {
                    "vm" | "focus" => &names.vms,
                    "cpu" | "console_cpu" => &names.cpus,
                    "vpe" if !in_vm => &names.vpes,
                    _ => {
                        name(field, names);
                        continue;
                    }
                };
                if let Some(one) = field.as_u64().and_then(|index| of.get(index as usize)) {
                    *field = Value::String(one.clone());
                }
            }
        }
        _ => {}
    }
}

fn or_empty(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or_default()
}

fn joined(path: &str, old: &str, between: &str, new: &str) -> String {
    let colon = if path.is_empty() { "" } else { ": " };
    format!("{path}{colon}{old}{between}{new}")
}

fn compare(out: &mut Vec<Change>, path: &str, old: Option<&Value>, new: Option<&Value>) {
    match (old, new) {
        _ if old == new => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let gone = old.keys().filter(|key| !new.contains_key(*key));
            for key in new.keys().chain(gone) {
                compare(out, &below(path, key), old.get(key), new.get(key));
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => lists(out, path, old, new),
        _ => {
            let (old, new) = (old.map(shown), new.map(shown));
            out.push(Change { path: path.to_owned(), old, new });
        }
    }
}

fn lists(out: &mut Vec<Change>, path: &str, old: &[Value], new: &[Value]) {
    let all = || old.iter().chain(new);
    if all().all(|entry| entry.get("text").is_some()) {
        return sequences(out, path, old, new);
    }
    for keys in NAMES {
        let (Some(before), Some(after)) = (named(old, keys), named(new, keys)) else { continue };
        let find = |names: &[String], list: &'_ [Value], name: &String| {
            names.iter().position(|other| other == name).map(|n| list[n].clone())
        };
        let gone = before.iter().filter(|name| !after.contains(*name));
        for name in after.iter().chain(gone) {
            let (was, is) = (find(&before, old, name), find(&after, new, name));
            compare(out, &below(path, name), was.as_ref(), is.as_ref());
        }
        return;
    }
    for n in 0..old.len().max(new.len()) {
        compare(out, &below(path, &n.to_string()), old.get(n), new.get(n));
    }
}

/// The names of a list's entries by these keys, if each has one of its own.
fn named(list: &[Value], keys: &[&str]) -> Option<Vec<String>> {
    let name = |entry: &Value| {
        let parts: Option<Vec<String>> = keys.iter().map(|key| entry.get(key).map(shown)).collect();
        parts.map(|parts| parts.join(" "))
    };
    let names: Vec<String> = list.iter().map(name).collect::<Option<_>>()?;
    let distinct: BTreeSet<&String> = names.iter().collect();
    (distinct.len() == names.len()).then_some(names)
}

/// Commands that are gone and new ones, in their order.
fn sequences(out: &mut Vec<Change>, path: &str, old: &[Value], new: &[Value]) {
    let texts = |list: &[Value]| -> Vec<String> {
        list.iter().filter_map(|entry| entry.get("text").map(shown)).collect()
    };
    let (old, new) = (texts(old), texts(new));
    let mut put = |at: usize, old: Option<&String>, new: Option<&String>| {
        let path = below(path, &at.to_string());
        out.push(Change { path, old: old.cloned(), new: new.cloned() });
    };
    for op in capture_diff_slices(Algorithm::Myers, &old, &new) {
        if matches!(op, DiffOp::Equal { .. }) {
            continue;
        }
        op.old_range().for_each(|n| put(n, old.get(n), None));
        op.new_range().for_each(|n| put(n, None, new.get(n)));
    }
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A value as people read it, cut where it is long.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{} ...", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(old: &str, new: &str) -> Vec<String> {
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let mut out = Vec::new();
        compare(&mut out, "", Some(&read(old)), Some(&read(new)));
        let show = |change: Change| {
            let or = |side: Option<String>| side.unwrap_or_else(|| "-".into());
            format!("{} {} {}", change.path, or(change.old), or(change.new))
        };
        out.into_iter().map(show).collect()
    }

    #[test]
    fn entries_are_found_by_their_names() {
        let old = r#"[{"name": "a", "n": 1}, {"name": "b", "n": 2}]"#;
        let new = r#"[{"name": "c", "n": 3}, {"name": "b", "n": 4}]"#;
        let found = changes(old, new);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].starts_with("c - {") && found[2].starts_with("a {"), "{found:?}");
        assert_eq!(found[1], "b.n 2 4");
        let event = |vintid: u32| {
            format!(r#"[{{"source": "x", "device": 1, "event": 0, "vintid": {vintid}}}]"#)
        };
        assert_eq!(changes(&event(8192), &event(8193)), ["x 1 0.vintid 8192 8193"]);
    }

    #[test]
    fn commands_are_a_sequence() {
        let old = r#"[{"text": "MAPC 0"}, {"text": "SYNC"}, {"text": "SYNC"}]"#;
        let new = r#"[{"text": "MAPC 0"}, {"text": "MAPD 1"}, {"text": "SYNC"}, {"text": "SYNC"}]"#;
        assert_eq!(changes(old, new), ["1 - MAPD 1"]);
    }

    #[test]
    fn what_has_no_name_is_found_by_its_place() {
        assert_eq!(changes("[1, 2, null]", "[1, 3, null, 4]"), ["1 2 3", "3 - 4"]);
        assert_eq!(changes("null", r#"{"a": 1}"#), [r#" none {"a":1}"#]);
        assert!(changes(r#"{"a": [1, {"b": 2}]}"#, r#"{"a": [1, {"b": 2}]}"#).is_empty());
        let long = format!("\"{}\"", "ä".repeat(300));
        assert_eq!(changes("1", &long), [format!(" 1 {} ...", "ä".repeat(100))]);
    }
}
