// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Images, each built once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bulkhead::run::Machine;
use codegen::model::{Board, System};

/// A system that is built, or why it is not.
pub type Built = Result<Image, String>;

/// A system that is built.
#[derive(Clone)]
pub struct Image {
    pub machine: Machine,
    pub board: Arc<Board>,
    /// The control character that begins a console command.
    pub escape: u8,
    /// target/bulkhead/SYSTEM/bulkhead.bin.
    pub binary: PathBuf,
}

/// Images by system; the first who asks builds.
pub struct Images {
    built: Mutex<HashMap<String, Arc<OnceLock<Built>>>>,
}

impl Images {
    pub fn new() -> Self {
        Self { built: Mutex::new(HashMap::new()) }
    }

    /// The image of a system in configs/ or tests/qemu/systems/, built if it is not yet.
    pub fn get(&self, system: &str) -> Built {
        let slot = {
            let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(built.entry(system.to_owned()).or_default())
        };
        slot.get_or_init(|| build(system)).clone()
    }
}

/// Where a system's TOML is.
pub fn find(system: &str) -> Result<PathBuf, String> {
    let file = format!("{system}.toml");
    ["configs", "tests/qemu/systems"]
        .iter()
        .map(|directory| tests::root().join(directory).join(&file))
        .find(|path| path.exists())
        .ok_or_else(|| format!("{file} is neither in configs/ nor in tests/qemu/systems/"))
}

fn build(system: &str) -> Built {
    let path = find(system)?;
    // Device trees and overlays beside it: SYSTEM.*.dts.
    tests::compile_trees(path.parent().unwrap_or(Path::new("")), &format!("{system}."))?;
    let output = tests::bulkhead()
        .arg("image")
        .arg(&path)
        .output()
        .map_err(|error| format!("bulkhead does not start: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("bulkhead image {system}: {}\n{said}", output.status));
    }
    describe(&path)
}

fn describe(path: &Path) -> Built {
    let system: System =
        codegen::load(path).map_err(|_| format!("{}: does not load", path.display()))?;
    let machine = Machine::of(&system).ok_or("the board has no [qemu]")?;
    let directory = tests::root().join("target/bulkhead").join(system.name.value.as_str());
    Ok(Image {
        machine,
        escape: system.escape.value,
        binary: directory.join("bulkhead.bin"),
        board: Arc::new(system.board),
    })
}
