// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The JSON schemas: for editors, for `verify`, for the manual.

use std::sync::OnceLock;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::{board::BoardFile, partition::PartitionFile, system::SystemFile, targets::TargetsFile};

/// The kinds of TOML file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Board,
    System,
    Partition,
    Targets,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::System, Kind::Board, Kind::Partition, Kind::Targets];

    /// Name of the schema's file in configs/.
    pub fn file_name(self) -> &'static str {
        match self {
            Kind::Board => "board.schema.json",
            Kind::System => "system.schema.json",
            Kind::Partition => "partition.schema.json",
            Kind::Targets => "targets.schema.json",
        }
    }

    /// The directory that has files of this kind.
    pub fn room(self) -> &'static str {
        match self {
            Kind::Board => "boards",
            Kind::System => "configs",
            Kind::Partition => "partitions",
            Kind::Targets => ".config/bulkhead",
        }
    }

    /// What messages call such a file.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Board => "board",
            Kind::System => "system",
            Kind::Partition => "partition",
            Kind::Targets => "targets file",
        }
    }

    /// The schema, with nothing left to look up. Made once.
    pub fn schema(self) -> &'static Value {
        static SCHEMAS: [OnceLock<Value>; 4] = [const { OnceLock::new() }; 4];
        match self {
            Kind::Board => SCHEMAS[0].get_or_init(schema::<BoardFile>),
            Kind::System => SCHEMAS[1].get_or_init(schema::<SystemFile>),
            Kind::Partition => SCHEMAS[2].get_or_init(schema::<PartitionFile>),
            Kind::Targets => SCHEMAS[3].get_or_init(schema::<TargetsFile>),
        }
    }

    /// The schema as a file.
    pub fn text(self) -> String {
        let mut text = serde_json::to_string_pretty(self.schema()).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The schema's file for those that inherit another, if files of this kind can.
    pub fn heir(self) -> Option<(String, String)> {
        let mut schema = self.schema().clone();
        schema.get("properties")?.get("inherit")?;
        relax(&mut schema);
        schema["required"] = json!(["inherit"]);
        let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
        text.push('\n');
        Some((format!("inheriting-{}", self.file_name()), text))
    }
}

/// What a table may lack when it is merged with another: every key but a name. Lists of tables
/// without names are not merged and stay as they are.
fn relax(table: &mut Value) {
    union(table);
    let Some(table) = table.as_object_mut() else { return };
    table.remove("required");
    let properties = table.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties.into_iter().flat_map(Map::values_mut) {
        if property.get("type").is_some_and(|kind| kind == "object") {
            relax(property);
        } else if let Some(item) = property.get_mut("items") {
            union(item);
            if item.pointer("/properties/name").is_some() && needs_name(item) {
                relax(item);
                item["required"] = json!(["name"]);
            }
        }
    }
}

/// Without a list of what it needs, it is a table of several kinds, which all have names.
fn needs_name(item: &Value) -> bool {
    let needs = item.get("required").and_then(Value::as_array);
    needs.is_none_or(|needs| needs.iter().any(|key| key == "name"))
}

/// Makes one table of tables told apart by `kind`, with the keys of all.
fn union(table: &mut Value) {
    let Some(kinds) = table.get("oneOf").and_then(Value::as_array) else { return };
    let kind = |table: &Value| table.pointer("/properties/kind/const").cloned();
    let names: Vec<Value> = kinds.iter().filter_map(kind).collect();
    if names.is_empty() {
        return;
    }
    let tables = kinds.iter().filter_map(|table| table.get("properties")?.as_object());
    let mut properties: Map<String, Value> =
        tables.flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
    properties.insert("kind".into(), json!({ "type": "string", "enum": names }));
    *table = json!({ "type": "object", "additionalProperties": false, "properties": properties });
}

fn schema<T: JsonSchema>() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut value = settings.into_generator().into_root_schema_for::<T>().to_value();
    tidy(&mut value);
    value
}

/// A choice of texts is an `enum`. Where a variant has a comment of its own, `schemars` writes a
/// `oneOf`: a constant for each such variant, and an `enum` of the others.
fn choice(schema: &mut Map<String, Value>) {
    let Some(forms) = schema.get("oneOf").and_then(Value::as_array) else { return };
    let texts = |form: &Value| match (form.get("const"), form.get("enum")) {
        (Some(text), _) => Some(vec![text.clone()]),
        (None, several) => several.and_then(Value::as_array).cloned(),
    };
    // None: tables told apart by `kind`.
    let Some(texts) = forms.iter().map(texts).collect::<Option<Vec<_>>>() else { return };
    for (key, value) in std::mem::take(schema) {
        if key == "oneOf" {
            schema.insert("type".into(), "string".into());
            schema.insert("enum".into(), texts.concat().into());
        } else {
            schema.insert(key, value);
        }
    }
}

/// TOML has no null: an optional key is simply not there. A description is a line for each
/// paragraph, wherever its comment is wrapped: table cells of the manual have room for no other.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::Array(types)) = map.get_mut("type") {
                types.retain(|name| name != "null");
                if let [one] = types.as_slice() {
                    let one = one.clone();
                    map.insert("type".into(), one);
                }
            }
            if let Some(Value::Array(choices)) = map.get_mut("enum") {
                choices.retain(|choice| !choice.is_null());
            }
            if let Some(Value::Array(any)) = map.get_mut("anyOf") {
                any.retain(|schema| schema.get("type").is_none_or(|name| name != "null"));
                if let [Value::Object(one)] = any.as_slice() {
                    let one = one.clone();
                    map.remove("anyOf");
                    for (key, value) in one {
                        map.entry(key).or_insert(value);
                    }
                }
            }
            choice(map);
            if let Some(Value::String(text)) = map.get_mut("description") {
                let paragraphs: Vec<String> =
                    text.split("\n\n").map(|lines| lines.replace('\n', " ")).collect();
                *text = paragraphs.join("\n\n");
            }
            map.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #![expect(dead_code, reason = "only their schemas are used")]

    use super::*;

    #[derive(JsonSchema)]
    #[schemars(rename_all = "kebab-case")]
    enum Plain {
        ReadOnly,
        ReadWrite,
    }

    #[derive(JsonSchema)]
    #[schemars(rename_all = "kebab-case")]
    enum Explained {
        /// Reads.
        ReadOnly,
        /// Reads and writes.
        ReadWrite,
    }

    #[derive(JsonSchema)]
    #[schemars(rename_all = "kebab-case")]
    enum Mixed {
        ReadOnly,
        /// Reads and writes.
        ReadWrite,
    }

    #[derive(JsonSchema)]
    struct Table<T> {
        /// What it may do.
        must: T,
        /// What it may do.
        may: Option<T>,
    }

    #[test]
    fn a_choice_is_an_enum_whatever_comments_its_variants_have() {
        let wanted = json!({
            "description": "What it may do.",
            "type": "string",
            "enum": ["read-only", "read-write"],
        });
        for schema in
            [schema::<Table<Plain>>(), schema::<Table<Explained>>(), schema::<Table<Mixed>>()]
        {
            let properties = &schema["properties"];
            assert_eq!(properties["must"], wanted);
            assert_eq!(properties["may"], wanted);
        }
    }
}
