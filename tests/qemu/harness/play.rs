// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Playing one scenario.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use bulkhead::run::{Input, Options, Step, Transcript, run};
use serde_json::Value;

use crate::aliasing;
use crate::efi;
use crate::el2::{RAM, altered, strangers};
use crate::expect::violations;
use crate::firmware;
use crate::fit;
use crate::images::{Images, find};
use crate::scenario::{Expect, Fill, Scenario};

/// Lines of the console that a failure shows.
const SHOWN: usize = 60;

/// How long the console of a board that stays on is silent before its run is over.
const SETTLED: Duration = Duration::from_secs(2);

/// Boots the scenario's system and says what does not hold.
pub fn play(name: &str, scenario: &Scenario, images: &Images) -> Result<(), String> {
    let image = images.get(&scenario.system)?;
    let steps = scenario
        .input
        .iter()
        .map(|typed| Step { after: typed.after.clone(), send: typed.send.clone().into_bytes() });
    let scratch = image.binary.with_file_name(format!("scratch-{name}"));
    let ram = scratch.join("ram.img");
    let mut qemu_args = scenario.qemu.clone();
    let Expect { shut, intact, .. } = scenario.expect;
    if shut || intact || !scenario.fill.is_empty() {
        let bytes = image.machine.ram_bytes;
        filled(&scenario.fill, &ram, bytes).map_err(|error| format!("ram.img: {error}"))?;
        qemu_args.extend([
            "-object".into(),
            format!(
                "memory-backend-file,id=ram,size={bytes},mem-path={},share={}",
                ram.display(),
                if shut || intact { "on" } else { "off" }
            ),
            "-machine".into(),
            "memory-backend=ram".into(),
        ]);
    }
    let mut machine = image.machine.clone();
    let mut secure_ram = image.board.qemu.as_ref().and_then(|qemu| qemu.secure_ram);
    if scenario.firmware {
        qemu_args.extend(["-machine".into(), "secure=on".into()]);
        secure_ram = Some(firmware::VIRT_SECURE_RAM);
    }
    if let Some(ram) = secure_ram {
        let below = firmware::below(&image.board, ram, &scenario.secure)?;
        machine.firmware = Some(below);
    }
    if scenario.efi {
        qemu_args.extend(efi::arguments(&image.binary, &scratch)?);
    }
    if let Some(fit) = scenario.fit {
        qemu_args.extend(fit::arguments(fit, &scenario.system, &image.machine, &scratch)?);
    }
    let found = scratch.join("aliasing.txt");
    if scenario.aliasing {
        // Of an earlier run.
        let _ = fs::remove_file(&found);
        qemu_args.extend(aliasing::arguments(&image.binary, &found)?);
    }
    let options = Options {
        icount: scenario.icount,
        timeout: Some(Duration::from_secs(scenario.timeout)),
        settled: scenario.stays_on.then_some(SETTLED),
        hangs: scenario.hangs.clone(),
        qemu_args,
        input: Input::Script(steps.collect()),
        escape: image.escape,
        scratch: Some(scratch),
        ..Options::default()
    };
    let played = run(name, &machine, &image.binary, &options);
    let strangers = if shut { strangers(&image.binary, &ram) } else { Ok(Vec::new()) };
    let altered = if intact { altered(&image.binary, &ram) } else { Ok(Vec::new()) };
    // It may be large.
    let _ = fs::remove_file(&ram);
    let (report, seen) = played.map_err(|error| error.to_string())?;
    let written = report.write(&tests::root().join("target/bulkhead/reports"));
    let mut out = violations(scenario, &report, &seen);
    if scenario.aliasing {
        out.extend(aliasing::violations(&found));
    }
    out.extend(strangers.unwrap_or_else(|error| vec![format!("EL2's tables: {error}")]));
    out.extend(altered.unwrap_or_else(|error| vec![format!("EL2's memory: {error}")]));
    match written {
        Ok(path) => out.extend(why(&scenario.system, &path, &scenario.expect.why)),
        Err(error) => out.push(error.to_string()),
    }
    if out.is_empty() { Ok(()) } else { Err(explain(scenario, &out, &seen)) }
}

/// Causes that `bulkhead why` does not name as `wanted`.
fn why(system: &str, report: &Path, wanted: &BTreeMap<String, String>) -> Vec<String> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let told = || -> Result<Value, String> {
        let mut command = tests::bulkhead();
        command.arg("why").arg(find(system)?).args(["--json", "--report"]).arg(report);
        let output = command.output().map_err(|error| error.to_string())?;
        serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
    };
    let told = match told() {
        Ok(told) => told,
        Err(error) => return vec![format!("bulkhead why: {error}")],
    };
    let cause = |who: &str| {
        let mut all = told["causes"].as_array().into_iter().flatten();
        all.find(|cause| cause["who"] == who).and_then(|cause| cause["cause"].as_str())
    };
    let wrong = wanted.iter().filter(|(who, wanted)| cause(who) != Some(wanted.as_str()));
    wrong
        .map(|(who, wanted)| format!("why {who}: {:?}, not {wanted}\n{told:#}", cause(who)))
        .collect()
}

/// A file of `bytes` that QEMU takes for the board's RAM: words that are not 0 where the scenario
/// wants them.
fn filled(fill: &[Fill], path: &Path, bytes: u64) -> io::Result<()> {
    const MIB: u64 = 1 << 20;
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    let mut file = File::create(path)?;
    file.set_len(bytes)?;
    let word = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let pattern: Vec<u8> = (1..=MIB / 8).flat_map(|n| word(n).to_le_bytes()).collect();
    for fill in fill {
        file.seek(SeekFrom::Start(fill.at - RAM))?;
        (0..fill.mib).try_for_each(|_| file.write_all(&pattern))?;
    }
    Ok(())
}

fn explain(scenario: &Scenario, violations: &[String], seen: &Transcript) -> String {
    let mut out = format!("{}\n", scenario.about);
    for violation in violations {
        out.push_str(&format!("  * {violation}\n"));
    }
    let more: String = scenario.qemu.iter().map(|arg| format!(" --qemu-arg={arg}")).collect();
    let skipped = seen.lines.len().saturating_sub(SHOWN);
    out.push_str(&format!("again: just run {}{more}\n", scenario.system));
    out.push_str(&format!("console, without its first {skipped} lines:\n"));
    for line in seen.lines.iter().skip(skipped) {
        out.push_str(&format!("  | {line}\n"));
    }
    for message in &seen.messages {
        out.push_str(&format!("QEMU said: {message}\n"));
    }
    out
}
