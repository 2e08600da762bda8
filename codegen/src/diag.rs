// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Diagnostics: what is wrong, where, with whom, and what to write instead.
//!
//! A rule pushes [`Diagnostic`]s on a [`Report`]; the report sorts them by place, so that the order
//! never depends on the order of the rules, and renders them for a person, as JSON or as SARIF.
//! Texts and positions are all it knows.

mod render;
pub mod rules;
mod sarif;

pub use rules::Rule;

use std::ops::Range;
use std::path::PathBuf;

use crate::model::At;

/// A file that was read; indexes [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub(crate) usize);

/// The text of all files read for one system.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
}

#[derive(Clone, Debug)]
pub struct Source {
    /// As shown to the user.
    pub path: PathBuf,
    pub text: String,
    /// The file that it inherits.
    parent: Option<FileId>,
}

/// A range of one file's bytes.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    pub file: FileId,
    pub source: &'a Source,
    pub span: Range<usize>,
}

impl<'a> Place<'a> {
    /// What is written there.
    pub fn text(&self) -> &'a str {
        self.source.text.get(self.span.clone()).unwrap_or_default()
    }
}

impl Sources {
    pub fn add(&mut self, path: PathBuf, text: String) -> FileId {
        self.files.push(Source { path, text, parent: None });
        FileId(self.files.len() - 1)
    }

    pub fn get(&self, file: FileId) -> &Source {
        &self.files[file.0]
    }

    /// Has the positions of `parent` follow those of `file`, which inherits it. Returns by how much
    /// a span of `parent` moves, so that it means the same bytes as a span of `file`.
    pub fn inherit(&mut self, file: FileId, parent: FileId) -> usize {
        let source = &mut self.files[file.0];
        source.parent = Some(parent);
        source.text.len() + 1
    }

    /// The file that a file inherits.
    pub fn parent(&self, file: FileId) -> Option<FileId> {
        self.get(file).parent
    }

    /// The bytes that a span of `file` means: its own, or those of a file that it inherits.
    pub fn place(&self, mut file: FileId, span: &Range<usize>) -> Place<'_> {
        let (mut start, mut end) = (span.start, span.end);
        let mut source = self.get(file);
        while let (true, Some(parent)) = (start > source.text.len(), source.parent) {
            start -= source.text.len() + 1;
            end -= source.text.len() + 1;
            file = parent;
            source = self.get(file);
        }
        Place { file, source, span: start..end }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.files.iter()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
}

/// A place and what to say there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    pub file: FileId,
    pub span: Range<usize>,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable id and name of the rule, as "E201 memory-overlap".
    pub id: &'static str,
    pub severity: Severity,
    pub title: String,
    /// The first is the primary one.
    pub labels: Vec<Label>,
    pub help: Option<String>,
}

impl Diagnostic {
    /// One more place; the first one given is the primary one.
    pub fn label<T>(self, at: &At<T>, text: impl Into<String>) -> Self {
        self.label_span(at.file, at.span.clone(), text)
    }

    pub fn label_span(mut self, file: FileId, span: Range<usize>, text: impl Into<String>) -> Self {
        self.labels.push(Label { file, span, text: text.into() });
        self
    }

    /// What to write instead.
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }
}

/// All that was found in one run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub sources: Sources,
    pub diagnostics: Vec<Diagnostic>,
    /// A file could not be read to its end, so that the rules of the whole system were not tried.
    pub partial: bool,
}

impl Report {
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|d| d.severity == Severity::Error)
    }

    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Sort by place and leave out what was said twice.
    pub fn sort(&mut self) {
        self.diagnostics.sort_by(|a, b| {
            let key = |d: &Diagnostic| d.labels.first().map(|l| (l.file, l.span.start, l.span.end));
            key(a).cmp(&key(b)).then(a.id.cmp(b.id)).then_with(|| a.title.cmp(&b.title))
        });
        self.diagnostics.dedup();
    }
}
