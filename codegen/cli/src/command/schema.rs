// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `bulkhead schema`: files that are generated from the formats, the rules and the boards.

mod boards;
mod scenario;

use std::process::ExitCode;

use super::{Done, Failure};
use crate::image::Workspace;
use codegen::build::write;
use codegen::schema::manual::generated;

/// Writes them, or compares them.
pub fn write_all(workspace: &Workspace, check: bool) -> Done {
    let mut files = generated();
    files.extend(boards::pages(&workspace.root).map_err(Failure::Other)?);
    let mut stale = Vec::new();
    for (name, text) in &files {
        let path = workspace.root.join(name);
        if std::fs::read(&path).is_ok_and(|old| old == text.as_bytes()) {
            continue;
        }
        if check {
            stale.push(name.as_str());
            continue;
        }
        write(&workspace.root, name, text.as_bytes())
            .map_err(|error| Failure::Other(error.to_string()))?;
        super::say(&format!("{name}\n"))?;
    }
    match stale.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => Err(Failure::Other(format!(
            "not up to date, `just schema` writes them: {}",
            stale.join(", ")
        ))),
    }
}
