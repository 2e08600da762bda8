// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `bulkhead probe`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use codegen::model::Board;

use super::{Done, Failure, read, say, system, workspace};
use crate::image::{Built, Workspace};
use crate::probe;
use crate::run::{
    Attached, Input, Line, Machine, Options, RunError, Transcript, Verdict, attach, run,
};

/// What `--help` says at its end.
const STATUSES: &str = "Exit status: 0 the board is as its TOML says, or was written so, or its image was built; \
                        1 not built or not started; 2 wrong use; 5 the board differs; 7 nothing was measured";
/// A probe takes a second or two, under QEMU on a slow host some more.
const SECONDS: u64 = 120;
/// Ctrl-].
const ESCAPE: u8 = 0x1d;

/// Measure a board by an image of its own, and show what its TOML says otherwise
#[derive(Debug, Args)]
#[command(after_help = STATUSES)]
pub struct Probe {
    /// A name in boards/, or a path to a board's TOML: of it the probe needs the UART, the first
    /// RAM, and where GIC, ITS, SMMUs and ECAMs are
    #[arg(value_name = "BOARD")]
    board: PathBuf,
    /// What the board's console said or says: a file, or what `bulkhead console` takes. Without it
    /// the image is built, and run if QEMU has the board
    #[arg(long, value_name = "DEVICE")]
    from: Option<String>,
    /// Bits a second, of a serial device
    #[arg(long, value_name = "RATE", default_value_t = 115_200, requires = "from")]
    baud: u32,
    /// Change the board's TOML, not only show the change
    #[arg(long)]
    write: bool,
}

impl Probe {
    pub fn run(self) -> Done {
        let workspace = workspace()?;
        let path = system::find_board(&workspace, &self.board).map_err(Failure::Use)?;
        let board = codegen::load_board(&path)?;
        let heard = match &self.from {
            Some(line) => Some(listen(line, self.baud)?),
            None => try_here(&workspace, &board, &self.board)?,
        };
        let Some(heard) = heard else { return Ok(ExitCode::SUCCESS) };
        let measured = match probe::read(&heard.lines) {
            Ok(measured) => measured,
            Err(why) => {
                heard.messages.iter().for_each(|line| eprintln!("qemu: {line}"));
                eprintln!("bulkhead: {}: {why}", board.name.value);
                return Ok(ExitCode::from(Verdict::Silent.status()));
            }
        };
        let kept = workspace.probes(&board).join("measured.toml");
        write(&kept, &measured.text)?;
        let compared =
            probe::compare(&board, (&read(&path)?, &codegen::show_board(&path)?), &measured);
        let compared = compared.map_err(Failure::Other)?;
        let shown = kept.strip_prefix(&workspace.root).unwrap_or(&kept).display();
        let name = &board.name.value;
        for line in &compared.left {
            say(&format!("{name}: {line}\n"))?;
        }
        if let Some(change) = &compared.change {
            say(&change.diff())?;
            match self.write {
                true => write(&change.path, &change.new)?,
                false => eprintln!("bulkhead: not written; --write does that"),
            }
        }
        let open = compared.differs && !self.write || !compared.left.is_empty();
        let verdict = if open { "differs from what was measured" } else { "is as measured" };
        say(&format!("{name}: {verdict}, {} values; {shown}\n", compared.compared))?;
        Ok(match open {
            true => ExitCode::from(Verdict::Differs.status()),
            false => ExitCode::SUCCESS,
        })
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    path.parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::write(path, text))
        .map_err(|error| Failure::Other(format!("{}: {error}", path.display())))
}

fn failed(error: RunError) -> Failure {
    Failure::Other(error.to_string())
}

/// A board's console, until the probe has ended.
fn listen(line: &str, baud: u32) -> Result<Transcript, Failure> {
    let line = Line::parse(line).map_err(Failure::Use)?;
    let ends = line.open(baud).map_err(failed)?;
    let options = Options { input: Input::Stdin, escape: ESCAPE, ..Options::default() };
    if line != Line::Standard {
        eprintln!("bulkhead: listening to {line} until the probe has ended");
    }
    let attached = Attached { line, ends, stay: false, log: None };
    Ok(attach("probe", attached, &options).map_err(failed)?.1)
}

/// Builds the image, and runs it if QEMU has the board; None: how it is started was said.
fn try_here(
    workspace: &Workspace,
    board: &Board,
    choice: &Path,
) -> Result<Option<Transcript>, Failure> {
    let name = &board.name.value;
    let Some(directory) = workspace.probe(board)? else {
        return Err(Failure::Use(format!(
            "board \"{name}\" has no UART: the probe prints what it measures on [board] uart"
        )));
    };
    let Some(mut machine) = Machine::whole(board) else {
        let shown = directory.strip_prefix(&workspace.root).unwrap_or(&directory).display();
        for file in Built::FILES {
            say(&format!("{shown}/{file}\n"))?;
        }
        let boot = board.boot.as_deref().unwrap_or("as the board's loader does it");
        say(&format!(
            "start one as any image ({boot}; docs/image.md), and have the console read:\n\
             bulkhead probe {} --from /dev/ttyUSB0\n",
            choice.display()
        ))?;
        return Ok(None);
    };
    machine.firmware = workspace.firmware_of(board)?;
    let options = Options { timeout: Some(Duration::from_secs(SECONDS)), ..Options::default() };
    let image = directory.join("bulkhead.bin");
    Ok(Some(run("probe", &machine, &image, &options).map_err(failed)?.1))
}
