// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What host suites and QEMU scenarios share: where the tree is, and the command line tool.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The repository's top directory.
pub fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        here.parent().unwrap_or(here).to_path_buf()
    })
}

/// The `bulkhead` command, built from this tree.
///
/// # Panics
/// When it does not build: there is nothing left to test then.
pub fn bulkhead() -> Command {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| {
        let output = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "bulkhead", "--bin", "bulkhead"])
            .args(["--message-format", "json-render-diagnostics"])
            .current_dir(root())
            .output()
            .expect("cargo starts");
        let text = String::from_utf8_lossy(&output.stdout);
        let messages = text.lines().filter_map(|line| line.split_once("\"executable\":\""));
        let path = messages.filter_map(|(_, rest)| rest.split('"').next()).next_back();
        PathBuf::from(path.unwrap_or_else(|| {
            panic!("bulkhead does not build:\n{}", String::from_utf8_lossy(&output.stderr))
        }))
    });
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// Makes NAME.dtb of each NAME.dts in a directory whose name begins with `prefix`, with labels kept
/// for overlays.
///
/// # Errors
/// dtc is not there, or says no.
pub fn compile_trees(directory: &Path, prefix: &str) -> Result<(), String> {
    let entries = std::fs::read_dir(directory).map_err(|error| error.to_string())?;
    let named = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(prefix) && name.ends_with(".dts")
    };
    for source in entries.filter_map(|entry| Some(entry.ok()?.path())).filter(named) {
        let mut dtc = Command::new("dtc");
        dtc.args(["-q", "-@", "-I", "dts", "-O", "dtb", "-o"]).arg(source.with_extension("dtb"));
        let made = dtc.arg(&source).status();
        let made = made.map_err(|error| format!("dtc: {error}; ./setup.sh installs it"))?;
        if !made.success() {
            return Err(format!("dtc does not take {}", source.display()));
        }
    }
    Ok(())
}
