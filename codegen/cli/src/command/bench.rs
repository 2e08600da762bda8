// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `bulkhead bench`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::{Done, Failure, system, workspace};
use crate::image::Workspace;
use crate::run::Machine;
use crate::run::bench::{Subject, bench};

/// Count instructions of hot paths and bytes of images, beside the marks to beat.
#[derive(Debug, Args)]
pub struct Bench {
    /// Systems to measure, as names in configs/ or paths; by default every configs/bench*.toml
    #[arg(value_name = "SYSTEM")]
    systems: Vec<PathBuf>,
    /// End a run after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
    /// Fail unless every mark is beaten
    #[arg(long)]
    strict: bool,
}

impl Bench {
    pub fn run(mut self) -> Done {
        let workspace = workspace()?;
        if self.systems.is_empty() {
            let names = system::names(&workspace.root.join("configs")).into_iter();
            self.systems =
                names.filter(|name| name.starts_with("bench")).map(PathBuf::from).collect();
        }
        if self.systems.is_empty() {
            return Err(Failure::Use("there is no configs/bench*.toml".into()));
        }
        let subjects: Result<Vec<Subject>, Failure> =
            self.systems.iter().map(|choice| subject(&workspace, choice)).collect();
        let reports = workspace.outputs("reports");
        let out = bench(&subjects?, Duration::from_secs(self.timeout), &reports)
            .map_err(|error| Failure::Other(error.to_string()))?;
        super::say(&out.to_string())?;
        let good = out.sound() && (!self.strict || out.beaten());
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn subject(workspace: &Workspace, choice: &std::path::Path) -> Result<Subject, Failure> {
    let path = system::find(workspace, choice).map_err(Failure::Use)?;
    let system = codegen::load(&path)?;
    let mut machine = Machine::of(&system)
        .ok_or_else(|| Failure::Use(format!("{}: its board has no [qemu]", path.display())))?;
    let built = workspace.image(&system)?;
    machine.firmware = workspace.firmware(&system)?;
    Ok(Subject {
        name: system.name.value.clone(),
        machine,
        image: built.directory.join("bulkhead.bin"),
        elf: built.directory.join("bulkhead.elf"),
        kept_bytes: built.plan.hypervisor.kept,
    })
}
