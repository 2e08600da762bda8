// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The EL2 image is in layers: a folder calls only folders that its mod.rs names. No two files of a
//! crate at EL2 import each other, directly or through others.

use std::collections::{BTreeMap, BTreeSet};

use crate::files::{self, File};

/// Crates whose files must not import each other, by the folder that has their root.
const CRATES: [&str; 8] = [
    "hyp",
    "hyp/arch/src",
    "hyp/sched/src",
    "hyp/smmu/src",
    "hyp/uart/src",
    "hyp/vm/src",
    "hyp/abi/src",
    "gicv4/src",
];

/// Files of a crate by module, such as `state::cpu`; `state` is the folder's mod.rs, "" the crate's
/// root. Without tests, and what only they use: a model is one state machine in several files.
fn modules(root: &str) -> BTreeMap<String, &'static File> {
    let inside = |file: &&File| file.path.starts_with(&format!("{root}/"));
    let manifests: Vec<&str> = files::all()
        .iter()
        .filter(inside)
        .filter(|file| file.path.ends_with("/Cargo.toml"))
        .map(File::folder)
        .collect();
    let is_crate =
        |path: &str| manifests.iter().any(|crate_| path.starts_with(&format!("{crate_}/")));
    let is_test =
        |module: &str| module.split("::").any(|part| ["tests", "testing", "model"].contains(&part));
    files::all()
        .iter()
        .filter(inside)
        .filter(|file| file.is(&[".rs"]) && !is_crate(&file.path))
        .map(|file| {
            let path = file.path[root.len() + 1..].trim_end_matches(".rs");
            let path = if matches!(path, "main" | "lib") { "" } else { path };
            (path.trim_end_matches("/mod").replace('/', "::"), file)
        })
        .filter(|(module, _)| !is_test(module))
        .collect()
}

/// Folders that a folder's mod.rs says it may call.
fn allowed(module: &File) -> BTreeSet<String> {
    let says = "//! May call: ";
    let line = module.text.lines().find_map(|line| line.strip_prefix(says));
    let line = line.unwrap_or_else(|| panic!("{} has no line \"{says}\"", module.path));
    line.split('`').skip(1).step_by(2).map(ToString::to_string).collect()
}

/// Without comments, and without tests at the end.
fn code(text: &str) -> String {
    let text = text.split_once("#[cfg(test)]\nmod tests {").map_or(text, |(code, _)| code);
    text.lines()
        .map(|line| line.split_once("//").map_or(line, |(code, _)| code))
        .flat_map(|line| [line, "\n"])
        .collect()
}

fn within(module: &str) -> String {
    if module.is_empty() { String::new() } else { format!("{module}::") }
}

/// Where `crate::`, `super::` and `self::` begin, in a module.
fn roots(module: &str) -> [(&'static str, String); 3] {
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    [("crate::", String::new()), ("super::", within(parent)), ("self::", within(module))]
}

/// The line gives a path on: `pub use`, `pub(crate) use`.
fn gives_on(line: &str) -> bool {
    let scope = line.strip_prefix("pub").unwrap_or("-");
    let scope = scope.split_once(')').map_or(scope, |(_, behind)| behind);
    scope.starts_with(" use ")
}

/// Paths from the crate's root that a file has, in imports or elsewhere. `children`: its modules,
/// which it names without a prefix.
fn paths(module: &str, children: &[&str], text: &str) -> Vec<String> {
    let code = code(text);
    let mut paths = Vec::new();
    for (root, prefix) in roots(module) {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            let line = code[..at].rsplit('\n').next().unwrap_or_default().trim_start();
            let begins = !before.is_some_and(|c| c.is_alphanumeric() || "_:".contains(c));
            if begins && !gives_on(line) {
                expand(&prefix, &code[at + root.len()..], &mut paths);
            }
        }
    }
    for line in code.split('\n').filter_map(|line| line.strip_prefix("use ")) {
        if children
            .iter()
            .any(|child| line.strip_prefix(child).is_some_and(|l| l.starts_with("::")))
        {
            expand(&within(module), line, &mut paths);
        }
    }
    paths
}

/// What a file gives on under another path: by its last name, the path where it is.
fn given_on(module: &str, text: &str) -> BTreeMap<String, String> {
    let code = code(text);
    let mut given = BTreeMap::new();
    for (at, _) in code.match_indices(" use ") {
        let line = code[..at].rsplit('\n').next().unwrap_or_default();
        let tree = &code[at + 5..];
        if !gives_on(&format!("{line} use ")) {
            continue;
        }
        let mut paths = Vec::new();
        match roots(module).iter().find(|(root, _)| tree.starts_with(root)) {
            Some((root, prefix)) => expand(prefix, &tree[root.len()..], &mut paths),
            None => expand(&within(module), tree, &mut paths),
        };
        for path in paths {
            let name = path.rsplit("::").next().unwrap_or_default().to_string();
            given.insert(name, path);
        }
    }
    given
}

/// The paths of a `use` tree, or the one that stands elsewhere. What is left behind it.
fn expand<'a>(prefix: &str, tree: &'a str, paths: &mut Vec<String>) -> &'a str {
    let mut rest = tree.trim_start();
    let mut path = prefix.to_string();
    loop {
        if let Some(mut inner) = rest.strip_prefix('{') {
            loop {
                inner = expand(&path, inner, paths).trim_start();
                inner = inner.trim_start_matches(',').trim_start();
                match inner.strip_prefix('}') {
                    Some(behind) => return behind,
                    None if inner.is_empty() => return inner,
                    None => {}
                }
            }
        }
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '*');
        let end = end.unwrap_or(rest.len());
        if rest.starts_with("super::") {
            path = within(path.trim_end_matches("::").rsplit_once("::").map_or("", |(up, _)| up));
            rest = &rest[end + 2..];
            continue;
        }
        path.push_str(&rest[..end]);
        rest = &rest[end..];
        match rest.strip_prefix("::") {
            Some(further) if !further.starts_with('<') => {
                path.push_str("::");
                rest = further;
            }
            _ => break,
        }
    }
    paths.push(path);
    // `as` and what it names.
    let end = rest.find([',', '}', ';', '\n']).unwrap_or(rest.len());
    &rest[end..]
}

/// Modules that each module imports. A name that is given on counts as where it is.
fn imports(root: &str) -> BTreeMap<String, BTreeSet<String>> {
    let modules = modules(root);
    let given: BTreeMap<&String, BTreeMap<String, String>> =
        modules.iter().map(|(module, file)| (module, given_on(module, &file.text))).collect();
    let file_of = |path: &str| {
        let mut path = path.to_string();
        // Nothing is given on through more modules than there are.
        for _ in 0..modules.len() {
            let mut module = path.as_str();
            while !modules.contains_key(module) {
                module = module.rsplit_once("::").map_or("", |(parent, _)| parent);
            }
            let name = path[module.len()..].trim_start_matches("::");
            let name = name.split("::").next().unwrap_or_default();
            match given[&module.to_string()].get(name) {
                Some(further) if *further != path => path = further.clone(),
                // The file's own, such as a macro.
                _ => return module.to_string(),
            }
        }
        panic!("{path} is given on in a circle");
    };
    let imports = |module: &String, file: &File| {
        let children: Vec<&str> = modules
            .keys()
            .filter_map(|other| other.strip_prefix(&within(module)))
            .filter(|child| !child.is_empty() && !child.contains("::"))
            .collect();
        let paths = paths(module, &children, &file.text);
        paths.iter().map(|path| file_of(path)).filter(|other| other != module).collect()
    };
    modules.iter().map(|(module, file)| (module.clone(), imports(module, file))).collect()
}

fn folder(module: &str) -> &str {
    module.split_once("::").map_or(module, |(folder, _)| folder)
}

/// All that can be reached from `start`.
fn reached(graph: &BTreeMap<String, BTreeSet<String>>, start: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![start.to_string()];
    while let Some(module) = open.pop() {
        for next in graph.get(&module).into_iter().flatten() {
            if reached.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    reached
}

fn in_circles(graph: &BTreeMap<String, BTreeSet<String>>) -> Vec<&String> {
    graph.keys().filter(|module| reached(graph, module).contains(*module)).collect()
}

#[test]
fn a_folder_calls_what_it_says() {
    let modules = modules("hyp");
    let folders: BTreeSet<&str> = modules.keys().map(|module| folder(module)).collect();
    let layers: BTreeMap<String, BTreeSet<String>> = folders
        .iter()
        .filter(|folder| !folder.is_empty())
        .map(|folder| (folder.to_string(), allowed(modules[*folder])))
        .collect();
    let circles = in_circles(&layers);
    assert!(circles.is_empty(), "folders that may call each other: {circles:?}");
    let mut wrong = Vec::new();
    for (module, mut imports) in imports("hyp") {
        // What it gives on, it may use itself.
        imports.extend(given_on(&module, &modules[&module].text).into_values());
        for import in imports {
            let (from, to) = (folder(&module), folder(&import));
            if !from.is_empty() && from != to && !layers[from].contains(to) {
                wrong.push(format!("{module} imports {import}"));
            }
        }
    }
    assert!(wrong.is_empty(), "up, by what their mod.rs say: {wrong:#?}");
}

#[test]
fn no_files_import_each_other() {
    let mut found = 0;
    for root in CRATES {
        let imports = imports(root);
        let circles = in_circles(&imports);
        assert!(circles.is_empty(), "{root}, in circles: {circles:#?}");
        found += imports.values().map(BTreeSet::len).sum::<usize>();
    }
    assert!(found > 300, "the paths were not found: {found}");
}

#[test]
fn a_use_tree_has_these_paths() {
    let text = "use crate::state::{cpu::{self, Here}, ipi as other};\nuse super::pages;\n    \
                crate::io::halt::stop(x); // crate::boot\n    x::<super::Y>()\n\
                use super::super::exits::z;\nuse super::super::{run::y, cpu};\n\
                use self::super::super::life;\npub fn f() -> crate::boot::B {}\n\
                ($x:expr) => { $crate::gic::its::g($x) };\npub(crate) use crate::boot::b;\n";
    let paths = paths("io::console", &[], text);
    let expected = [
        "state::cpu::self",
        "state::cpu::Here",
        "state::ipi",
        "io::halt::stop",
        "boot::B",
        "gic::its::g",
        "io::pages",
        "io::Y",
        "exits::z",
        "run::y",
        "cpu",
        "life",
    ];
    assert_eq!(paths, expected);
    let given = given_on("io::console", text);
    assert_eq!(given.into_values().collect::<Vec<_>>(), ["boot::b"]);
}

/// A path by another name would not be found.
#[test]
fn the_roots_have_no_other_names() {
    const OTHERS: [&str; 5] =
        ["crate as", "super as", "use self as", "extern crate self", "#[path"];
    for file in CRATES.iter().flat_map(|root| modules(root).into_values()) {
        let code = code(&file.text);
        for other in OTHERS {
            let is_there = code.match_indices(other).any(|(at, _)| {
                let before = code[..at].chars().next_back();
                !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
            });
            assert!(!is_there, "{}: {other}", file.path);
        }
    }
}
