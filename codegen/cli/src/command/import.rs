// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `bulkhead import`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Args;
use codegen::import::{self, Source};
use codegen::units::Size;

use super::{Done, Failure, read, say};

/// Write a board's TOML from a device tree
#[derive(Debug, Args)]
pub struct Import {
    /// A device tree: blob (.dtb), or source (.dts), which dtc compiles
    #[arg(value_name = "TREE", required_unless_present = "live")]
    tree: Option<PathBuf>,
    /// The tree of a running Linux instead: /proc/device-tree, or a copy of it
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "tree")]
    live: Option<PathBuf>,
    /// Linux's boot messages on that board, for what no tree has
    #[arg(long, value_name = "FILE")]
    dmesg: Option<PathBuf>,
    /// RAM, instead of the tree's: --ram 0x80000000,"2 GiB"
    #[arg(long, value_name = "BASE,SIZE", value_parser = range)]
    ram: Vec<(u64, u64)>,
    /// Name of the board; by default that of the file
    #[arg(long)]
    name: Option<String>,
    /// Have VMs' devices described as the tree has them: the board keeps the tree's blob, which is
    /// written to FILE beside its TOML
    #[arg(long, value_name = "FILE")]
    keep_tree: Option<String>,
    /// Write it there, not to the standard output
    #[arg(short, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let (base, size) = text.split_once(',').ok_or("an address and a size: 0x80000000,2GiB")?;
    let digits = base.trim().replace('_', "");
    let digits = digits.strip_prefix("0x").ok_or("the address begins with 0x")?;
    let base = u64::from_str_radix(digits, 16).map_err(|error| error.to_string())?;
    let size: Size = size.trim().parse()?;
    Ok((base, size.0))
}

impl Import {
    pub fn run(self) -> Done {
        let path = self.live.as_ref().or(self.tree.as_ref());
        let path = path.ok_or_else(|| Failure::Use("there is no tree to import".into()))?;
        let is_source = path.extension().is_some_and(|ending| ending == "dts");
        let blob = match (&self.live, is_source) {
            (Some(directory), _) => import::live(directory).map_err(Failure::Use)?,
            (None, true) => compiled(path)?,
            (None, false) => std::fs::read(path)
                .map_err(|error| Failure::Use(format!("{}: {error}", path.display())))?,
        };
        let messages = self.dmesg.as_deref().map(read).transpose()?;
        // The board has the name of its file, by which systems find it.
        let named = self.output.as_ref().unwrap_or(path);
        let stem = named.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let source = Source {
            blob: &blob,
            origin: if self.live.is_some() { "the tree of a running Linux" } else { &file },
            name: self.name.as_deref().unwrap_or(&stem),
            messages: messages.as_deref(),
            ram: &self.ram,
            tree: self.keep_tree.as_deref(),
        };
        let imported = import::import(&source)
            .map_err(|why| Failure::Other(format!("{}: {why}", path.display())))?;
        if let Some(kept) = &self.keep_tree {
            let beside = self.output.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
            let kept = beside.join(kept);
            std::fs::write(&kept, &imported.tree)
                .map_err(|error| Failure::Other(format!("{}: {error}", kept.display())))?;
        }
        match &self.output {
            None => say(&imported.toml)?,
            Some(output) => std::fs::write(output, &imported.toml)
                .map_err(|error| Failure::Other(format!("{}: {error}", output.display())))?,
        }
        if !imported.open.is_empty() {
            eprintln!("bulkhead: not in the tree, to be looked up:");
            imported.open.iter().for_each(|what| eprintln!("  {what}"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What dtc makes of a source.
fn compiled(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut dtc = Command::new("dtc");
    let made = dtc.args(["-q", "-I", "dts", "-O", "dtb", "-o", "-"]).arg(path).output();
    let made = made.map_err(|error| Failure::Other(format!("dtc: {error}")))?;
    match made.status.success() {
        true => Ok(made.stdout),
        false => Err(Failure::Use(String::from_utf8_lossy(&made.stderr).trim().to_owned())),
    }
}
