// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `bulkhead completions` and `bulkhead man`: what a shell and `man` need to know of the command.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;

use super::{Done, Failure, say};

/// Print completions for a shell
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell that will read them
    shell: Shell,
}

/// Write manual pages, one for each command
#[derive(Debug, Args)]
pub struct Man {
    /// Directory for them, such as ~/.local/share/man/man1; made if it is not there
    #[arg(value_name = "DIRECTORY")]
    directory: PathBuf,
}

impl Completions {
    pub fn run(&self, mut command: Command) -> Done {
        let mut script = Vec::new();
        let name = command.get_name().to_owned();
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        say(&String::from_utf8_lossy(&script))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Man {
    pub fn run(&self, command: Command) -> Done {
        let failed = |error| Failure::Other(format!("{}: {error}", self.directory.display()));
        std::fs::create_dir_all(&self.directory).map_err(failed)?;
        clap_mangen::generate_to(command, &self.directory).map_err(failed)?;
        Ok(ExitCode::SUCCESS)
    }
}
