// SPDX-License-Identifier: Apache-2.0 OR MIT
//! docs/configuration.md and the other files made from the structs.
//!
//! Everything a user reads about a key is its doc comment; this walks the JSON schemas and lays
//! them out.

use serde_json::{Map, Value};

use super::json::Kind;
use crate::diag::rules;
use crate::limits;

const INTRODUCTION: &str = "\
# Configuration

A **system** TOML says which VMs share a board. It names a **board** TOML, which describes the
hardware, and **partitions**, each with a small TOML of its own. `bulkhead check SYSTEM` reads all
of them and reports every mistake at once ([errors](errors.md)). The first line of each file lets an
editor complete and check it while you type:

```
#:schema ./system.schema.json
```

Sizes are strings with a unit (\"64 MiB\": B, KiB, MiB, GiB, TiB), and so are times (\"10 ms\": ns,
us, ms, s). Addresses are numbers, best in hexadecimal (0x4000_0000). Interrupts are INTIDs: SGIs 0
to 15, PPIs 16 to 31, SPIs from 32, LPIs from 8192. Paths are relative to the file that names them.
A key that is not listed here is an error, and so is a value of the wrong type.

A board or a system may inherit another and say only what differs, under the schema
inheriting-board.schema.json or inheriting-system.schema.json:

```
#:schema ../configs/inheriting-board.schema.json
inherit = \"qemu-virt-gicv4\"
remove = [\"pmu\", \"device.edu0\"]
board.name = \"no-edu\"
gic.list_registers = 8
```

`[x]` is a table, `[[x]]` a table that may occur several times, `x = { }` one in place. A key
without default must be written; `none` is a default too.

`bulkhead schema` writes this page from the structs in codegen/src/schema.
";

const COLUMNS: usize = 100;

/// Tables that are mostly written in place.
const IN_PLACE: [&str; 20] = [
    "vpes",
    "budget",
    "windows",
    "suspended",
    "memory",
    "payload",
    "restarts",
    "resets",
    "watchdog",
    "ends",
    "distributor",
    "redistributors",
    "ecam",
    "buses",
    "window32",
    "window64",
    "bars",
    "scratch",
    "layout",
    "raw",
];

/// Every generated file, by its path from the project's root: what `bulkhead schema` writes.
pub fn generated() -> Vec<(String, String)> {
    let own = Kind::ALL.iter().map(|kind| (kind.file_name().to_owned(), kind.text()));
    let schemas = own.chain(Kind::ALL.iter().filter_map(|kind| kind.heir()));
    let schemas = schemas.map(|(name, text)| (format!("configs/{name}"), text));
    let pages = [
        ("docs/configuration.md".into(), manual()),
        ("docs/errors.md".into(), rules::manual()),
        ("docs/limits.md".into(), limits::manual()),
    ];
    schemas.chain(pages).collect()
}

/// docs/configuration.md.
pub fn manual() -> String {
    let mut page = Page { text: INTRODUCTION.into() };
    for kind in Kind::ALL {
        let schema = kind.schema();
        let about = wrapped(text(schema, "description"));
        page.text.push_str(&format!("\n## {}\n\n{about}", title(kind)));
        page.table(schema, "");
    }
    page.text
}

fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::System => "The system: configs/NAME.toml",
        Kind::Board => "The board: boards/NAME.toml",
        Kind::Partition => "The partition: partitions/GROUP/NAME/partition.toml",
        Kind::Targets => "The targets: targets.toml",
    }
}

struct Page {
    text: String,
}

impl Page {
    /// The tables below a table, each with its keys.
    fn children(&mut self, schema: &Value, path: &str) {
        for (key, value) in properties(schema) {
            let Some(table) = below(value) else { continue };
            let list = text(value, "type") == "array";
            let in_place = IN_PLACE.contains(&key.as_str());
            let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let heading = match (in_place, list) {
                (true, true) => format!("{inner} = [{{ }}]"),
                (true, false) => format!("{inner} = {{ }}"),
                (false, true) => format!("[[{inner}]]"),
                (false, false) => format!("[{inner}]"),
            };
            let needed = if required(schema, key) { "" } else { " Optional." };
            let about = wrapped(&format!("{}{needed}", text(value, "description")));
            self.text.push_str(&format!("\n### `{heading}`\n\n{about}"));
            self.table(table, &inner);
        }
    }

    /// A table's keys and what is below it; of each kind of it, when it has kinds.
    fn table(&mut self, table: &Value, path: &str) {
        let Some(kinds) = table.get("oneOf").and_then(Value::as_array) else {
            self.keys(table);
            return self.children(table, path);
        };
        for kind in kinds {
            let name =
                kind.pointer("/properties/kind/const").and_then(Value::as_str).unwrap_or_default();
            let about = format!("`kind = \"{name}\"`: {}", text(kind, "description"));
            self.text.push_str(&format!("\n{}", wrapped(&about)));
            self.keys(kind);
            self.children(kind, path);
        }
    }

    /// Keys with values; tables within follow under their own headings.
    fn keys(&mut self, table: &Value) {
        let keys = properties(table)
            .into_iter()
            .filter(|(_, value)| value.get("const").is_none() && below(value).is_none());
        let rows: String = keys.map(|(key, value)| row(table, key, value)).collect();
        if !rows.is_empty() {
            self.text.push_str("\n| key | what | default | meaning |\n|---|---|---|---|\n");
            self.text.push_str(&rows);
        }
    }
}

/// Paragraphs in lines of 100 columns, as all pages have them.
fn wrapped(text: &str) -> String {
    let mut out = String::new();
    for (number, paragraph) in text.split("\n\n").enumerate() {
        out.push_str(if number == 0 { "" } else { "\n" });
        let mut column = 0;
        for word in paragraph.split_whitespace() {
            let width = word.chars().count();
            let fits = column == 0 || column + 1 + width <= COLUMNS;
            out.push_str(if column == 0 {
                ""
            } else if fits {
                " "
            } else {
                "\n"
            });
            column = if fits && column > 0 { column + 1 + width } else { width };
            out.push_str(word);
        }
        out.push('\n');
    }
    out
}

fn row(table: &Value, key: &str, value: &Value) -> String {
    let default = match value.get("x-default") {
        Some(Value::String(text)) if text_of_choice(value) || text.starts_with("ctrl") => {
            format!("\"{text}\"")
        }
        Some(Value::String(text))
            if text_kind(value) == "size"
                && !text.contains(':')
                && text.starts_with(char::is_numeric) =>
        {
            format!("\"{text}\"")
        }
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None if required(table, key) => "".into(),
        None if value.get("type").is_some_and(|name| name == "array") => "[]".into(),
        None => "none".into(),
    };
    format!("| `{key}` | {} | {default} | {} |\n", kind_of(value), text(value, "description"))
}

/// What a value is, for a table cell.
fn kind_of(value: &Value) -> String {
    if let Some(choices) = value.get("enum").and_then(Value::as_array) {
        let choices: Vec<String> = choices.iter().map(Value::to_string).collect();
        return choices.join(", ");
    }
    match text(value, "type") {
        "array" => format!("list of {}", plural(value.get("items").unwrap_or(value))),
        _ => text_kind(value).into(),
    }
}

fn text_kind(value: &Value) -> &'static str {
    match (text(value, "type"), text(value, "format")) {
        (_, "size") => "size",
        (_, "time-span") => "time",
        (_, "address") => "address",
        (_, "pci-address") => "PCI address",
        (_, "pci-id") => "PCI identity",
        (_, "control-key") => "key",
        (_, "event-run") => "\"FIRST..LAST\"",
        (_, "vpe-choice") => "number, \"spread\", list of numbers",
        ("integer", _) => "number",
        ("boolean", _) => "true, false",
        ("object", _) => "table",
        _ => "text",
    }
}

fn plural(value: &Value) -> String {
    format!("{}s", text_kind(value))
}

fn text_of_choice(value: &Value) -> bool {
    value.get("enum").is_some()
}

/// The table that a key is, or is a list of.
fn below(value: &Value) -> Option<&Value> {
    let table = if text(value, "type") == "array" { value.get("items")? } else { value };
    (text(table, "type") == "object" || table.get("oneOf").is_some()).then_some(table)
}

fn properties(schema: &Value) -> Vec<(&String, &Value)> {
    schema
        .get("properties")
        .and_then(Value::as_object)
        .map(Map::iter)
        .into_iter()
        .flatten()
        .collect()
}

fn required(schema: &Value, key: &str) -> bool {
    let keys = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    keys.filter_map(Value::as_str).any(|required| required == key)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
