// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `bulkhead why`.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::{Choice, Done, Failure, read, say};
use crate::run::Report;
use crate::why::{Scene, Symbols, json, text};
use codegen::model::PayloadKind;

/// Say why the last run hung or failed: what each vPE does, and the likely cause
#[derive(Debug, Args)]
pub struct Why {
    #[command(flatten)]
    system: Choice,
    /// The run's report; by default that of the system's last run
    #[arg(long, value_name = "REPORT.json")]
    report: Option<PathBuf>,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

impl Why {
    pub fn run(self) -> Done {
        let (workspace, system) = self.system.load()?;
        let name = &system.name.value;
        let path = self
            .report
            .unwrap_or_else(|| workspace.outputs("reports").join(format!("{name}.json")));
        let shown = path.strip_prefix(&workspace.root).unwrap_or(&path).display();
        if !path.is_file() {
            return Err(Failure::Use(format!("there is no {shown}: `bulkhead run {name}` first")));
        }
        let report: Report = serde_json::from_str(&read(&path)?)
            .map_err(|error| Failure::Use(format!("{shown} is no report of a run: {error}")))?;
        let plan_path = workspace.outputs(name).join("plan.json");
        let plan: Value = serde_json::from_str(&read(&plan_path)?)
            .map_err(|error| Failure::Use(format!("{}: {error}", plan_path.display())))?;
        if let (Some(ran), Some(planned)) = (&report.plan, plan["digest"].as_str())
            && ran != planned
        {
            eprintln!(
                "bulkhead: {shown} is of plan {ran}, and target/bulkhead/{name} has {planned}: \
                 places may be wrong"
            );
        }
        let payloads = workspace.payloads(&system);
        let of_vms = system.vms.iter().enumerate().map(|(index, vm)| {
            let path = match &vm.payload.kind {
                PayloadKind::Rust { package, .. } => {
                    payloads.join(format!("{}.elf", package.value))
                }
                PayloadKind::File { path, .. } => path.value.clone(),
            };
            let entry = plan["vms"][index]["entry"].as_str().and_then(hexadecimal);
            let symbols = match (fs::read(path), entry) {
                (Ok(data), Some(entry)) => Symbols::new(data, entry),
                _ => Symbols::default(),
            };
            (symbols, !vm.events.is_empty())
        });
        let scene = Scene::new(&report, &plan, of_vms.collect());
        say(&if self.json { format!("{:#}\n", json(&scene)) } else { text(&scene) })?;
        Ok(ExitCode::SUCCESS)
    }
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}
