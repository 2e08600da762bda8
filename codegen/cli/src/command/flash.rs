// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `bulkhead flash`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use codegen::schema::targets::{Target, TargetsFile};

use super::run::conclude;
use super::{Choice, Done, Failure, say};
use crate::flash::{FlashError, Job, Slot, Step, steps};

/// Build the image and bring it to a board: a disk image, a TFTP folder, or by a tool
#[derive(Debug, Args)]
pub struct Flash {
    #[command(flatten)]
    system: Choice,
    /// A target by its name; without it a disk image is made, target/bulkhead/SYSTEM/disk.img
    #[arg(long, value_name = "TARGET")]
    to: Option<String>,
    /// The file of targets; by default targets.toml here, or ~/.config/bulkhead/targets.toml
    #[arg(long, value_name = "FILE")]
    targets: Option<PathBuf>,
    /// Write only this slot of a disk that has two, and make it the new one: a or b
    #[arg(long, value_name = "SLOT")]
    slot: Option<Slot>,
    /// Show what would be done
    #[arg(long)]
    dry_run: bool,
    /// Overwrite a disk
    #[arg(long)]
    yes: bool,
}

impl From<FlashError> for Failure {
    fn from(error: FlashError) -> Self {
        Self::Other(error.to_string())
    }
}

impl Flash {
    pub fn run(self) -> Done {
        // The targets first: a mistake there needs no build to be seen.
        let (file, folder) = match (&self.to, &self.targets) {
            (None, None) => (None, PathBuf::new()),
            (_, path) => {
                let path = found(path.as_deref())?;
                let folder = path.parent().unwrap_or(Path::new("")).to_owned();
                (Some(codegen::targets(&path)?), folder)
            }
        };
        let target = self.to.as_deref().map(|name| chosen(file.as_ref(), name)).transpose()?;
        let (workspace, system) = self.system.load()?;
        let built = workspace.image(&system)?;
        let image = built.directory.join("bulkhead.bin");
        let job = Job {
            system: system.name.value.clone(),
            image: image.strip_prefix(here()).map_or(image.clone(), Path::to_owned),
            flat: built.flat,
            address: built.plan.hypervisor.image.value(),
            slot: self.slot,
            escape: system.escape.value,
            time_limit: system.time_limit,
        };
        let steps = steps(target, &folder, &job)?;
        if self.dry_run {
            return say(&steps.iter().map(|step| format!("{step}\n")).collect::<String>())
                .map(|()| ExitCode::SUCCESS);
        }
        self.permitted(&steps)?;
        for step in steps {
            let what = step.to_string();
            eprintln!("bulkhead: {what}");
            if let Some(report) = step.take()? {
                return conclude(&report, Some(&workspace));
            }
        }
        if target.is_none() {
            say(&format!("{}\n", job.disk().display()))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Every step can be taken, and a disk that is overwritten is meant.
    fn permitted(&self, steps: &[Step]) -> Result<(), Failure> {
        for step in steps {
            if let Some(disk) = step.look()?
                && !self.yes
            {
                let why = format!("this overwrites {disk}; --yes does it");
                return Err(Failure::Use(why));
            }
        }
        Ok(())
    }
}

fn here() -> PathBuf {
    std::env::current_dir().unwrap_or_default()
}

/// The file of targets.
fn found(given: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
    let config = config.or_else(|| Some(std::env::home_dir()?.join(".config")));
    let user = config.map(|config| config.join("bulkhead/targets.toml"));
    let places = [Some(PathBuf::from("targets.toml")), user.clone()];
    places.into_iter().flatten().find(|path| path.is_file()).ok_or_else(|| {
        let user = user.map_or_else(String::new, |path| format!(" nor {}", path.display()));
        Failure::Use(format!("there is no targets.toml here{user} (docs/flash.md shows one)"))
    })
}

fn chosen<'a>(file: Option<&'a TargetsFile>, name: &str) -> Result<&'a Target, Failure> {
    let all = file.map_or(&[][..], |file| &file.target);
    all.iter().find(|target| **target.name() == name).map(|target| &**target).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|target| target.name().as_str()).collect();
        Failure::Use(format!("there is no target \"{name}\"; there are: {}", names.join(", ")))
    })
}
