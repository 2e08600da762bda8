// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Files that inherit another: merged before the result is verified.
//!
//! 1. `inherit` names the parent, which may have a parent of its own.
//! 2. What `remove` names is taken out of the parent.
//! 3. Tables merge by key, lists of tables by `name`. Every other value replaces the parent's, and
//!    so does an empty list.
//!
//! Every value keeps its place: the positions of a parent follow those of the file that inherits it
//! ([`Sources::place`](crate::diag::Sources::place)).

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::files::{Files, shown};
use super::merge::{Node, merge, name, remove, shift};
use crate::diag::{FileId, rules};
use crate::model::At;
use crate::schema::json::Kind;
use crate::schema::verify::{Verify, list, near};

/// What makes a file an heir.
const KEYS: [&str; 2] = ["inherit", "remove"];

/// One file of a line of heirs.
struct Step {
    file: FileId,
    path: PathBuf,
    text: String,
    /// Where the file that inherits it names it.
    named: Option<At<()>>,
    removals: Vec<At<String>>,
}

/// The texts of a file and of all that it inherits, itself first.
pub struct Line {
    kind: Kind,
    steps: Vec<Step>,
}

impl Line {
    /// Reads the file at `path`, the one that it inherits, and so on. `named` is where another file
    /// names it.
    pub fn read(
        files: &mut Files,
        path: &Path,
        kind: Kind,
        named: Option<&At<()>>,
    ) -> Option<Self> {
        let mut line = Self { kind, steps: Vec::new() };
        let mut next = Some((path.to_owned(), named.cloned()));
        while let Some((path, named)) = next {
            let (text, file) = files.open(&path, kind, named.as_ref())?;
            let mut node = files.parse(&text, file)?;
            let Wishes { parent, removals } = wishes(files, &mut node, file, kind)?;
            drop(node);
            line.steps.push(Step { file, path, text, named, removals });
            next = match parent {
                Some(parent) => Some((line.parent(files, &parent)?, Some(parent.with(())))),
                None => None,
            };
        }
        Some(line)
    }

    /// The file that the last one inherits, unless it is in the line already.
    fn parent(&self, files: &mut Files, name: &At<String>) -> Option<PathBuf> {
        let path = files.named(self.kind, name)?;
        let Some(first) = self.steps.iter().position(|step| same(&step.path, &path)) else {
            return Some(path);
        };
        let mut cycle = rules::INHERIT_CYCLE
            .says(format!("the {} {} inherits itself", self.kind.name(), shown(&path).display()))
            .label(name, "this closes the circle");
        for named in self.steps.iter().skip(first + 1).filter_map(|step| step.named.as_ref()) {
            cycle = cycle.label(named, "by way of this");
        }
        files.push(cycle.help("leave `inherit` out of one of these files"));
        None
    }

    /// The first file's table with everything that it inherits, and the file by which its places
    /// are to be read.
    pub fn merged(&self, files: &mut Files) -> Option<(Node<'_>, FileId)> {
        let mut steps = self.steps.iter().rev();
        let oldest = steps.next()?;
        let mut merged = own(files, self.kind, oldest)?;
        let mut file = oldest.file;
        oldest.removals.iter().for_each(|path| removes_nothing(files, path, None));
        for step in steps {
            shift(&mut merged, files.report.sources.inherit(step.file, file));
            for path in &step.removals {
                let DeValue::Table(table) = merged.get_mut() else { continue };
                if !remove(table, path) {
                    removes_nothing(files, path, Some(table));
                }
            }
            merged = merge(merged, own(files, self.kind, step)?);
            file = step.file;
        }
        Some((merged, file))
    }
}

/// What a file says itself.
fn own<'t>(files: &mut Files, kind: Kind, step: &'t Step) -> Option<Node<'t>> {
    let mut node = files.parse(&step.text, step.file)?;
    KEYS.iter().for_each(|key| drop(take(&mut node, kind, key)));
    Some(node)
}

/// What a file says of the one that it inherits.
struct Wishes {
    parent: Option<At<String>>,
    removals: Vec<At<String>>,
}

fn same(one: &Path, other: &Path) -> bool {
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}

/// Takes `inherit` and `remove` out of a file. None when one is not what it should be; that has
/// been reported.
fn wishes(files: &mut Files, own: &mut Node<'_>, file: FileId, kind: Kind) -> Option<Wishes> {
    let mut verify = Verify { kind, file, report: &mut files.report, fit: true };
    let mut wish = |key: &str| {
        let (mut value, schema) = take(own, kind, key)?;
        verify.node(&mut value, schema, key);
        Some(value)
    };
    let text =
        |node: &Node<'_>| Some(At::new(node.get_ref().as_str()?.to_owned(), file, node.span()));
    let parent = wish(KEYS[0]).and_then(|value| text(&value));
    let removals = wish(KEYS[1])
        .map(|value| value.get_ref().as_array().into_iter().flatten().filter_map(text).collect());
    verify.fit.then(|| Wishes { parent, removals: removals.unwrap_or_default() })
}

/// Takes one of [`KEYS`] out of a file, if its kind has it.
fn take<'t>(node: &mut Node<'t>, kind: Kind, key: &str) -> Option<(Node<'t>, &'static Value)> {
    let schema = kind.schema().get("properties")?.get(key)?;
    match node.get_mut() {
        DeValue::Table(table) => Some((table.remove(key)?, schema)),
        _ => None,
    }
}

fn removes_nothing(files: &mut Files, path: &At<String>, parent: Option<&DeTable<'_>>) {
    let title = format!("there is no `{}` to remove", path.value);
    let nothing = rules::REMOVES_NOTHING.says(title);
    files.push(match parent {
        None => nothing.label(path, "this file inherits nothing").help("leave `remove` out"),
        Some(parent) => {
            let known = paths(parent);
            let help = match near(path, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => {
                    let keys = parent.keys().map(|key| key.get_ref().as_ref());
                    format!("it begins with one of {}", list(keys))
                }
            };
            nothing.label(path, "not in the file that is inherited").help(help)
        }
    });
}

/// What `remove` can say of a table's keys, and of the named entries of its lists.
fn paths(table: &DeTable<'_>) -> Vec<String> {
    let mut all = Vec::new();
    for (key, value) in table {
        let key = key.get_ref();
        all.push(key.to_string());
        match value.get_ref() {
            DeValue::Table(inner) => {
                all.extend(inner.keys().map(|inner| format!("{key}.{}", inner.get_ref())));
            }
            DeValue::Array(items) => {
                all.extend(items.iter().filter_map(name).map(|name| format!("{key}.{name}")));
            }
            _ => {}
        }
    }
    all
}
