// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Runs under the aliasing plugin (`qemu/plugin/aliasing.c`), in which no count may be other than
//! 0.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::plan_json::{self, number};

/// How many kinds of fault the plugin counts.
const FAULTS: usize = 6;

/// Arguments for QEMU: the plugin, told what the plan beside the image says. The result goes to
/// `out`.
pub fn arguments(binary: &Path, out: &Path) -> Result<[String; 2], String> {
    let options = options(&plan_json::beside(binary)?).ok_or("plan.json has no memory map")?;
    let plugin = plugin()?;
    Ok(["-plugin".into(), format!("{},out={}{options}", plugin.display(), out.display())])
}

/// Where EL2's image is, and where each CPU's guest has its memory.
fn options(plan: &Value) -> Option<String> {
    let own = &plan["hypervisor"];
    let image = number(&own["image"])?;
    let mut out = format!(",el2={image:x}-{:x}", image + own["room"].as_u64()?);
    let (window, entries) = (number(&own["window"])?, number(&own["window_entries"])?);
    let pages = own["stacks"].as_u64()? * ::plan::translation::EL2_WINDOW_PAGES;
    out.push_str(&format!(",window={window:x}:{entries:x}:{pages:x}"));
    for vpe in plan["vpes"].as_array()? {
        let vm = &plan["vms"][vpe["vm"].as_u64()? as usize];
        for memory in vm["memory"].as_array()? {
            let (ipa, pa) = (number(&memory["ipa"])?, number(&memory["pa"])?);
            let (cpu, bytes) = (vpe["cpu"].as_u64()?, memory["bytes"].as_u64()?);
            out.push_str(&format!(",map={cpu:x}:{ipa:x}:{pa:x}:{bytes:x}"));
        }
    }
    Some(out)
}

/// The plugin, compiled once.
fn plugin() -> Result<PathBuf, String> {
    static PLUGIN: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    PLUGIN.get_or_init(compile).clone()
}

fn compile() -> Result<PathBuf, String> {
    let out = tests::root().join("target/bulkhead/aliasing.so");
    let source = tests::root().join("tests/qemu/plugin/aliasing.c");
    fs::create_dir_all(tests::root().join("target/bulkhead")).map_err(|error| error.to_string())?;
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"]).arg(&out).arg(source);
    let output = cc.output().map_err(|error| format!("cc: {error}"))?;
    match output.status.success() {
        true => Ok(out),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// What the plugin found, each fault with its first places. The plugin must have come to its end.
pub fn violations(out: &Path) -> Vec<String> {
    let text = fs::read_to_string(out).unwrap_or_default();
    let counts: Vec<(&str, &str)> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .collect();
    if counts.len() != FAULTS {
        return vec!["the aliasing plugin said nothing".into()];
    }
    let found: Vec<String> = counts
        .iter()
        .filter(|(_, count)| *count != "0")
        .map(|(name, count)| format!("aliasing: {name} {count} times"))
        .collect();
    let places = text.lines().filter(|line| line.starts_with('#')).map(str::to_owned);
    if found.is_empty() { found } else { found.into_iter().chain(places).collect() }
}
