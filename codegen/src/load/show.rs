// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A board with what it inherits, as one TOML.

use std::cmp::Reverse;
use std::path::Path;

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::files::{Files, shown};
use super::inherit::Line;
use super::merge::Node;
use crate::diag::{FileId, Report, Sources};
use crate::schema::board::BoardFile;
use crate::schema::json::Kind;

/// The board TOML at `path`, merged. Lines that the oldest file does not have end with the file and
/// line that they come from.
pub fn board(path: &Path) -> Result<String, Report> {
    let mut files = Files::new(path);
    let text = merged(&mut files, path);
    files.report.sort();
    match text {
        Some(text) if !files.report.has_errors() => Ok(text),
        _ => Err(files.report),
    }
}

fn merged(files: &mut Files, path: &Path) -> Option<String> {
    let line = Line::read(files, path, Kind::Board, None)?;
    let (node, file) = line.merged(files)?;
    let mut page = Page { sources: &files.report.sources, file, text: String::new() };
    let DeValue::Table(table) = node.get_ref() else { return None };
    page.document(table);
    let text = page.text;
    files.verified::<BoardFile>(node.clone(), file, Kind::Board)?;
    Some(format!("# {}, with all that it inherits.\n{text}", shown(path).display()))
}

struct Page<'a> {
    sources: &'a Sources,
    file: FileId,
    text: String,
}

impl Page<'_> {
    /// Every table of the file, in the schema's order.
    fn document(&mut self, table: &DeTable<'_>) {
        let keys = Kind::Board.schema().get("properties").and_then(Value::as_object);
        for key in keys.into_iter().flat_map(|keys| keys.keys()) {
            match table.get(key.as_str()).map(|node| node.get_ref()) {
                Some(DeValue::Table(inner)) => {
                    self.text.push_str(&format!("\n[{key}]\n"));
                    self.table(inner, "");
                }
                Some(DeValue::Array(items)) => {
                    for item in items.iter().filter_map(|item| item.get_ref().as_table()) {
                        self.text.push_str(&format!("\n[[{key}]]\n"));
                        self.table(item, "");
                    }
                }
                _ => {}
            }
        }
    }

    /// A line for each value: the name, then the oldest file's, as the files have them.
    fn table(&mut self, table: &DeTable<'_>, path: &str) {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, value)| {
            let place = self.sources.place(self.file, &value.span());
            (key.get_ref() != "name", Reverse(place.file), place.span.start)
        });
        for (key, value) in entries {
            let key = key.get_ref();
            match value.get_ref() {
                DeValue::Table(inner) => self.table(inner, &format!("{path}{key}.")),
                _ => self.line(&format!("{path}{key}"), value),
            }
        }
    }

    fn line(&mut self, key: &str, value: &Node<'_>) {
        let place = self.sources.place(self.file, &value.span());
        let text = self.value(value);
        self.text.push_str(&format!("{key} = {text}"));
        if self.sources.parent(place.file).is_some() {
            let line = place.source.text[..place.span.start].matches('\n').count() + 1;
            self.text.push_str(&format!("  # {}:{line}", place.source.path.display()));
        }
        self.text.push('\n');
    }

    /// A value as it is written, on one line.
    fn value(&self, value: &Node<'_>) -> String {
        match value.get_ref() {
            DeValue::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| self.value(item)).collect();
                format!("[{}]", items.join(", "))
            }
            DeValue::Table(table) => {
                let mut entries: Vec<_> = table.iter().collect();
                entries.sort_by_key(|(_, value)| value.span().start);
                let entries: Vec<String> = entries
                    .iter()
                    .map(|(key, value)| format!("{} = {}", key.get_ref(), self.value(value)))
                    .collect();
                format!("{{ {} }}", entries.join(", "))
            }
            _ => self.sources.place(self.file, &value.span()).text().to_owned(),
        }
    }
}
