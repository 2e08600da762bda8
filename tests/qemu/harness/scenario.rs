// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A scenario as its TOML file says it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::fit::Fit;
use bulkhead::run::{Learned, Verdict};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// One file in `qemu/scenarios`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// What it shows, in one sentence.
    pub about: String,
    /// A name in configs/ or in tests/qemu/systems/.
    pub system: String,
    /// Seconds until QEMU is ended; generous, because a run that passes does not wait.
    #[serde(default = "a_minute")]
    pub timeout: u64,
    /// The board stays on behind a result, as it has no firmware that turns it off.
    #[serde(default)]
    pub stays_on: bool,
    /// It hangs behind this text: the run is ended, and EL2 asked, a second later.
    pub hangs: Option<String>,
    /// Count instructions.
    #[serde(default)]
    pub icount: bool,
    /// Under the plugin that finds memory used through the caches and past them: it must find none.
    #[serde(default)]
    pub aliasing: bool,
    /// Entered by EL3 firmware that leaves two Security states, which QEMU's own way of loading
    /// does not.
    #[serde(default)]
    pub firmware: bool,
    /// INTIDs below 64 that this firmware keeps in a Secure group.
    #[serde(default)]
    pub secure: Vec<u32>,
    /// Started by UEFI firmware, as an application on a disk.
    #[serde(default)]
    pub efi: bool,
    /// Started by U-Boot from a FIT, when the input tells it to.
    pub fit: Option<Fit>,
    /// Left out of `just test`.
    #[serde(default)]
    pub long: bool,
    /// More arguments for QEMU, after the board's.
    #[serde(default)]
    pub qemu: Vec<String>,
    /// Memory that holds a pattern when QEMU begins, as after a warm reset.
    #[serde(default)]
    pub fill: Vec<Fill>,
    /// What is typed on the console.
    #[serde(default)]
    pub input: Vec<Typed>,
    /// Texts that QEMU's log of wrong use may hold; any other line is a failure.
    #[serde(default)]
    pub log: Vec<String>,
    pub expect: Expect,
}

/// Physical memory that is not zero at the start.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fill {
    pub at: u64,
    pub mib: u64,
}

/// Wait for a text, then type.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Typed {
    /// Several texts, one a line: all of them, in any order.
    pub after: String,
    pub send: String,
}

/// What must hold at the end.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    pub verdict: Verdict,
    /// Texts in this order, each in a later line than the one before.
    #[serde(default)]
    pub lines: Vec<String>,
    /// Texts in exactly one line each.
    #[serde(default)]
    pub once: Vec<String>,
    /// Texts in no line at all.
    #[serde(default)]
    pub absent: Vec<String>,
    /// What the run teaches, all of it.
    pub learned: Option<Vec<Learned>>,
    /// By the name of a vPE, a VM or the system: the cause that `bulkhead why` names.
    #[serde(default)]
    pub why: BTreeMap<String, String>,
    /// By VM: how its line in the report begins, such as "off, passed".
    #[serde(default)]
    pub vms: BTreeMap<String, String>,
    /// By VM: how many bytes it sent at least. It says how many, and their sum, and the console has
    /// exactly these.
    #[serde(default)]
    pub sent: BTreeMap<String, u64>,
    /// EL2's tables, as they are in RAM afterwards, map no memory but the hypervisor's own.
    #[serde(default)]
    pub shut: bool,
    /// EL2's code, stage-2 tables and copies of payloads are in RAM afterwards as the image has
    /// them.
    #[serde(default)]
    pub intact: bool,
    #[serde(default)]
    pub counter: Vec<Counter>,
    #[serde(default)]
    pub figure: Vec<Figure>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Counter {
    /// Such as "msix/0", or "msix" for the sum of all its vPEs.
    pub vpe: String,
    /// As the table names it; a name that is none is refused, as what a table leaves out counts as
    /// zero.
    #[serde(deserialize_with = "known")]
    pub counter: String,
    #[serde(default)]
    pub at_least: u64,
    #[serde(default = "any")]
    pub at_most: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Figure {
    /// VM that prints it; empty: whichever does.
    #[serde(default)]
    pub vm: String,
    pub name: String,
    #[serde(default)]
    pub at_least: u64,
    #[serde(default = "any")]
    pub at_most: u64,
}

fn known<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let name = String::deserialize(from)?;
    if vm::counters::Counter::ALL.iter().any(|counter| counter.name() == name) {
        return Ok(name);
    }
    Err(D::Error::custom(format!("no counter is called \"{name}\"")))
}

fn a_minute() -> u64 {
    60
}

fn any() -> u64 {
    u64::MAX
}

/// A file that was found, readable or not.
pub struct Found {
    /// The file's stem.
    pub name: String,
    /// How the test is called: "qemu::NAME".
    pub title: String,
    pub scenario: Result<Scenario, String>,
}

/// Every scenario in a directory, sorted by name. A file that cannot be read becomes a test that
/// fails.
pub fn all(directory: &Path) -> Vec<Found> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let read = |path: &Path| {
        let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
        toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
    };
    let name = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    paths
        .iter()
        .map(|path| Found {
            name: name(path),
            title: format!("qemu::{}", name(path)),
            scenario: read(path),
        })
        .collect()
}
