// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a build script of the EL2 image calls: from a system's TOML to the files that the image
//! includes.
//!
//! Written to the output directory: `plan.rs`, `plan.ld`, `tables.bin`. A file whose content has
//! not changed is left alone. Nothing in them depends on where the directory is, on the time, or on
//! the machine.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::diag::Report;
use crate::model::System;
use crate::payload::Payloads;
use crate::plan::{self, Plan};
use crate::{check, emit};

/// Why nothing, or not everything, was emitted.
#[derive(Debug, Error)]
pub enum EmitError {
    /// The system has errors.
    #[error("{}", .0.render(false))]
    System(Report),
    /// A file could not be written.
    #[error("{}: {error}", path.display())]
    Write { path: PathBuf, error: io::Error },
}

/// What was emitted, and from what.
#[derive(Debug)]
pub struct Emitted {
    pub plan: Plan,
    /// Every file that was read: the build runs again when one changes.
    pub inputs: Vec<PathBuf>,
}

/// Reads, checks and plans the system at `system`, whose Rust partitions are in `payloads` as
/// PACKAGE.elf, and writes the image's generated files to `out`.
pub fn emit(system: &Path, payloads: &Path, out: &Path) -> Result<Emitted, EmitError> {
    let system = crate::load(system).map_err(EmitError::System)?;
    let Decided { plan, files, .. } = decide(&system, payloads).map_err(EmitError::System)?;
    write_all(&plan, out)?;
    let mut inputs: Vec<PathBuf> =
        system.sources.iter().map(|source| source.path.clone()).collect();
    inputs.extend(system.board.tree.iter().map(|tree| tree.path.value.clone()));
    inputs.extend(files);
    Ok(Emitted { plan, inputs })
}

/// A plan, and what came with it.
#[derive(Debug)]
pub struct Decided {
    pub plan: Plan,
    /// Payload files that were read.
    pub files: Vec<PathBuf>,
    /// What is odd about the system; no errors.
    pub warnings: Report,
}

/// Checks and plans a loaded system.
pub fn decide(system: &System, payloads: &Path) -> Result<Decided, Report> {
    let mut warnings = check::run(system);
    if warnings.has_errors() {
        return Err(warnings);
    }
    let payloads = Payloads::read(system, payloads)?;
    let (plan, odd) = plan::make(system, &payloads)?;
    warnings.diagnostics.extend(odd);
    warnings.sort();
    Ok(Decided { plan, files: payloads.files, warnings })
}

/// Everything that can be found wrong before anything is built: the rules, the payload files, and
/// the plan itself, with stand-ins for Rust partitions that `payloads` does not have.
pub fn judge(system: &System, payloads: &Path) -> Report {
    let mut report = check::run(system);
    if report.has_errors() {
        return report;
    }
    let found = match Payloads::read_or_stand_in(system, payloads) {
        Ok(payloads) => plan::make(system, &payloads),
        Err(found) => Err(found),
    };
    report.diagnostics.extend(match found {
        Ok((_, warnings)) => warnings,
        Err(found) => found.diagnostics,
    });
    report.sort();
    report
}

/// Writes a plan's generated files.
pub fn write_all(plan: &Plan, out: &Path) -> Result<(), EmitError> {
    write(out, "plan.rs", emit::constants::file(plan).as_bytes())?;
    write(out, "plan.ld", emit::link::fragment(plan).as_bytes())?;
    write(out, "tables.bin", &plan.hypervisor.tables_bin)
}

/// Writes `bytes` to `name` in `directory`, unless they are there already.
pub fn write(directory: &Path, name: &str, bytes: &[u8]) -> Result<(), EmitError> {
    let path = directory.join(name);
    if std::fs::read(&path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(&path, bytes))
        .map_err(|error| EmitError::Write { path, error })
}
