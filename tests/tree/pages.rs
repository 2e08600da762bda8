// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Every file, link, command, scenario and item that a page names is there.

use std::fs;

use crate::files::{self, File};
use crate::names;

fn pages() -> impl Iterator<Item = &'static File> {
    files::all().iter().filter(|file| file.is(&[".md"]))
}

fn folders() -> Vec<&'static str> {
    let mut top: Vec<&str> =
        files::all().iter().filter_map(|file| Some(file.path.split_once('/')?.0)).collect();
    top.dedup();
    top
}

fn join(folder: &str, name: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in name.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// Fails with all that is missing.
fn none(missing: Vec<String>) {
    assert!(missing.is_empty(), "not there:\n{}", missing.join("\n"));
}

#[test]
fn every_path_in_a_page_exists() {
    let (top, mut missing, mut found) = (folders(), Vec::new(), 0);
    for page in pages() {
        let (prose, _) = names::split(&page.text);
        for name in names::quoted(&prose).filter(|name| names::is_path(name, &top)) {
            for name in names::expand(name) {
                let pattern = names::pattern(&name);
                let there = files::exists(&pattern)
                    || files::exists(&join(page.folder(), &pattern))
                    || !name.contains('/') && (pattern != name || files::is_somewhere(&name));
                if there { found += 1 } else { missing.push(format!("{}: {name}", page.path)) }
            }
        }
    }
    none(missing);
    assert!(found > 50, "{found} paths in all pages");
}

#[test]
fn every_link_leads_somewhere() {
    let mut missing = Vec::new();
    for page in pages() {
        let (prose, _) = names::split(&page.text);
        for link in names::links(&prose).filter(|link| !link.contains("://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = if path.is_empty() { page.path.clone() } else { join(page.folder(), path) };
            let text = fs::read_to_string(tests::root().join(&path)).unwrap_or_default();
            let headed = |line: &str| names::anchor(line.trim_start_matches('#').trim()) == anchor;
            let headings = || text.lines().filter(|line| line.starts_with('#'));
            if !files::exists(&path) || !anchor.is_empty() && !headings().any(headed) {
                missing.push(format!("{}: {link}", page.path));
            }
        }
    }
    none(missing);
}

/// Pages that sources, messages and TOMLs name.
#[test]
fn every_page_that_a_file_names_exists() {
    let mut missing = Vec::new();
    for file in files::all() {
        for (at, _) in file.text.match_indices("docs/") {
            let end = |letter: char| !letter.is_ascii_alphanumeric() && !"/-_.".contains(letter);
            let name = file.text[at..].split(end).next().unwrap_or_default();
            if name.ends_with(".md") && !files::exists(name) {
                missing.push(format!("{}: {name}", file.path));
            }
        }
    }
    none(missing);
}

/// `a::b`: the last name is defined somewhere, or begins a line as variants and fields do.
#[test]
fn every_item_in_a_page_is_defined() {
    const KINDS: [&str; 9] =
        ["fn", "mod", "struct", "enum", "trait", "const", "static", "type", "macro_rules!"];
    let sources = || files::all().iter().filter(|file| file.is(&[".rs"]));
    let defined = |name: &str| {
        files::is_somewhere(&format!("{name}.rs"))
            || sources().any(|file| {
                file.text.match_indices(name).any(|(at, _)| {
                    let before = file.text[..at].trim_end();
                    let rest = file.text[at + name.len()..].chars().next();
                    let ends =
                        !rest.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
                    let begins = file.text[..at].trim_end_matches(' ').ends_with('\n');
                    ends && (begins || KINDS.iter().any(|kind| before.ends_with(kind)))
                })
            })
    };
    let letters = |name: &str| name.chars().all(|l| l.is_ascii_alphanumeric() || l == '_');
    let mut missing = Vec::new();
    for page in pages() {
        let (prose, _) = names::split(&page.text);
        for name in names::quoted(&prose).filter(|name| name.contains("::")) {
            for name in names::expand(name) {
                let last = name.rsplit("::").next().unwrap_or_default().to_string();
                if letters(&last) && !defined(&last) {
                    missing.push(format!("{}: {name}", page.path));
                }
            }
        }
    }
    none(missing);
}

/// Scenarios in tables whose first column is headed `scenario`, and those that `just test` is
/// given.
#[test]
fn every_scenario_in_a_page_exists() {
    let mut missing = Vec::new();
    let mut look = |page: &File, name: &str| {
        if !files::exists(&format!("tests/qemu/scenarios/{}.toml", names::pattern(name))) {
            missing.push(format!("{}: {name}", page.path));
        }
    };
    for page in pages() {
        let mut scenarios = false;
        for line in page.text.lines() {
            let cell = line.strip_prefix("| ").and_then(|line| line.split(" |").next());
            let Some(cell) = cell else {
                scenarios &= line.starts_with("|");
                continue;
            };
            if cell == "scenario" {
                scenarios = true;
            } else if scenarios {
                let mut first = String::new();
                for name in names::quoted(cell) {
                    let name = match name.strip_prefix('-') {
                        Some(end) => format!("{first}-{end}"),
                        None => name.to_string(),
                    };
                    names::expand(&name).iter().for_each(|name| look(page, name));
                    first = if first.is_empty() { name } else { first };
                }
            }
        }
    }
    none(missing);
}

/// Commands: recipes of the Justfile, and systems of configs/.
#[test]
fn every_command_in_a_page_works() {
    let justfile = fs::read_to_string(tests::root().join("Justfile")).expect("there is a Justfile");
    let recipe = |name: &str| {
        let begins =
            |line: &str| line.strip_prefix(name).is_some_and(|l| l.starts_with([' ', ':']));
        justfile.lines().any(begins)
    };
    let mut missing = Vec::new();
    for page in pages() {
        let (prose, code) = names::split(&page.text);
        let prose = prose.replace('\n', " ");
        for command in names::quoted(&prose).chain(code.lines()) {
            for (_, command) in command.match_indices("just ").map(|(at, _)| command.split_at(at)) {
                let words = command.split(|letter: char| " `,;)\"".contains(letter));
                let mut words = words.filter(|word| !word.is_empty()).skip(1);
                let name = words.next().unwrap_or_default();
                let lower = name.starts_with(|letter: char| letter.is_ascii_lowercase());
                let system = words.next().filter(|_| ["run", "plan", "image"].contains(&name));
                let known = system.is_none_or(|system| {
                    !system.starts_with(|letter: char| letter.is_ascii_lowercase())
                        || files::exists(&format!("configs/{system}.toml"))
                });
                if lower && (!recipe(name) || !known) {
                    missing.push(format!("{}: {command}", page.path));
                }
            }
        }
    }
    none(missing);
}
