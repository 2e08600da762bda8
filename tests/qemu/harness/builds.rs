// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What no console can show: that the same sources give the same bytes, and wrong ones none; what
//! is not in an image.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bulkhead::image::rules;

/// A test's name, and the test.
pub type Test = (&'static str, fn() -> Result<(), String>);

pub const ALL: &[Test] = &[
    ("build::the_same_bytes_from_another_place", same_bytes),
    ("build::a_build_that_fails_leaves_no_image", no_image),
    ("build::what_no_image_may_have", rules_kept),
];

/// Files that must not depend on where or when they are built.
const COMPARED: [&str; 7] = [
    "bulkhead.elf",
    "bulkhead.bin",
    "bulkhead.bl33",
    "bulkhead.itb",
    "bulkhead.efi",
    "plan.json",
    "plan.txt",
];

/// Builds the demo here and from a copy of the tree elsewhere, with its own target directory.
fn same_bytes() -> Result<(), String> {
    let here = tests::root();
    run(tests::bulkhead().args(["image", "demo"]))?;
    let place = Place::new()?;
    let there = &place.0;
    copy_tree(here, there)?;
    // The same tool, but everything it builds is built anew from the other place's sources, this
    // tool's library included.
    run(tests::bulkhead()
        .args(["image", "demo"])
        .current_dir(there)
        .env("CARGO_TARGET_DIR", there.join("target")))?;
    for name in COMPARED {
        let path = Path::new("target/bulkhead/demo").join(name);
        let read = |root: &Path| {
            fs::read(root.join(&path)).map_err(|error| format!("{}: {error}", path.display()))
        };
        let (one, two) = (read(here)?, read(there)?);
        if let Some(at) = (0..one.len().max(two.len())).find(|&at| one.get(at) != two.get(at)) {
            return Err(format!(
                "{name}: {} and {} bytes, first different at {at:#x}",
                one.len(),
                two.len()
            ));
        }
    }
    Ok(())
}

/// A system that does not build, after one that did.
fn no_image() -> Result<(), String> {
    const SYSTEM: &str = "E602-payload-missing";
    let directory = tests::root().join("target/bulkhead").join(SYSTEM);
    let mut old = COMPARED[..5].iter().map(|name| directory.join(name));
    fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    for path in old.clone() {
        fs::write(&path, "old").map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let bad = format!("tests/bad/{SYSTEM}.toml");
    let output = tests::bulkhead().args(["image", &bad]).output();
    let built = output.map_err(|error| format!("bulkhead: {error}"))?.status.success();
    match old.find(|path| path.exists()) {
        _ if built => Err(format!("{bad} was built")),
        Some(path) => Err(format!("{} is still there", path.display())),
        None => Ok(()),
    }
}

/// Systems that have all of EL2 between them: exclusive and shared CPUs, modes, a virtual ITS,
/// PCIe, features.
const WHOLE: [&str; 6] = [
    "demo",
    "shared",
    "tests/qemu/systems/events-modes.toml",
    "tests/qemu/systems/features-modes.toml",
    "tests/qemu/systems/its-cyclic.toml",
    "tests/qemu/systems/linux-features.toml",
];

/// Every build checks the image's rules (`bulkhead::image::rules`); this shows that they see all of
/// EL2's code.
fn rules_kept() -> Result<(), String> {
    for system in WHOLE {
        run(tests::bulkhead().args(["image", system]))?;
        let name = Path::new(system).file_stem().unwrap_or_default();
        let path = tests::root().join("target/bulkhead").join(name).join("bulkhead.elf");
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let data = fs::read(&path).map_err(|error| failed(&error))?;
        let count = rules::look(&data).map_err(|broken| failed(&broken))?;
        if count < 4096 {
            return Err(failed(&format_args!("{count} instructions are not all of EL2")));
        }
    }
    Ok(())
}

/// A directory of our own that goes with us.
struct Place(PathBuf);

impl Place {
    fn new() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("bulkhead-elsewhere-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left behind in a temporary directory hurts nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Everything but what was built and git's own.
fn copy_tree(from: &Path, to: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", from.display());
    fs::create_dir_all(to).map_err(failed)?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            if name != "target" && name != ".git" {
                copy_tree(&path, &to.join(name))?;
            }
        } else {
            fs::copy(&path, to.join(name)).map_err(failed)?;
        }
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}
