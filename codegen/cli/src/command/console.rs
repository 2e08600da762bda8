// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `bulkhead console`.

use std::io::{IsTerminal, stdin};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::run::{conclude, how_to_leave};
use super::{Choice, Done, Failure, workspace};
use crate::run::{Attached, Echo, Input, Line, Options, Report, RunError, Verdict, attach};

/// What `--help` says at its end.
const STATUSES: &str = "Exit status: 0 pass; 1 the line cannot be opened; 2 wrong use; 3 fail; 4 no result in time; \
                        5 hardware differs from the plan; 6 the hypervisor stopped; 7 the line was closed, or the \
                        device unplugged, without a result; 8 ended by the escape key and q";
/// As a system has it that says nothing else.
const ESCAPE: u8 = 0x1d;

/// Show a board's console, and judge it as `run` does
#[derive(Debug, Args)]
#[command(after_help = STATUSES)]
pub struct Console {
    /// A serial device, a socket, a pipe or a file; HOST:PORT or telnet:HOST:PORT; tcp:HOST:PORT
    /// for bytes as they are; - for the standard input
    #[arg(value_name = "DEVICE")]
    device: String,
    /// Bits a second, of a serial device
    #[arg(long, value_name = "RATE", default_value_t = 115_200)]
    baud: u32,
    /// The system that the board runs: gives the escape key, the time limit and the report's name,
    /// and fails a board that runs another plan than the image that was built last
    #[arg(long, value_name = "SYSTEM")]
    system: Option<PathBuf>,
    /// End after so many seconds; by default the system's `time_limit`, or never
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Go on behind a result, until the line is closed or by the escape key and q
    #[arg(long)]
    stay: bool,
    /// A file for every byte that comes, as it comes
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

impl Console {
    pub fn run(self) -> Done {
        let line = Line::parse(&self.device).map_err(Failure::Use)?;
        let system = self.system.map(|system| Choice { system }.load()).transpose()?;
        let (workspace, system) = match system {
            Some((workspace, system)) => (Some(workspace), Some(system)),
            None => (workspace().ok(), None),
        };
        let limit = system.as_ref().and_then(|system| system.time_limit);
        let options = Options {
            timeout: self.timeout.map(Duration::from_secs).or(limit),
            input: Input::Stdin,
            echo: Echo::standard_output(),
            escape: system.as_ref().map_or(ESCAPE, |system| system.escape.value),
            ..Options::default()
        };
        let name = system.as_ref().map_or("console", |system| system.name.value.as_str());
        let failed = |error: RunError| Failure::Other(error.to_string());
        let ends = line.open(self.baud).map_err(failed)?;
        let what = format!("listening to {line}");
        if line != Line::Standard {
            eprint!("{}", how_to_leave(&what, options.escape, stdin().is_terminal(), true));
        }
        let attached = Attached { line, ends, stay: self.stay, log: self.log };
        let (mut report, _) = attach(name, attached, &options).map_err(failed)?;
        if let (Some(system), Some(workspace)) = (&system, &workspace) {
            compare(&mut report, &workspace.outputs(&system.name.value));
        }
        conclude(&report, workspace.as_ref())
    }
}

/// A board that ran another plan than the image in `built` did not pass.
fn compare(report: &mut Report, built: &Path) {
    let digest = std::fs::read(built.join("plan.json"))
        .ok()
        .and_then(|plan| serde_json::from_slice::<serde_json::Value>(&plan).ok())
        .and_then(|plan| Some(plan.get("digest")?.as_str()?.to_owned()));
    if let (Some(ran), Some(built)) = (&report.plan, digest)
        && *ran != built
    {
        report.reason =
            format!("the board runs plan {ran}, the image here has {built}: `bulkhead flash` it");
        report.verdict = Verdict::Fail;
    }
}
