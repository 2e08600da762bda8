// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What one run showed, as JSON in `target/bulkhead/reports/NAME.json`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Learned, RunError, Transcript};

/// What one run showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the report; of the system unless a test says otherwise.
    pub name: String,
    pub verdict: Verdict,
    /// What the verdict rests on: the line, or how QEMU ended.
    pub reason: String,
    /// VMs in the order of the system's TOML.
    pub vms: Vec<VmLine>,
    /// The last table of counters: by vPE ("msix/0"), then by counter. What the table leaves out is
    /// zero.
    pub counters: BTreeMap<String, BTreeMap<String, u64>>,
    /// `figure NAME VALUE [UNIT]` lines, the last of each name from each VM, in the order they
    /// came.
    pub figures: Vec<Figure>,
    /// What QEMU logged as wrong use of its devices.
    pub log: Vec<String>,
    /// The run counted instructions: figures are repeatable.
    pub icount: bool,
    /// Digest of the plan that ran, as the banner has it. None: there was none.
    #[serde(default)]
    pub plan: Option<String>,
    /// What the TOML could say instead (`bulkhead learn`).
    #[serde(default)]
    pub learned: Vec<Learned>,
    /// What EL2 told of faults and of vPEs, line by line (`bulkhead why`).
    #[serde(default)]
    pub told: Vec<String>,
    /// The last lines of each VM.
    #[serde(default)]
    pub said: BTreeMap<String, Vec<String>>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// `result: pass`.
    Pass,
    /// `result: fail`.
    Fail,
    /// `hardware differs from the plan`.
    Differs,
    /// `stopped`: EL2 found an error of its own.
    Stopped,
    /// The timeout passed first.
    Timeout,
    /// The user ended it from the keyboard.
    Quit,
    /// QEMU ended without a word about the result.
    Silent,
}

/// `vm NAME: STATE, DETAIL`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmLine {
    pub name: String,
    /// `off`, `failed` or `running`.
    pub state: String,
    /// The rest of the line: `passed`, `reported 3`, `data abort at ...`.
    pub detail: String,
}

/// A measured number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figure {
    /// VM that printed it; empty: the hypervisor itself.
    pub vm: String,
    pub name: String,
    pub value: u64,
    /// Empty when the line gave none.
    pub unit: String,
}

impl Verdict {
    /// Exit status of `bulkhead run`; 1 and 2 are for runs that did not begin.
    pub const fn status(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 3,
            Self::Timeout => 4,
            Self::Differs => 5,
            Self::Stopped => 6,
            Self::Silent => 7,
            Self::Quit => 8,
        }
    }
}

impl Report {
    /// What a run's console showed, and how it was judged.
    pub(super) fn of(name: &str, judged: (Verdict, String), seen: &Transcript) -> Self {
        let (verdict, reason) = judged;
        Self {
            name: name.to_owned(),
            verdict,
            reason,
            vms: seen.vms.clone(),
            counters: seen.counters.clone(),
            figures: seen.figures.clone(),
            log: Vec::new(),
            icount: false,
            plan: seen.plan.clone(),
            learned: seen.learned.clone(),
            told: seen.told.clone(),
            said: seen.last_lines(),
        }
    }

    /// The counter's value for a vPE ("msix/0") or, summed, for all vPEs of a VM ("msix"); None
    /// when the table has none of them. A counter that is not in the table is zero.
    pub fn counter(&self, whose: &str, counter: &str) -> Option<u64> {
        let of =
            |vpe: &str| vpe == whose || vpe.rsplit_once('/').is_some_and(|(vm, _)| vm == whose);
        self.counters
            .iter()
            .filter(|(vpe, _)| of(vpe))
            .map(|(_, column)| column.get(counter).copied().unwrap_or(0))
            .reduce(|sum, value| sum + value)
    }

    /// The figure of that name from a VM; an empty name of the VM takes the first who has one.
    pub fn figure(&self, vm: &str, name: &str) -> Option<&Figure> {
        let wanted = |figure: &&Figure| figure.name == name && (vm.is_empty() || figure.vm == vm);
        self.figures.iter().find(wanted)
    }

    /// Writes `DIRECTORY/NAME.json` and says where.
    pub fn write(&self, directory: &Path) -> Result<PathBuf, RunError> {
        let path = directory.join(format!("{}.json", self.name));
        write_json(&path, self)?;
        Ok(path)
    }
}

/// Writes a value as indented JSON, ending with a newline, and makes the directory if need be.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), RunError> {
    let failed = |error| RunError::File { path: path.to_path_buf(), error };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    let mut text = serde_json::to_string_pretty(value).map_err(|error| failed(error.into()))?;
    text.push('\n');
    fs::write(path, text).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_back_as_it_was_written() {
        let report = Report {
            name: "hello".into(),
            verdict: Verdict::Pass,
            reason: "result: pass".into(),
            vms: vec![VmLine {
                name: "hello".into(),
                state: "off".into(),
                detail: "passed".into(),
            }],
            counters: BTreeMap::from([("hello/0".into(), BTreeMap::from([("exits".into(), 7)]))]),
            figures: vec![Figure {
                vm: "hello".into(),
                name: "lines".into(),
                value: 3,
                unit: String::new(),
            }],
            log: vec![],
            icount: false,
            plan: Some("0x17".into()),
            learned: vec![Learned::Priority { vm: "hello".into(), event_priority: 0xc0 }],
            told: vec!["vpe hello/0: off, exits 7".into()],
            said: BTreeMap::from([("hello".into(), vec!["hello".into()])]),
        };
        let directory =
            std::env::temp_dir().join(format!("bulkhead-report-{}", std::process::id()));
        let path = report.write(&directory).expect("write");
        let text = fs::read_to_string(&path).expect("read");
        assert!(text.contains("\"verdict\": \"pass\""));
        assert_eq!(serde_json::from_str::<Report>(&text).expect("parse"), report);
        fs::remove_dir_all(&directory).expect("remove");
        assert_eq!(report.counter("hello/0", "exits"), Some(7));
        assert_eq!(report.counter("hello/0", "doorbells"), Some(0));
        assert_eq!(report.counter("hello/1", "exits"), None);
        assert_eq!(report.figure("msix", "lines"), None);
        assert_eq!(report.figure("", "lines").map(|figure| figure.value), Some(3));
    }
}
