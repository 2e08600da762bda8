//! `bulkhead run`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::{Choice, Done, Failure};
use crate::run::{Echo, Input, Machine, Options, Verdict};

/// Build the image and boot it under QEMU.
#[derive(Debug, Args)]
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
        let machine = Machine::of(&system).ok_or_else(|| {
            let board = &system.board.name.value;
            Failure::Use(format!(
                "board \"{board}\" has no [qemu]: its images run on hardware only"
            ))
        })?;
        let built = workspace.image(&system)?;
        let image = built.directory.join("bulkhead.bin");
        let options = Options {
            icount: self.icount,
            timeout: self.timeout.map(Duration::from_secs).or(system.time_limit),
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
        let (report, _) = crate::run::run(name, &machine, &image, &options).map_err(failed)?;
        let path = report.write(&workspace.outputs("reports")).map_err(failed)?;
        if report.verdict == Verdict::Pass {
            return Ok(ExitCode::SUCCESS);
        }
        let shown = path.strip_prefix(&workspace.root).unwrap_or(&path);
        Err(Failure::Other(format!("{name}: {}; {}", report.reason, shown.display())))
    }
}
