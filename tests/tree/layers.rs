// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The EL2 image is in layers: a folder calls only folders that its mod.rs names, and no two files
//! import each other, directly or through others.

use std::collections::{BTreeMap, BTreeSet};

use crate::files::{self, File};

/// Files of the image by module, such as `state::cpu`; `state` is the folder's mod.rs.
fn modules() -> BTreeMap<String, &'static File> {
    let manifests: Vec<&str> = files::all()
        .iter()
        .filter(|file| file.path.starts_with("hyp/") && file.path.ends_with("/Cargo.toml"))
        .map(File::folder)
        .collect();
    let is_crate =
        |path: &str| manifests.iter().any(|crate_| path.starts_with(&format!("{crate_}/")));
    files::all()
        .iter()
        .filter(|file| file.path.starts_with("hyp/") && file.is(&[".rs"]) && !is_crate(&file.path))
        .map(|file| {
            let path = file.path.trim_start_matches("hyp/").trim_end_matches(".rs");
            (path.trim_end_matches("/mod").replace('/', "::"), file)
        })
        .collect()
}

/// Folders that a folder's mod.rs says it may call.
fn allowed(module: &File) -> BTreeSet<String> {
    let says = "//! May call: ";
    let line = module.text.lines().find_map(|line| line.strip_prefix(says));
    let line = line.unwrap_or_else(|| panic!("{} has no line \"{says}\"", module.path));
    line.split('`').skip(1).step_by(2).map(ToString::to_string).collect()
}

/// Paths from the image's root that a file has, in imports or elsewhere.
fn paths(module: &str, text: &str) -> Vec<String> {
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let code: String = text
        .lines()
        .map(|line| line.split_once("//").map_or(line, |(code, _)| code))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut paths = Vec::new();
    for (root, prefix) in [("crate::", String::new()), ("super::", format!("{parent}::"))] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            if !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
                expand(&prefix, &code[at + root.len()..], &mut paths);
            }
        }
    }
    paths
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

/// Modules that each module imports.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let modules = modules();
    let file_of = |path: &str| {
        let mut path = path;
        loop {
            if modules.contains_key(path) {
                return Some(path.to_string());
            }
            path = path.rsplit_once("::")?.0;
        }
    };
    let imports = |module: &String, file: &File| {
        let paths = paths(module, &file.text);
        paths.iter().filter_map(|path| file_of(path)).filter(|other| other != module).collect()
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
    let modules = modules();
    let folders: BTreeSet<&str> = modules.keys().map(|module| folder(module)).collect();
    let layers: BTreeMap<String, BTreeSet<String>> = folders
        .iter()
        .filter(|folder| **folder != "main")
        .map(|folder| (folder.to_string(), allowed(modules[*folder])))
        .collect();
    let circles = in_circles(&layers);
    assert!(circles.is_empty(), "folders that may call each other: {circles:?}");
    let mut wrong = Vec::new();
    for (module, imports) in imports() {
        for import in imports {
            let (from, to) = (folder(&module), folder(&import));
            if from != "main" && from != to && !layers[from].contains(to) {
                wrong.push(format!("{module} imports {import}"));
            }
        }
    }
    assert!(wrong.is_empty(), "up, by what their mod.rs say: {wrong:#?}");
}

#[test]
fn no_files_import_each_other() {
    let imports = imports();
    let circles = in_circles(&imports);
    assert!(circles.is_empty(), "in circles: {circles:#?}");
    assert!(imports.values().map(BTreeSet::len).sum::<usize>() > 100, "the paths were not found");
}

#[test]
fn a_use_tree_has_these_paths() {
    let text = "use crate::state::{cpu::{self, Here}, ipi as other};\nuse super::pages;\n    \
                crate::io::halt::stop(x); // crate::boot\n    x::<super::Y>()";
    let paths = paths("io::console", text);
    let expected = [
        "state::cpu::self",
        "state::cpu::Here",
        "state::ipi",
        "io::halt::stop",
        "io::pages",
        "io::Y",
    ];
    assert_eq!(paths, expected);
}
