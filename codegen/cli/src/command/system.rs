// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Finding the system, or the board, that the user means.

use std::path::{Path, PathBuf};

use crate::image::Workspace;

/// The TOML for a system: a path as it is, a name in configs/. The error says what there is.
pub fn find(workspace: &Workspace, choice: &Path) -> Result<PathBuf, String> {
    find_in(workspace, "configs", "system", choice)
}

/// The same of a board, in boards/.
pub fn find_board(workspace: &Workspace, choice: &Path) -> Result<PathBuf, String> {
    find_in(workspace, "boards", "board", choice)
}

fn find_in(
    workspace: &Workspace,
    room: &str,
    what: &str,
    choice: &Path,
) -> Result<PathBuf, String> {
    let is_path = choice.extension().is_some_and(|ending| ending == "toml")
        || choice.components().count() > 1;
    if is_path {
        return match choice.is_file() {
            true => Ok(choice.to_owned()),
            false => Err(format!("there is no file {}", choice.display())),
        };
    }
    let directory = workspace.root.join(room);
    // Not by with_extension, which would take hello.foo for hello.
    let path = directory.join(format!("{}.toml", choice.display()));
    if path.is_file() {
        return Ok(shown(&path));
    }
    let names = names(&directory).join(", ");
    Err(format!("there is no {what} \"{}\" in {room}/; there are: {names}", choice.display()))
}

/// The TOMLs in a directory, by name.
pub fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}

/// Relative to the current directory when it is below that, so that messages stay short.
fn shown(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_as_it_is() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let workspace = Workspace { target: root.join("target"), root };
        let found = |name: &str| find(&workspace, Path::new(name));
        assert!(found("hello").is_ok_and(|path| path.ends_with("configs/hello.toml")));
        for other in ["hello.foo", "hell", "hello.toml.toml", "."] {
            assert!(found(other).is_err(), "{other}");
        }
    }
}
