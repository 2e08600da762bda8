// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A report as text with carets, or as JSON.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};

use super::{Diagnostic, FileId, Label, Place, Report, Severity, Sources};
use crate::bounds::DIAGNOSTICS;

impl Report {
    /// For a person; `colour` for a terminal. Ends with a line that counts errors and warnings.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for diagnostic in self.diagnostics.iter().take(DIAGNOSTICS) {
            text.push_str(&renderer.render(&[group(diagnostic, &self.sources)]));
            text.push_str("\n\n");
        }
        let more = self.diagnostics.len().saturating_sub(DIAGNOSTICS);
        if more > 0 {
            text.push_str(&format!("... and {more} more, shown when those above are gone\n\n"));
        }
        let count = |severity| self.diagnostics.iter().filter(|d| d.severity == severity).count();
        let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let counts: Vec<String> = [(Severity::Error, "error"), (Severity::Warning, "warning")]
            .into_iter()
            .filter(|(severity, _)| count(*severity) > 0)
            .map(|(severity, what)| plural(count(severity), what))
            .collect();
        if !counts.is_empty() {
            text.push_str(&counts.join(", "));
            if self.partial {
                text.push_str("; fix this to see what else is wrong");
            }
            text.push('\n');
        }
        text
    }

    /// For a program: an array of diagnostics, as many as a person is shown, each with its places
    /// as file, line and column, counted from 1.
    pub fn json(&self) -> String {
        let shown = self.diagnostics.iter().take(DIAGNOSTICS);
        let all: Vec<Value> = shown.map(|d| self.value(d)).collect();
        let mut text = serde_json::to_string_pretty(&all).unwrap_or_default();
        text.push('\n');
        text
    }

    fn value(&self, diagnostic: &Diagnostic) -> Value {
        let labels: Vec<Value> = diagnostic.labels.iter().map(|l| self.place(l)).collect();
        let (id, name) = diagnostic.id.split_once(' ').unwrap_or((diagnostic.id, ""));
        json!({
            "id": id,
            "name": name,
            "severity": match diagnostic.severity { Severity::Error => "error", Severity::Warning => "warning" },
            "title": diagnostic.title,
            "labels": labels,
            "help": diagnostic.help,
        })
    }

    fn place(&self, label: &Label) -> Value {
        let (file, [start, end]) = self.range(label);
        json!({
            "file": file,
            "line": start.line,
            "column": start.column,
            "start": start.byte,
            "end": end.byte,
            "text": label.text,
        })
    }

    /// The file of a label, and where in it the label begins and ends.
    pub(super) fn range(&self, label: &Label) -> (String, [Position; 2]) {
        let place = self.sources.place(label.file, &label.span);
        let text = &place.source.text;
        let span = clamp(text, &place.span);
        let ends = [span.start, span.end].map(|byte| Position::of(text, byte));
        (place.source.path.display().to_string(), ends)
    }
}

/// A place in a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    /// From the start of the text.
    pub byte: usize,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

impl Position {
    /// `byte`: on a character's boundary.
    fn of(text: &str, byte: usize) -> Self {
        let before = &text[..byte];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Self { byte, line, column }
    }
}

/// One diagnostic: its title, one snippet for each file it points into, and its help.
fn group<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(&diagnostic.title).id(diagnostic.id));
    let places = diagnostic.labels.iter().map(|label| sources.place(label.file, &label.span));
    let places: Vec<Place<'_>> = places.collect();
    let mut files: Vec<FileId> = Vec::new();
    for place in &places {
        if !files.contains(&place.file) {
            files.push(place.file);
        }
    }
    for file in files {
        let source = sources.get(file);
        let mut snippet = Snippet::source(&source.text).path(source.path.display().to_string());
        let labels = places.iter().zip(&diagnostic.labels).enumerate();
        for (n, (place, label)) in labels.filter(|(_, (place, _))| place.file == file) {
            let kind = if n == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            let span = clamp(&source.text, &place.span);
            snippet = snippet.annotation(kind.span(span).label(&label.text));
        }
        group = group.element(snippet);
    }
    match &diagnostic.help {
        Some(help) => group.element(Level::HELP.message(help)),
        None => group,
    }
}

/// A span that is certain to lie in the text, on characters' boundaries.
fn clamp(text: &str, span: &Range<usize>) -> Range<usize> {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(span.start);
    start..floor(span.end).max(start)
}
