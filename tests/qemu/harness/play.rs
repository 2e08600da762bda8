//! Playing one scenario.

use std::time::Duration;

use codegen::run::{Input, Options, Step, Transcript, run};

use crate::expect::violations;
use crate::images::Images;
use crate::scenario::Scenario;

/// Lines of the console that a failure shows.
const SHOWN: usize = 60;

/// Boots the scenario's system and says what does not hold.
pub fn play(name: &str, scenario: &Scenario, images: &Images) -> Result<(), String> {
    let image = images.get(&scenario.system)?;
    let steps = scenario
        .input
        .iter()
        .map(|typed| Step { after: typed.after.clone(), send: typed.send.clone().into_bytes() });
    let options = Options {
        icount: scenario.icount,
        timeout: Some(Duration::from_secs(scenario.timeout)),
        qemu_args: scenario.qemu.clone(),
        input: Input::Script(steps.collect()),
        escape: image.escape,
        scratch: Some(image.binary.with_file_name(format!("scratch-{name}"))),
        ..Options::default()
    };
    let (report, seen) =
        run(name, &image.machine, &image.binary, &options).map_err(|error| error.to_string())?;
    let written = report.write(&tests::root().join("target/bulkhead/reports"));
    let mut out = violations(scenario, &report, &seen);
    out.extend(written.err().map(|error| error.to_string()));
    if out.is_empty() { Ok(()) } else { Err(explain(scenario, &out, &seen)) }
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
