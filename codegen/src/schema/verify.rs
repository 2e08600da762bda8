// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Finds every unknown, missing and mistyped key of a file in one run.
//!
//! serde stops at its first error, so a document is walked along its JSON schema before serde sees
//! it. What is unknown is reported and taken out; everything else that is wrong is reported and
//! makes the document unfit for serde. Tagged alternatives (`kind = "pci"`) are rewritten as `{ pci
//! = { .. } }`, the only form of an enum that keeps spans. It knows just as much of JSON Schema as
//! `schemars` writes for the structs beside it.

use std::ops::Range;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::json::Kind;
use super::text;
use crate::diag::{Diagnostic, FileId, Report, rules};

/// Lists of tables that are written in one line.
const IN_PLACE: [&str; 8] =
    ["vpes", "memory", "ends", "regions", "intids", "windows", "suspended", "raw"];

/// What people write who know other systems, and what it is called here.
const MEANT: [(&str, &str); 3] = [("reboot", "restart"), ("stop", "halt"), ("off", "halt")];

/// One document on its way to serde.
pub struct Verify<'a> {
    pub kind: Kind,
    pub file: FileId,
    pub report: &'a mut Report,
    /// Still fit for serde.
    pub fit: bool,
}

impl Verify<'_> {
    /// Checks the whole file. It may be of another kind: one message says so then.
    pub fn file(&mut self, node: &mut Spanned<DeValue<'_>>) {
        let table = node.get_ref().as_table();
        let keys = table.into_iter().flat_map(|table| table.keys());
        let keys: Vec<(String, Range<usize>)> =
            keys.map(|key| (key.get_ref().to_string(), key.span())).collect();
        let has = |kind: Kind, key: &str| kind.schema()["properties"].get(key).is_some();
        let known = |kind: &Kind| keys.iter().filter(|(key, _)| has(*kind, key)).count();
        let likely = Kind::ALL.into_iter().max_by_key(known).filter(|likely| known(likely) > 0);
        let Some(other) = likely.filter(|likely| known(likely) > known(&self.kind)) else {
            return self.node(node, self.kind.schema(), "");
        };
        let help = match self.kind {
            Kind::System => format!(
                "give the name of a system in configs/, or write one that names this {}",
                other.name()
            ),
            Kind::Board | Kind::Partition | Kind::Targets => {
                format!("name a {}'s TOML here", self.kind.name())
            }
        };
        let own = keys.iter().filter(|(key, _)| has(other, key) && !has(self.kind, key));
        let span = own.map(|(_, span)| span.clone()).min_by_key(|span| span.start);
        let (is, wanted) = (other.name(), self.kind.name());
        self.bad(
            rules::OTHER_KIND
                .says(format!("this is a {is}'s TOML, not a {wanted}'s"))
                .label_span(self.file, span.unwrap_or_default(), format!("a key of a {is}"))
                .help(help),
        );
    }

    /// Checks `node` against `schema`, which refers to nothing outside itself. `name` is its key;
    /// that of the whole file is empty.
    pub fn node(&mut self, node: &mut Spanned<DeValue<'_>>, schema: &Value, name: &str) {
        if let Some(alternatives) = schema.get("oneOf").and_then(Value::as_array) {
            return self.alternatives(node, alternatives, name);
        }
        if let Some(forms) = schema.get("anyOf").and_then(Value::as_array) {
            return self.forms(node, forms, schema, name);
        }
        let wanted = schema.get("type").and_then(Value::as_str).unwrap_or_default();
        let span = node.span();
        match (wanted, node.get_mut()) {
            ("object", DeValue::Table(table)) => self.table(table, span, schema, name, None),
            ("array", DeValue::Array(items)) => {
                let item = schema.get("items").unwrap_or(&Value::Null);
                for node in items.iter_mut() {
                    self.node(node, item, name);
                }
                let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
                if (items.len() as u64) < least {
                    let help = format!("write {}", self.example(name, schema));
                    let empty = rules::EMPTY.says(format!("`{name}` is empty"));
                    self.bad(
                        empty
                            .label_span(self.file, span, "at least one entry is needed")
                            .help(help),
                    );
                }
            }
            ("string", DeValue::String(value)) => {
                let value = value.to_string();
                self.text(&value, span, schema, name);
            }
            ("integer", DeValue::Integer(integer)) => {
                let value = i128::from_str_radix(integer.as_str(), integer.radix()).ok();
                self.number(value, span, schema, name);
            }
            ("boolean", DeValue::Boolean(_)) => {}
            (_, found) => {
                let found = found.type_str();
                self.wrong_type(schema, found, span, name);
            }
        }
    }

    /// Values of several types, told apart by the type.
    fn forms(
        &mut self,
        node: &mut Spanned<DeValue<'_>>,
        forms: &[Value],
        schema: &Value,
        name: &str,
    ) {
        let found = node.get_ref().type_str();
        match forms.iter().find(|form| form.get("type").and_then(Value::as_str) == Some(found)) {
            Some(form) => self.node(node, form, name),
            None => self.wrong_type(schema, found, node.span(), name),
        }
    }

    /// A table whose keys are `schema`'s properties. `tag` is a key that was looked at already.
    fn table(
        &mut self,
        table: &mut DeTable<'_>,
        span: Range<usize>,
        schema: &Value,
        name: &str,
        tag: Option<&str>,
    ) {
        let none = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
        let mut meant = Vec::new();
        for (key, value) in std::mem::take(table) {
            let present = key.get_ref().to_string();
            if properties.contains_key(&present) {
                table.insert(key, value);
                continue;
            }
            let names = || properties.keys().map(String::as_str);
            let help = match (further_in(properties, &present), near(&present, names())) {
                (Some(place), _) if name.is_empty() => format!("did you mean {place}?"),
                (_, Some(key)) => {
                    meant.push(key);
                    format!("did you mean `{key}`?")
                }
                _ => format!("the keys here are {}", list(names())),
            };
            let title = format!("{} has no key `{present}`", self.called(name));
            let unknown = rules::UNKNOWN_KEY.says(title);
            self.report.push(unknown.label_span(self.file, key.span(), "unknown key").help(help));
        }
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        for key in required.filter_map(Value::as_str).filter(|key| tag != Some(*key)) {
            if !table.contains_key(key) && meant.contains(&key) {
                // Misspelt, and said so.
                self.fit = false;
            } else if !table.contains_key(key) {
                let about = properties
                    .get(key)
                    .and_then(|p| p.get("description"))
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                let choices = properties[key].get("enum").and_then(Value::as_array);
                let choices = choices.map_or_else(String::new, |choices| {
                    format!(" (one of {})", list(choices.iter().filter_map(Value::as_str)))
                });
                self.bad(
                    rules::MISSING_KEY
                        .says(format!("{} lacks `{key}`", self.called(name)))
                        .label_span(self.file, span.clone(), format!("`{key}` is missing here"))
                        .help(format!(
                            "add {}{choices}: {}",
                            self.example(key, &properties[key]),
                            first_sentence(about)
                        )),
                );
            }
        }
        let keys: Vec<String> = table.keys().map(|key| key.get_ref().to_string()).collect();
        for key in keys {
            if let (Some(node), Some(property)) =
                (table.get_mut(key.as_str()), properties.get(&key))
            {
                self.node(node, property, &key);
            }
        }
    }

    /// Tables told apart by `kind`.
    fn alternatives(
        &mut self,
        node: &mut Spanned<DeValue<'_>>,
        alternatives: &[Value],
        name: &str,
    ) {
        let span = node.span();
        let constant =
            |schema: &Value| schema.get("const").and_then(Value::as_str).map(str::to_owned);
        let kind = |schema: &Value| schema.pointer("/properties/kind").and_then(&constant);
        let DeValue::Table(table) = node.get_mut() else {
            let found = node.get_ref().type_str();
            return self.wrong_type(&serde_json::json!({"type": "object"}), found, span, name);
        };
        let kinds: Vec<String> = alternatives.iter().filter_map(kind).collect();
        let Some(tag) = table.get("kind") else {
            let diagnostic = rules::MISSING_KEY
                .says(format!("`{name}` lacks `kind`"))
                .label_span(self.file, span, "`kind` is missing here")
                .help(format!(
                    "add kind = \"{}\": it is one of {}",
                    kinds[0],
                    list(kinds.iter().map(String::as_str))
                ));
            return self.bad(diagnostic);
        };
        let tag_span = tag.span();
        let Some(value) = tag.get_ref().as_str().map(str::to_owned) else {
            let found = tag.get_ref().type_str();
            return self.wrong_type(
                &serde_json::json!({"type": "string"}),
                found,
                tag_span,
                "kind",
            );
        };
        let chosen = alternatives.iter().find(|schema| kind(schema).as_deref() == Some(&value));
        let Some(schema) = chosen else {
            return self.choice(&value, tag_span, kinds.iter().map(String::as_str), "kind");
        };
        self.table(table, span.clone(), schema, &format!("{value} {name}"), Some("kind"));
        table.remove("kind");
        let mut outer = DeTable::new();
        outer.insert(
            Spanned::new(tag_span, value.into()),
            Spanned::new(span, DeValue::Table(std::mem::take(table))),
        );
        *node.get_mut() = DeValue::Table(outer);
    }

    fn text(&mut self, value: &str, span: Range<usize>, schema: &Value, name: &str) {
        if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
            return self.choice(value, span, choices.iter().filter_map(Value::as_str), name);
        }
        let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
        if let Err(help) = text::verify(format, value) {
            self.bad(
                rules::WRONG_VALUE
                    .says(format!("`{name}` cannot be \"{value}\""))
                    .label_span(self.file, span, format!("not {}", human(schema)))
                    .help(help),
            );
        }
    }

    fn choice<'s>(
        &mut self,
        value: &str,
        span: Range<usize>,
        choices: impl Iterator<Item = &'s str> + Clone,
        name: &str,
    ) {
        if choices.clone().any(|choice| choice == value) {
            return;
        }
        let help = match alias(value, choices.clone()).or_else(|| near(value, choices.clone())) {
            Some(choice) => format!("did you mean \"{choice}\"? It is one of {}", list(choices)),
            None => format!("it is one of {}", list(choices)),
        };
        let title = format!("`{name}` cannot be \"{value}\"");
        self.bad(
            rules::WRONG_VALUE.says(title).label_span(self.file, span, "unknown choice").help(help),
        );
    }

    fn number(&mut self, value: Option<i128>, span: Range<usize>, schema: &Value, name: &str) {
        let bound = |key| schema.get(key).and_then(Value::as_u64).map(i128::from);
        let format = schema.get("format").and_then(Value::as_str);
        let widest = match format {
            Some("uint8") => i128::from(u8::MAX),
            Some("uint16") => i128::from(u16::MAX),
            Some("uint32") => i128::from(u32::MAX),
            _ => i128::from(i64::MAX),
        };
        let low = bound("minimum").unwrap_or(0);
        let high = bound("maximum").unwrap_or(widest).min(widest);
        if value.is_none_or(|value| value < low || value > high) {
            let (low, high) = match format {
                Some("address") => (format!("{low:#x}"), format!("{high:#x}")),
                _ => (low.to_string(), high.to_string()),
            };
            self.bad(
                rules::WRONG_VALUE
                    .says(format!("`{name}` is out of range"))
                    .label_span(self.file, span, format!("not in {low} to {high}"))
                    .help(format!("write a number from {low} to {high}")),
            );
        }
    }

    fn wrong_type(&mut self, schema: &Value, found: &str, span: Range<usize>, name: &str) {
        let wanted = human(schema);
        let example = self.example(name.rsplit(' ').next().unwrap_or(name), schema);
        let why = match (found, example.starts_with("a table [[")) {
            ("table", true) => ", with double brackets: there may be several",
            ("array", false) if example.starts_with("a table [") => ", with single brackets",
            _ => "",
        };
        self.bad(
            rules::WRONG_TYPE
                .says(format!("`{name}` is {wanted}, not {}", article(found)))
                .label_span(self.file, span, format!("this is {}", article(found)))
                .help(format!("write {example}{why}")),
        );
    }

    /// `key = value` as one might write it.
    fn example(&self, key: &str, schema: &Value) -> String {
        let choice =
            schema.pointer("/enum/0").and_then(Value::as_str).map(|first| format!("\"{first}\""));
        let value = choice.unwrap_or_else(|| {
            match (
                schema.get("type").and_then(Value::as_str),
                schema.get("format").and_then(Value::as_str),
            ) {
                (_, Some("size")) => "\"64 KiB\"",
                (_, Some("time-span")) => "\"10 ms\"",
                (_, Some("pci-address")) => "\"00:02.0\"",
                (_, Some("pci-id")) => "\"1b36:0010\"",
                (_, Some("control-key")) => "\"ctrl-]\"",
                (_, Some("event-run")) => "\"0..9\"",
                (_, Some("vpe-choice")) => "0",
                (_, Some("address")) => "0x4000_0000",
                (Some("string"), _) => "\"...\"",
                (Some("integer"), _) => "0",
                (Some("boolean"), _) => "true",
                (Some("array"), _) => "[...]",
                _ => "{ ... }",
            }
            .into()
        });
        let table_list = schema.get("type").and_then(Value::as_str) == Some("array")
            && schema.get("items").is_some_and(|items| {
                items.get("oneOf").is_some()
                    || items.get("type").and_then(Value::as_str) == Some("object")
            });
        let in_place = IN_PLACE.contains(&key);
        match (value.as_str(), table_list) {
            // An entry of a list that is written in one line, with the keys that it must have.
            ("{ ... }", _) if in_place => {
                let required = schema.get("required").and_then(Value::as_array);
                let keys = required.into_iter().flatten().filter_map(Value::as_str);
                let keys: Vec<String> =
                    keys.map(|key| self.example(key, &schema["properties"][key])).collect();
                format!("{{ {} }}", keys.join(", "))
            }
            ("{ ... }", _) => format!("a table [{key}]"),
            (_, true) if !in_place => format!("a table [[{key}]]"),
            (_, true) => format!("{key} = [{{ ... }}]"),
            _ => format!("{key} = {value}"),
        }
    }

    /// What messages call a table; the whole file's name is empty.
    fn called(&self, name: &str) -> String {
        match name {
            "" => format!("a {}'s TOML", self.kind.name()),
            _ => format!("`{name}`"),
        }
    }

    fn bad(&mut self, diagnostic: Diagnostic) {
        self.fit = false;
        self.report.push(diagnostic);
    }
}

/// What a schema wants, for a person.
fn human(schema: &Value) -> &'static str {
    match (schema.get("type").and_then(Value::as_str), schema.get("format").and_then(Value::as_str))
    {
        (_, Some("size")) => "a size",
        (_, Some("time-span")) => "a time",
        (_, Some("pci-address")) => "a PCI address",
        (_, Some("pci-id")) => "a PCI identity",
        (_, Some("control-key")) => "a control key",
        (_, Some("event-run")) => "a run of events",
        (_, Some("vpe-choice")) => "a number, \"spread\" or a list of numbers",
        (_, Some("address")) => "an address",
        (Some("string"), _) => "a string",
        (Some("integer"), _) => "a number",
        (Some("boolean"), _) => "true or false",
        (Some("array"), _) => "a list",
        _ => "a table",
    }
}

fn article(toml_type: &str) -> String {
    match toml_type {
        "array" => "a list".into(),
        "integer" => "an integer".into(),
        other => format!("a {other}"),
    }
}

/// The table of the next level that has the key, as one would write it.
fn further_in(properties: &Map<String, Value>, key: &str) -> Option<String> {
    properties.iter().find_map(|(outer, schema)| {
        let (inner, several) = match schema.get("items") {
            Some(items) => (items, true),
            None => (schema, false),
        };
        let found = inner.get("properties")?.get(key)?;
        let table = found.get("properties").is_some();
        let tables = found.pointer("/items/properties").is_some() && !IN_PLACE.contains(&key);
        Some(match (tables, table, several) {
            (true, ..) => format!("[[{outer}.{key}]]"),
            (_, true, _) => format!("[{outer}.{key}]"),
            (.., true) => format!("the key `{key}` of a [[{outer}]]"),
            (.., false) => format!("the key `{key}` of [{outer}]"),
        })
    })
}

/// The choice that another word or an abbreviation stands for: "rw" for "read-write".
fn alias<'s>(value: &str, mut choices: impl Iterator<Item = &'s str>) -> Option<&'s str> {
    let value = value.to_lowercase();
    choices.find(|choice| {
        let initials = choice.split('-').filter_map(|word| word.chars().next());
        let several = choice.contains('-') && initials.eq(value.chars());
        several || MEANT.contains(&(value.as_str(), choice))
    })
}

/// The choice that `value` was probably meant to be.
pub fn near<'s>(value: &str, choices: impl Iterator<Item = &'s str>) -> Option<&'s str> {
    choices
        .map(|choice| (strsim::jaro_winkler(&value.to_lowercase(), &choice.to_lowercase()), choice))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, choice)| choice)
}

/// "`a`, `b` and `c`".
pub fn list<'s>(items: impl Iterator<Item = &'s str>) -> String {
    let items: Vec<String> = items.map(|item| format!("`{item}`")).collect();
    match items.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => "none".into(),
    }
}

fn first_sentence(text: &str) -> &str {
    text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.')
}
