// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Finds, reads and parses the TOML files of one system.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::inherit::Line;
use super::merge::Node;
use crate::bounds;
use crate::diag::{Diagnostic, FileId, Report, Rule, rules};
use crate::model::At;
use crate::schema::json::Kind;
use crate::schema::verify::{Verify, list, near};

/// Why a name stands for no file.
pub struct NotFound {
    /// Several files could be meant, and not none.
    several: bool,
    help: String,
}

impl NotFound {
    pub fn said(self, rule: &'static Rule, kind: Kind, name: &At<String>) -> Diagnostic {
        let (many, label) = match self.several {
            false => ("no", format!("not found in {}/", kind.room())),
            true => ("more than one", format!("several in {}/", kind.room())),
        };
        let title = format!("there is {many} {} \"{}\"", kind.name(), name.value);
        rule.says(title).label(name, label).help(self.help)
    }
}

/// The files read so far, and what was wrong with them.
pub struct Files {
    pub report: Report,
    /// The system TOML.
    pub system: PathBuf,
}

impl Files {
    pub fn new(system: &Path) -> Self {
        Self { report: Report::default(), system: system.to_owned() }
    }

    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.report.push(diagnostic);
    }

    /// Read one file and what it inherits. `named` is where another file names it.
    pub fn read<T: DeserializeOwned>(
        &mut self,
        path: &Path,
        kind: Kind,
        named: Option<&At<()>>,
    ) -> Option<(T, FileId)> {
        let line = Line::read(self, path, kind, named)?;
        let (node, file) = line.merged(self)?;
        Some((self.verified(node, file, kind)?, file))
    }

    /// The text of one file.
    pub fn open(
        &mut self,
        path: &Path,
        kind: Kind,
        named: Option<&At<()>>,
    ) -> Option<(String, FileId)> {
        let text = match bounds::read(path, bounds::TOML)
            .and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other))
        {
            Ok(text) => text,
            Err(error) => {
                self.unreadable(path, kind, &error, named);
                return None;
            }
        };
        let file = self.report.sources.add(shown(path), text);
        let text = self.report.sources.get(file).text.clone();
        Some((text, file))
    }

    fn unreadable(&mut self, path: &Path, kind: Kind, error: &io::Error, named: Option<&At<()>>) {
        let why = match error.kind() {
            io::ErrorKind::NotFound => "there is no such file".into(),
            io::ErrorKind::Other => "it is not UTF-8".into(),
            _ => error.to_string(),
        };
        let title = format!("cannot read the {} {}: {why}", kind.name(), shown(path).display());
        let diagnostic = rules::UNREADABLE.says(title);
        self.push(match named {
            Some(at) => {
                let help = format!("write the path of a {}, relative to this file", kind.name());
                diagnostic.label(at, "named here").help(help)
            }
            None => diagnostic.help("give the name of a system in configs/, or a path to its TOML"),
        });
    }

    /// What a text says, when it is TOML.
    pub fn parse<'t>(&mut self, text: &'t str, file: FileId) -> Option<Node<'t>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut line = None;
        let mut errors: Vec<_> =
            errors.iter().map(|e| (e.span().unwrap_or_default(), e.message())).collect();
        errors.sort_by_key(|(span, _)| (span.start, span.end));
        for (span, message) in &errors {
            // One mistake often gives several errors: the first on each line tells it.
            let here = text.as_bytes()[..span.start.min(text.len())]
                .iter()
                .filter(|b| **b == b'\n')
                .count();
            if line.replace(here) != Some(here) {
                let syntax = rules::SYNTAX.says(message.to_string());
                let help = "a line is `key = value`, `[table]` or `[[table]]`; a value is \
                            \"text\", a number, true, false, [list] or { table }";
                self.push(syntax.label_span(file, span.clone(), "not TOML").help(help));
            }
        }
        if !errors.is_empty() {
            return None;
        }
        Some(Spanned::new(table.span(), DeValue::Table(table.into_inner())))
    }

    /// What a table means, when it is as its schema says.
    pub fn verified<T: DeserializeOwned>(
        &mut self,
        mut node: Node<'_>,
        file: FileId,
        kind: Kind,
    ) -> Option<T> {
        let span = node.span();
        let mut verify = Verify { kind, file, report: &mut self.report, fit: true };
        verify.file(&mut node);
        if !verify.fit {
            return None;
        }
        T::deserialize(toml::de::ValueDeserializer::from(node))
            .map_err(|error| {
                // The schema and serde disagree about something: never seen, but told if it is.
                let value = rules::WRONG_VALUE.says(error.message().to_string());
                self.push(value.label_span(file, error.span().unwrap_or(span), "this value"));
            })
            .ok()
    }

    /// The file that a system or a board names: a path ending in .toml relative to the file that
    /// has it, or a name in the kind's room.
    pub fn named(&mut self, kind: Kind, name: &At<String>) -> Option<PathBuf> {
        if name.ends_with(".toml") {
            return Some(self.directory(name).join(&name.value));
        }
        let found = self.find(kind.room(), name, ".toml");
        found.map_err(|not| self.push(not.said(&rules::UNKNOWN_BOARD, kind, name))).ok()
    }

    /// The directory of the file in which something is written.
    pub fn directory<T>(&self, at: &At<T>) -> PathBuf {
        let place = self.report.sources.place(at.file, &at.span);
        place.source.path.parent().unwrap_or(Path::new("")).to_owned()
    }

    /// The file that `name` stands for: `ROOM/name...` or `ROOM/GROUP/name...`, upward from the
    /// system TOML and then from the current directory.
    pub fn find(&self, room: &str, name: &str, rest: &str) -> Result<PathBuf, NotFound> {
        let mut known: Option<Vec<String>> = None;
        for directory in self.upward() {
            let room = directory.join(room);
            let rooms = std::iter::once(room.clone()).chain(groups(&room));
            let paths = rooms.map(|room| room.join(format!("{name}{rest}")));
            let mut found: Vec<PathBuf> = paths.filter(|path| path.is_file()).collect();
            match (found.pop(), found.first()) {
                (Some(path), None) => return Ok(path),
                (Some(path), Some(other)) => {
                    let (path, other) = (shown(&path), shown(other));
                    let (other, path) = (other.display(), path.display());
                    let help = format!("rename {other} or {path}");
                    return Err(NotFound { several: true, help });
                }
                (None, _) => {}
            }
            if known.is_none() && room.is_dir() {
                let mut names = entries(&room, rest);
                names.extend(groups(&room).iter().flat_map(|group| entries(group, rest)));
                names.sort();
                known = Some(names);
            }
        }
        let known = known.unwrap_or_default();
        let names = known.iter().map(String::as_str);
        let help = match near(name, names.clone()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if known.is_empty() => format!("write {room}/{name}{rest}"),
            None => format!("{room}/ has {}", list(names)),
        };
        Err(NotFound { several: false, help })
    }

    fn upward(&self) -> Vec<PathBuf> {
        let here = env::current_dir().unwrap_or_default();
        let system = here.join(&self.system);
        let from_system = system.ancestors().skip(1);
        from_system.chain(here.ancestors()).map(Path::to_owned).collect()
    }
}

/// The directories in a directory, sorted: a room may keep its files in groups.
fn groups(room: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(room).into_iter().flatten().flatten();
    let mut groups: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    groups.sort();
    groups
}

/// Names for which `ROOM/NAME` + `rest` is a file, sorted.
fn entries(room: &Path, rest: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(room)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .map(|name| name.strip_suffix(rest).map(str::to_owned).unwrap_or(name))
        .filter(|name| room.join(format!("{name}{rest}")).is_file())
        .collect();
    names.sort();
    names
}

/// A path as the user would write it.
pub fn shown(path: &Path) -> PathBuf {
    let here = env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).to_owned()
}
