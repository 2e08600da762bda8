// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A report as a SARIF 2.1.0 log, which code hosts show as annotations of a change.

use serde_json::{Value, json};

use super::{Diagnostic, Label, Report, Severity, rules};
use crate::bounds::DIAGNOSTICS;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

impl Report {
    /// One run with the rules that its results name, and as many results as a person is shown.
    /// Places are lines and columns counted from 1, columns in Unicode code points; files are as
    /// the user named them, relative to the root of the sources.
    pub fn sarif(&self) -> String {
        let shown = || self.diagnostics.iter().take(DIAGNOSTICS);
        let named = rules::ALL.iter().filter(|rule| shown().any(|d| d.id == rule.id));
        let rules: Vec<Value> = named.map(|rule| described(rule)).collect();
        let results: Vec<Value> = shown().map(|d| self.result(d)).collect();
        let log = json!({
            "$schema": SCHEMA,
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": "bulkhead",
                    "semanticVersion": env!("CARGO_PKG_VERSION"),
                    "rules": rules,
                } },
                "columnKind": "unicodeCodePoints",
                "results": results,
            }],
        });
        format!("{log:#}\n")
    }

    fn result(&self, diagnostic: &Diagnostic) -> Value {
        let text = match &diagnostic.help {
            Some(help) => format!("{}\n{help}", diagnostic.title),
            None => diagnostic.title.clone(),
        };
        let mut places = diagnostic.labels.iter().map(|label| self.location(label));
        let primary: Vec<Value> = places.next().into_iter().collect();
        let related: Vec<Value> = places.collect();
        json!({
            "ruleId": id(diagnostic.id),
            "level": level(diagnostic.severity),
            "message": { "text": text },
            "locations": primary,
            "relatedLocations": related,
        })
    }

    fn location(&self, label: &Label) -> Value {
        let (path, [start, end]) = self.range(label);
        json!({
            "physicalLocation": {
                "artifactLocation": { "uri": uri(&path), "uriBaseId": "%SRCROOT%" },
                "region": {
                    "startLine": start.line,
                    "startColumn": start.column,
                    "endLine": end.line,
                    "endColumn": end.column,
                },
            },
            "message": { "text": label.text },
        })
    }
}

fn described(rule: &rules::Rule) -> Value {
    let (id, name) = rule.id.split_once(' ').unwrap_or((rule.id, ""));
    json!({
        "id": id,
        "name": name,
        "shortDescription": { "text": rule.what },
        "defaultConfiguration": { "level": level(rule.severity) },
    })
}

fn id(id: &str) -> &str {
    id.split_once(' ').map_or(id, |(id, _)| id)
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// A path as a URI reference (RFC 3986): what a segment may not have is escaped.
fn uri(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/+@,=".contains(&byte);
    let mut out = String::new();
    for byte in path.bytes() {
        match plain(byte) {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::Sources;
    use super::*;

    #[test]
    fn a_log_names_rule_place_and_both_parties() {
        let mut sources = Sources::default();
        let file = sources.add("my system/ü.toml".into(), "a = 1\n\u{fc} = two\n".into());
        let mut report = Report { sources, ..Report::default() };
        report.push(
            rules::UNKNOWN_VM
                .says("there is no VM two")
                .label_span(file, 11..14, "named here")
                .label_span(file, 0..1, "others are here")
                .help("write one"),
        );
        let log: Value = serde_json::from_str(&report.sarif()).unwrap();
        let run = &log["runs"][0];
        assert_eq!(run["tool"]["driver"]["rules"][0]["id"], "E105");
        assert_eq!(run["tool"]["driver"]["rules"].as_array().unwrap().len(), 1);
        let result = &run["results"][0];
        assert_eq!(result["ruleId"], "E105");
        assert_eq!(result["message"]["text"], "there is no VM two\nwrite one");
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "my%20system/%C3%BC.toml");
        let wanted = json!({ "startLine": 2, "startColumn": 5, "endLine": 2, "endColumn": 8 });
        assert_eq!(place["region"], wanted);
        assert_eq!(result["relatedLocations"][0]["message"]["text"], "others are here");
    }

    #[test]
    fn no_diagnostics_are_a_run_without_results() {
        let log: Value = serde_json::from_str(&Report::default().sarif()).unwrap();
        assert_eq!(log["runs"][0]["results"], json!([]));
    }
}
