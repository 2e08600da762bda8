// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `bulkhead run`.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::{Choice, Done, Failure};
use crate::image::Workspace;
use crate::run::{Echo, Input, Machine, Options, Report, Verdict, differs};

/// What `--help` says at its end.
const STATUSES: &str = "Exit status: 0 pass; 1 not built or not started; 2 wrong use; 3 fail; 4 no result in time; \
                        5 hardware differs from the plan; 6 the hypervisor stopped; 7 QEMU ended without a result; \
                        8 ended by the escape key and q";

/// Build the image and boot it under QEMU.
#[derive(Debug, Args)]
#[command(after_help = STATUSES)]
pub struct Run {
    #[command(flatten)]
    system: Choice,
    /// Count instructions: slower, and the same every time
    #[arg(long)]
    icount: bool,
    /// End the run after so many seconds; by default the system's `time_limit`
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Wait for a debugger on port 1234
    #[arg(long)]
    gdb: bool,
    /// More items for QEMU's -d, such as trace:gicv3_its_*
    #[arg(long, value_name = "ITEMS")]
    trace: Option<String>,
    /// One more argument of QEMU; may be given several times
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    qemu_arg: Vec<String>,
    /// Show QEMU's command line first
    #[arg(long)]
    verbose: bool,
}

impl Run {
    pub fn run(self) -> Done {
        let (workspace, system) = self.system.load()?;
        let mut machine = Machine::of(&system).ok_or_else(|| {
            let board = &system.board.name.value;
            Failure::Use(format!(
                "board \"{board}\" has no [qemu]: its images run on hardware only"
            ))
        })?;
        let built = workspace.image(&system)?;
        let image = built.directory.join("bulkhead.bin");
        machine.firmware = workspace.firmware(&system)?;
        let options = Options {
            icount: self.icount,
            timeout: self.timeout.map(Duration::from_secs).or(system.time_limit),
            settled: None,
            hangs: None,
            gdb: self.gdb,
            trace: self.trace,
            qemu_args: self.qemu_arg,
            input: Input::Stdin,
            echo: Echo::standard_output(),
            escape: system.escape.value,
            scratch: None,
        };
        if self.verbose {
            let scratch = image.with_file_name("scratch");
            let arguments = machine.arguments(&image, &scratch, &options).join(" ");
            eprintln!("qemu: qemu-system-aarch64 {arguments}");
        }
        let failed = |error: crate::run::RunError| Failure::Other(error.to_string());
        let name = &system.name.value;
        let terminal = std::io::stdin().is_terminal();
        let listens = system.board.console.is_some();
        eprint!("{}", how_to_leave(&format!("{name} runs"), options.escape, terminal, listens));
        let (report, _) = crate::run::run(name, &machine, &image, &options).map_err(failed)?;
        conclude(&report, Some(&workspace))
    }
}

/// Keeps the report of a run, and says what it rests on unless it is a pass. None: outside a
/// checkout, where there is no place for reports.
pub fn conclude(report: &Report, workspace: Option<&Workspace>) -> Done {
    let name = &report.name;
    let failed = |error: crate::run::RunError| Failure::Other(error.to_string());
    let written = workspace
        .map(|workspace| (workspace, report.write(&workspace.outputs("reports"))))
        .map(|(workspace, path)| {
            path.map(|path| path.strip_prefix(&workspace.root).unwrap_or(&path).to_owned())
        })
        .transpose()
        .map_err(failed)?;
    if !report.learned.is_empty() {
        eprintln!("bulkhead: {name}: `bulkhead learn {name}` writes what this run taught");
    }
    if report.verdict == Verdict::Pass {
        return Ok(ExitCode::SUCCESS);
    }
    let shown = written.map_or_else(String::new, |path| format!("; {}", path.display()));
    eprintln!("bulkhead: {name}: {}{shown}", report.reason);
    if matches!(report.verdict, Verdict::Fail | Verdict::Timeout) && workspace.is_some() {
        eprintln!(
            "bulkhead: {name}: `bulkhead why {name}` says what each vPE did, and a likely cause"
        );
    }
    if report.verdict == Verdict::Differs
        && let Some(key) = differs::key(&report.reason)
    {
        eprintln!("bulkhead: in the TOML: {key} (docs/bring-up.md)");
    }
    Ok(ExitCode::from(report.verdict.status()))
}

/// The line at the start that names the keys; nothing without an escape key. `listens`: the board
/// has a console.
pub fn how_to_leave(what: &str, escape: u8, terminal: bool, listens: bool) -> String {
    if escape == 0 {
        return String::new();
    }
    let key = char::from(escape + b'@');
    let ends = if terminal { "ends the run" } else { "on the input ends the run" };
    let keys = match listens {
        true => format!("Ctrl-{key} ? lists the keys"),
        false => "the board has no console".into(),
    };
    format!("bulkhead: {what}; Ctrl-{key} q {ends}, {keys}\n")
}

#[cfg(test)]
mod tests {
    use super::how_to_leave;

    #[test]
    fn the_first_line_says_how_to_leave() {
        let line = how_to_leave("demo runs", 0x1d, true, true);
        assert_eq!(line, "bulkhead: demo runs; Ctrl-] q ends the run, Ctrl-] ? lists the keys\n");
        assert_eq!(how_to_leave("demo runs", 0, true, true), "");
        let line = how_to_leave("quiet runs", 0x1d, true, false);
        assert_eq!(line, "bulkhead: quiet runs; Ctrl-] q ends the run, the board has no console\n");
    }
}
