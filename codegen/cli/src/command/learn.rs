// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `bulkhead learn`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{Choice, Done, Failure, Format, check, read, say};
use crate::learn::learn;
use crate::run::Report;

/// Write into the TOML what a run taught: vintid, vpe, event_priority, events, sizes of BARs
#[derive(Debug, Args)]
pub struct Learn {
    #[command(flatten)]
    system: Choice,
    /// The run's report; by default that of the system's last run
    #[arg(long, value_name = "REPORT.json")]
    report: Option<PathBuf>,
    /// Write it, not only show it
    #[arg(long)]
    write: bool,
}

impl Learn {
    pub fn run(self) -> Done {
        let (workspace, system) = self.system.load()?;
        let name = &system.name.value;
        let path = self.report.clone().unwrap_or_else(|| {
            let of_system = format!("{name}.json");
            workspace.outputs("reports").join(of_system)
        });
        let shown = path.strip_prefix(&workspace.root).unwrap_or(&path).display();
        if !path.is_file() {
            return Err(Failure::Use(format!("there is no {shown}: `bulkhead run {name}` first")));
        }
        let report: Report = serde_json::from_str(&read(&path)?)
            .map_err(|error| Failure::Use(format!("{shown} is no report of a run: {error}")))?;
        let plan = workspace.plan(&system)?.plan;
        let lesson = learn(&system, &plan, &report)
            .map_err(|why| Failure::Use(format!("{shown}: {why}")))?;
        for by_hand in &lesson.left {
            eprintln!(
                "bulkhead: not in {}; to be written by hand: {by_hand}",
                system.path.display()
            );
        }
        if lesson.changes.is_empty() {
            say(&format!("{name}: nothing to write\n"))?;
            return Ok(ExitCode::SUCCESS);
        }
        for change in &lesson.changes {
            say(&change.diff())?;
        }
        if !self.write {
            eprintln!("bulkhead: not written; --write does that");
            return Ok(ExitCode::SUCCESS);
        }
        for change in &lesson.changes {
            std::fs::write(&change.path, &change.new)
                .map_err(|error| Failure::Other(format!("{}: {error}", change.path.display())))?;
        }
        check(&self.system, Format::Text)
    }
}
