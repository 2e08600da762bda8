// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The `bulkhead` command.
//!
//! Exit status: 0 done; 1 the system has errors, or did not build, or what was asked for could not
//! be written; 2 wrong use; others are `bulkhead run`'s
//! ([`Verdict::status`](crate::run::Verdict::status)).

mod bench;
mod console;
mod flash;
mod import;
mod learn;
mod probe;
mod run;
mod schema;
mod shells;
mod system;
mod why;

use std::io::{ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};

use codegen::check as rules;
use codegen::diag::Report;
use codegen::emit::changes::Changes;
use codegen::model::System;
use codegen::{build, emit};

use crate::image::{Algorithm, BuildError, Built, Key, Workspace};

/// From one TOML to one firmware image: checks, plans, builds and runs systems of partitions.
#[derive(Debug, Parser)]
#[command(name = "bulkhead", version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show every mistake in a system's TOML, its board and its partitions
    Check {
        #[command(flatten)]
        system: Choice,
        /// How diagnostics are written: for a person on the standard error, for a program on the
        /// standard output
        #[arg(long, value_name = "FORMAT", default_value = "text")]
        message_format: Format,
        /// Short for --message-format json
        #[arg(long, conflicts_with = "message_format")]
        json: bool,
    },
    /// Show what the build decides: memory, CPUs, interrupt routes, ITS commands, sizes
    Plan {
        #[command(flatten)]
        system: Choice,
        /// The plan as JSON
        #[arg(long)]
        json: bool,
        /// The plan as a page with pictures: into FILE, or else beside the image
        #[arg(long, value_name = "FILE", num_args = 0..=1, conflicts_with = "json")]
        html: Option<Option<PathBuf>>,
        /// What is other than in an older plan.json, as text or on the page
        #[arg(long, value_name = "OLD.json", conflicts_with = "json")]
        against: Option<PathBuf>,
    },
    /// Show a board with all that it inherits
    Board {
        /// A name in boards/, or a path to a board's TOML
        #[arg(value_name = "BOARD")]
        board: PathBuf,
    },
    /// Build the firmware image into target/bulkhead/SYSTEM
    Image {
        #[command(flatten)]
        system: Choice,
        /// Run clippy over the EL2 code as it is for this system instead
        #[arg(long)]
        lint: bool,
        #[command(flatten)]
        signing: Signing,
    },
    /// Build the image and boot it under QEMU
    Run(run::Run),
    Console(console::Console),
    Flash(flash::Flash),
    /// Count instructions of hot paths and bytes of images, beside the marks to beat
    Bench(bench::Bench),
    Why(why::Why),
    Learn(learn::Learn),
    Import(import::Import),
    Probe(probe::Probe),
    /// Write the JSON schemas by which editors complete and check the TOMLs
    Schema {
        /// Write nothing; fail when a file is not up to date
        #[arg(long)]
        check: bool,
    },
    Completions(shells::Completions),
    Man(shells::Man),
}

/// How diagnostics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// With the lines that disagree, and carets
    Text,
    /// An array of diagnostics
    Json,
    /// A SARIF 2.1.0 log, for annotations of a change
    Sarif,
}

/// Who signs the FIT.
#[derive(Debug, Args)]
struct Signing {
    /// Sign bulkhead.itb with this private key, NAME.key, beside its certificate NAME.crt
    #[arg(long, value_name = "NAME.key", conflicts_with = "lint")]
    fit_key: Option<PathBuf>,
    /// Add the public key to U-Boot's control device tree
    #[arg(long, value_name = "DTB", requires = "fit_key")]
    fit_control: Option<PathBuf>,
    /// Kind of the key
    #[arg(long, value_name = "KIND", requires = "fit_key", default_value = "rsa2048")]
    fit_algorithm: Algorithm,
}

impl Signing {
    fn key(self) -> Option<Key> {
        let Self { fit_key, fit_control: control, fit_algorithm: algorithm } = self;
        fit_key.map(|file| Key { file, algorithm, control })
    }
}

/// Which system.
#[derive(Debug, Args)]
struct Choice {
    /// A name in configs/, or a path to a system's TOML
    #[arg(value_name = "SYSTEM", default_value = "demo", value_hint = ValueHint::FilePath)]
    system: PathBuf,
}

/// Why a command did not do what it was asked.
enum Failure {
    /// What the system's author has to correct.
    System(Report),
    /// Anything else that went wrong.
    Other(String),
    /// The command was not asked right.
    Use(String),
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::System(report) => Self::System(report),
            BuildError::NoWorkspace(_) | BuildError::Taken { .. } => Self::Use(error.to_string()),
            _ => Self::Other(error.to_string()),
        }
    }
}

impl From<Report> for Failure {
    fn from(report: Report) -> Self {
        Self::System(report)
    }
}

type Done = Result<ExitCode, Failure>;

/// Runs the command that the process's arguments name.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let format = match cli.command {
        Command::Check { json: true, .. } | Command::Plan { json: true, .. } => Format::Json,
        Command::Check { message_format, .. } => message_format,
        _ => Format::Text,
    };
    let done = match cli.command {
        Command::Check { system, .. } => check(&system, format),
        Command::Plan { system, json, html, against } => {
            plan(&system, json, html.as_ref().map(Option::as_deref), against.as_deref())
        }
        Command::Board { board } => show_board(&board),
        Command::Image { system, lint, signing } => image(&system, lint, signing.key().as_ref()),
        Command::Run(run) => run.run(),
        Command::Console(console) => console.run(),
        Command::Flash(flash) => flash.run(),
        Command::Bench(bench) => bench.run(),
        Command::Why(why) => why.run(),
        Command::Learn(learn) => learn.run(),
        Command::Import(import) => import.run(),
        Command::Probe(probe) => probe.run(),
        Command::Schema { check } => {
            workspace().and_then(|workspace| schema::write_all(&workspace, check))
        }
        Command::Completions(completions) => completions.run(Cli::command()),
        Command::Man(man) => man.run(Cli::command()),
    };
    match done {
        Ok(code) => code,
        Err(Failure::System(report)) => {
            if let Err(Failure::Other(why)) = format.show(&report) {
                eprintln!("bulkhead: {why}");
            }
            ExitCode::FAILURE
        }
        Err(Failure::Other(why)) => {
            eprintln!("bulkhead: {why}");
            ExitCode::FAILURE
        }
        Err(Failure::Use(why)) => {
            eprintln!("bulkhead: {why}");
            ExitCode::from(2)
        }
    }
}

/// A result, on the standard output. Who reads it may stop reading; that it cannot be written is an
/// error.
fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Other(format!("cannot write the result: {error}")))
        }
        _ => Ok(()),
    }
}

impl Format {
    fn show(self, report: &Report) -> Result<(), Failure> {
        match self {
            Self::Text => {
                show(report);
                Ok(())
            }
            Self::Json => say(&report.json()),
            Self::Sarif => say(&report.sarif()),
        }
    }
}

/// Diagnostics for a person, on the standard error.
fn show(report: &Report) {
    eprint!("{}", report.render(crate::run::colours(std::io::stderr().is_terminal())));
}

/// What is odd about a system that has no errors.
fn warn(system: &System) {
    let report = rules::run(system);
    if !report.diagnostics.is_empty() {
        show(&report);
    }
}

fn workspace() -> Result<Workspace, Failure> {
    let here = std::env::current_dir().map_err(|error| Failure::Other(error.to_string()))?;
    Ok(Workspace::find(&here)?)
}

impl Choice {
    fn load(&self) -> Result<(Workspace, System), Failure> {
        let workspace = workspace()?;
        let path = system::find(&workspace, &self.system).map_err(Failure::Use)?;
        Ok((workspace, codegen::load(&path)?))
    }
}

fn check(choice: &Choice, format: Format) -> Done {
    let (workspace, system) = choice.load()?;
    let report = build::judge(&system, &workspace.payloads(&system));
    if report.has_errors() {
        return Err(report.into());
    }
    format.show(&report)?;
    if format == Format::Text {
        say(&format!("{}: no errors\n", system.name.value))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `html`: as a page, into that file or beside the image.
fn plan(choice: &Choice, json: bool, html: Option<Option<&Path>>, against: Option<&Path>) -> Done {
    // Before the plan is written: the older one may be the last plan's own file.
    let old = against.map(|path| read(path).map(|text| (path, text))).transpose()?;
    let (workspace, system) = choice.load()?;
    let decided = workspace.plan(&system)?;
    let plan = &decided.plan;
    let changes = old
        .map(|(path, text)| {
            Changes::new(&text, plan)
                .map_err(|why| Failure::Use(format!("{}: {why}", path.display())))
        })
        .transpose()?;
    if !decided.warnings.diagnostics.is_empty() {
        show(&decided.warnings);
    }
    let written = workspace.outputs(&plan.system).join("plan.html");
    let text = match (html, &changes) {
        (Some(file), _) => {
            let path = file.unwrap_or(&written);
            std::fs::write(path, workspace.page(&system, &decided, changes.as_ref()))
                .map_err(|error| Failure::Other(format!("{}: {error}", path.display())))?;
            let beside = path.strip_prefix(&workspace.root).ok().filter(|_| file.is_none());
            format!("{}\n", beside.unwrap_or(path).display())
        }
        (None, Some(changes)) => changes.text(),
        (None, None) if json => emit::report::json(plan),
        (None, None) => emit::report::text(plan),
    };
    say(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::Use(format!("{}: {error}", path.display())))
}

fn show_board(choice: &Path) -> Done {
    let path = system::find_board(&workspace()?, choice).map_err(Failure::Use)?;
    say(&codegen::show_board(&path)?)?;
    Ok(ExitCode::SUCCESS)
}

fn image(choice: &Choice, lint: bool, key: Option<&Key>) -> Done {
    // A TOML that cannot be read has no name; by convention it is the file's.
    if let (false, Some(name)) = (lint, choice.system.file_stem().and_then(|name| name.to_str())) {
        workspace()?.forget(name)?;
    }
    let (workspace, system) = choice.load()?;
    if lint {
        workspace.lint(&system)?;
        return Ok(ExitCode::SUCCESS);
    }
    let built = workspace.image_signed(&system, key)?;
    warn(&system);
    for name in Built::FILES {
        let path = built.directory.join(name);
        let bytes = std::fs::metadata(&path).map_or(0, |file| file.len());
        let shown = path.strip_prefix(&workspace.root).unwrap_or(&path);
        say(&format!("{} {} KiB\n", shown.display(), bytes.div_ceil(1024)))?;
    }
    Ok(ExitCode::SUCCESS)
}
