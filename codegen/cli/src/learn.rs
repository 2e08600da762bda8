// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Writing into TOMLs what a run taught, so that nobody copies it by hand.
//!
//! What a report has ([`Learned`]) becomes edits of the system's own TOML, and for BARs of the
//! board's; comments and form stay. Nothing is written that was not measured. What has no place in
//! these files is said, with the key to write.

pub mod edit;
mod events;

use std::path::PathBuf;

use codegen::model::System;
use codegen::plan::Plan;
use similar::TextDiff;

use crate::run::{Learned, Report};
use edit::Tables;

/// A TOML before and after.
pub struct Change {
    pub path: PathBuf,
    pub old: String,
    pub new: String,
}

/// What a report taught about a system.
#[derive(Default)]
pub struct Lesson {
    pub changes: Vec<Change>,
    /// What has to be written by hand, and why.
    pub left: Vec<String>,
}

impl Change {
    /// As `diff -u` prints it.
    pub fn diff(&self) -> String {
        let name = self.path.display().to_string();
        let diff = TextDiff::from_lines(self.old.as_str(), self.new.as_str());
        diff.unified_diff().context_radius(3).header(&name, &name).to_string()
    }
}

/// Compares what a report measured with the system's TOMLs. The error says why it cannot teach.
pub fn learn(system: &System, plan: &Plan, report: &Report) -> Result<Lesson, String> {
    let measured = report.plan.as_deref().and_then(number);
    if measured.is_some_and(|digest| digest != plan.digest.0) {
        return Err(format!(
            "the run was of plan {}, and the system's plan is {:#x} now: run it again",
            report.plan.as_deref().unwrap_or_default(),
            plan.digest.0
        ));
    }
    let mut files: Vec<Tables> = Vec::new();
    for source in system.sources.iter() {
        files.push(Tables::new(&source.path, &source.text)?);
    }
    let mut left = Vec::new();
    for one in &report.learned {
        let (done, by_hand) = match one {
            Learned::Priority { vm, event_priority } => (
                files[0].priority(vm, *event_priority),
                format!("event_priority = {event_priority:#x} in VM \"{vm}\""),
            ),
            Learned::Unplanned { vm, device, event } => (
                files[0].unplanned(vm, device, *event),
                format!("a [[vm.event]] of VM \"{vm}\": device = \"{device}\", event = {event}"),
            ),
            // All of a device's at once, below.
            Learned::Event { .. } => continue,
            Learned::Bar { device, bar, planned, bytes } => {
                let mut boards = files.iter_mut().skip(1);
                let done = boards.any(|file| file.bar(device, *bar, *planned, *bytes));
                (done, format!("size = {bytes:#x} for BAR {bar} of \"{device}\""))
            }
        };
        if !done {
            left.push(by_hand);
        }
    }
    left.extend(events::learn(&mut files[0], plan, &report.learned));
    let changes = files.into_iter().filter_map(Tables::change).collect();
    Ok(Lesson { changes, left })
}

fn number(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}
