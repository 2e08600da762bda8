// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Building a system's image with cargo: its Rust partitions, then the EL2 image around them.
//!
//! 1. `cargo build --release --target aarch64-unknown-none` of every Rust partition that the system
//!    names;
//! 2. copies of their ELF files as target/bulkhead/SYSTEM/payloads/PACKAGE.elf;
//! 3. `cargo build --release -p hyp --target aarch64-unknown-none-softfloat` with `BULKHEAD_SYSTEM`
//!    and `BULKHEAD_PAYLOADS`;
//! 4. the same of the EFI stub;
//! 5. the flat binary, its other forms, the plan and the device trees into target/bulkhead/SYSTEM.
//!
//! Cargo's own output goes to target/el2, a directory of its own, so that it never waits for the
//! build of the host crates; what is up to date is not built again. Cargo leaves every system's
//! image under one name: a lock file there is held from building until the result has been taken.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::bl33::bl33;
use super::cargo::{FIX_835769, finish, format};
use super::claim::claim;
use super::efi::efi;
use super::fit::{Signer, fit};
use super::flat::{FlatError, flatten};
use super::place::Place;
use super::rules::{self, Broken};
use super::sign::{Key, SignError};
use codegen::build::{Decided, EmitError, decide, write};
use codegen::diag::Report;
use codegen::emit::changes::Changes;
use codegen::emit::{link, page, report};
use codegen::model::{PayloadKind, System};
use codegen::plan::Plan;
use thiserror::Error;

pub(super) const PARTITION_TARGET: &str = "aarch64-unknown-none";
pub(super) const IMAGE_TARGET: &str = "aarch64-unknown-none-softfloat";
const IMAGE_BINARY: &str = "bulkhead-el2";
/// As far as one ADR instruction reaches.
const NEAR: u64 = 1 << 20;

/// Why there is no image.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The system has errors.
    #[error("{}", .0.render(false))]
    System(Report),
    /// A file could not be read or written.
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("cannot start cargo: {0}")]
    Start(io::Error),
    /// Cargo said why on its standard error.
    #[error("{what} was not built")]
    Cargo { what: String },
    #[error(transparent)]
    Flat(#[from] FlatError),
    /// A name in it is none of a node.
    #[error("no FIT can be made: {0}")]
    Fit(#[from] dtoolkit::error::ModelError),
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The stub is not as this tool knows it.
    #[error("the EFI stub has no room for the plan: start.s and image/efi.rs differ")]
    Efi,
    /// It has what no image may have.
    #[error(transparent)]
    Rule(#[from] Broken),
    /// Another file's system has the name.
    #[error(
        "{} and {} both say name = \"{name}\", by which outputs are kept: write another name in \
         one of them", own.display(), other.display()
    )]
    Taken { name: String, other: PathBuf, own: PathBuf },
    /// The directory is not inside this workspace.
    #[error("{} is in no checkout of Bulkhead; change to one", .0.display())]
    NoWorkspace(PathBuf),
}

impl From<EmitError> for BuildError {
    fn from(error: EmitError) -> Self {
        match error {
            EmitError::System(report) => Self::System(report),
            EmitError::Write { path, error } => Self::File { path, error },
        }
    }
}

/// A checkout, and where its outputs go.
#[derive(Clone, Debug)]
pub struct Workspace {
    pub root: PathBuf,
    /// `CARGO_TARGET_DIR`, or target/ in the root.
    pub target: PathBuf,
}

/// A finished image.
#[derive(Debug)]
pub struct Built {
    /// target/bulkhead/SYSTEM, with the files of [`Built::FILES`], plan.json, plan.txt, plan.html
    /// and VM.dtb.
    pub directory: PathBuf,
    pub plan: Plan,
    /// bulkhead.bin, as it was written: who builds the system next replaces the file.
    pub flat: Vec<u8>,
}

impl Built {
    /// The image, in each form that a loader takes.
    pub const FILES: [&str; 5] =
        ["bulkhead.elf", "bulkhead.bin", "bulkhead.bl33", "bulkhead.itb", "bulkhead.efi"];
}

impl Workspace {
    /// The checkout that `directory` is in.
    pub fn find(directory: &Path) -> Result<Self, BuildError> {
        let root = directory
            .ancestors()
            .find(|root| root.join("configs").is_dir() && root.join("hyp/link.ld").is_file())
            .ok_or_else(|| BuildError::NoWorkspace(directory.to_owned()))?;
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(target) => directory.join(target),
            None => root.join("target"),
        };
        Ok(Self { root: root.to_owned(), target })
    }

    /// Where a system's outputs go. Always below the root, whatever cargo's target directory is.
    pub fn outputs(&self, system: &str) -> PathBuf {
        self.root.join("target/bulkhead").join(system)
    }

    /// Cargo's output directory for everything that runs on the bare machine.
    pub(super) fn bare(&self) -> PathBuf {
        self.target.join("el2")
    }

    /// Nobody else builds an image here until the file is dropped.
    pub(super) fn lock(&self) -> Result<File, BuildError> {
        let path = self.bare().join("image.lock");
        std::fs::create_dir_all(self.bare())
            .and_then(|()| File::create(&path))
            .and_then(|file| file.lock().map(|()| file))
            .map_err(|error| BuildError::File { path, error })
    }

    pub(super) fn cargo(&self, verb: &str) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut command = Command::new(cargo);
        command.current_dir(&self.root).arg(verb).arg(format());
        command.args(["--release", "--target-dir"]).arg(self.bare());
        // The first build takes a minute, in which cargo shows how far it is; later ones need no
        // words.
        if self.bare().join(IMAGE_TARGET).exists() {
            command.arg("--quiet");
        }
        // Flags of an outer cargo, such as a coverage run's, are for the host. These replace them.
        command.env_remove("CARGO_BUILD_TARGET").env("CARGO_ENCODED_RUSTFLAGS", self.flags());
        command
    }

    /// Where a system's built partitions are, as PACKAGE.elf.
    pub fn payloads(&self, system: &System) -> PathBuf {
        self.outputs(&system.name.value).join("payloads")
    }

    /// Compiler flags that keep paths of the build out of an image and avoid a Cortex-A53 erratum.
    fn flags(&self) -> OsString {
        let home = || std::env::home_dir().map(|home| home.join(".cargo"));
        let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home);
        let places = [
            (Some(self.root.clone()), "."),
            (Some(self.target.clone()), "target"),
            (cargo_home, "cargo"),
        ];
        let mut flags = OsString::from(FIX_835769);
        for (place, name) in places {
            let Some(place) = place else { continue };
            flags.push("\x1f--remap-path-prefix=");
            flags.push(place);
            flags.push("=");
            flags.push(name);
        }
        flags
    }

    /// Builds the system's Rust partitions.
    fn partitions(&self, system: &System) -> Result<PathBuf, BuildError> {
        let directory = self.payloads(system);
        let mut packages: Vec<&str> = system
            .vms
            .iter()
            .filter_map(|vm| match &vm.payload.kind {
                PayloadKind::Rust { package, .. } => Some(package.value.as_str()),
                PayloadKind::File { .. } => None,
            })
            .collect();
        packages.sort_unstable();
        packages.dedup();
        if packages.is_empty() {
            return Ok(directory);
        }
        let mut cargo = self.cargo("build");
        cargo.args(["--target", PARTITION_TARGET]);
        for package in &packages {
            cargo.args(["-p", package]);
        }
        finish(cargo, &packages.join(", "))?;
        for package in packages {
            let elf = self.bare().join(PARTITION_TARGET).join("release").join(package);
            let bytes =
                std::fs::read(&elf).map_err(|error| BuildError::File { path: elf, error })?;
            write(&directory, &format!("{package}.elf"), &bytes)?;
        }
        Ok(directory)
    }

    /// The linked EFI stub, the same for all systems.
    pub(super) fn stub(&self) -> Result<Vec<u8>, BuildError> {
        let mut cargo = self.cargo("build");
        cargo.args(["--target", PARTITION_TARGET, "-p", "efi"]);
        finish(cargo, "the EFI stub")?;
        let elf = self.bare().join(PARTITION_TARGET).join("release/efi");
        std::fs::read(&elf).map_err(|error| BuildError::File { path: elf, error })
    }

    /// The plan of a system, its partitions built first.
    pub fn plan(&self, system: &System) -> Result<Decided, BuildError> {
        let _lock = self.lock()?;
        self.claim(system)?;
        self.plan_locked(system).map(|(decided, _)| decided)
    }

    fn claim(&self, system: &System) -> Result<(), BuildError> {
        claim(&self.outputs(&system.name.value), &system.name.value, &system.path)
    }

    fn plan_locked(&self, system: &System) -> Result<(Decided, PathBuf), BuildError> {
        let payloads = self.partitions(system)?;
        let decided = decide(system, &payloads).map_err(BuildError::System)?;
        let plan = &decided.plan;
        let directory = self.outputs(&plan.system);
        write(&directory, "plan.html", self.page(system, &decided, None).as_bytes())?;
        write(&directory, "plan.json", report::json(plan).as_bytes())?;
        write(&directory, "plan.txt", report::text(plan).as_bytes())?;
        for vm in &plan.vms {
            if let Some(tree) = vm.loads.iter().find(|load| load.what == "device tree") {
                write(&directory, &format!("{}.dtb", vm.name), &tree.bytes.data)?;
            }
        }
        Ok((decided, payloads))
    }

    /// The plan as a page. With `changes`, what is other than in an older plan is on it, too.
    pub fn page(&self, system: &System, decided: &Decided, changes: Option<&Changes>) -> String {
        let root = std::path::absolute(&self.root).unwrap_or_else(|_| self.root.clone());
        let inputs = page::inputs(system, &decided.files, &root);
        let warnings = decided.warnings.render(false);
        page::html(&decided.plan, &page::Around { warnings: &warnings, inputs: &inputs, changes })
    }

    /// Builds a system's image. If that fails, there is none: an older one would not be the
    /// system's any more.
    pub fn image(&self, system: &System) -> Result<Built, BuildError> {
        self.image_signed(system, None)
    }

    /// The same, its FIT signed.
    pub fn image_signed(&self, system: &System, key: Option<&Key>) -> Result<Built, BuildError> {
        let named = key.map(Key::find).transpose()?;
        let _lock = self.lock()?;
        self.claim(system)?;
        self.forget(&system.name.value)?;
        let (Decided { plan, .. }, payloads) = self.plan_locked(system)?;
        let room = plan.hypervisor.room;
        finish(self.image_command("build", system, &payloads, room)?, "the EL2 image")?;
        let elf = self.bare().join(IMAGE_TARGET).join("release").join(IMAGE_BINARY);
        let bytes = std::fs::read(&elf).map_err(|error| BuildError::File { path: elf, error })?;
        rules::look(&bytes)?;
        let directory = self.outputs(&plan.system);
        let own = &plan.hypervisor;
        let flat = flatten(
            &bytes,
            link::text_offset(&plan).1,
            own.base.value() + own.bytes - own.image.value(),
        )?;
        write(&directory, "bulkhead.elf", &bytes)?;
        write(&directory, "bulkhead.bin", &flat)?;
        write(&directory, "bulkhead.bl33", &bl33(&plan, &flat))?;
        let place = Place::from(&plan);
        let application = efi(&place, &self.stub()?, &flat).ok_or(BuildError::Efi)?;
        write(&directory, "bulkhead.efi", &application)?;
        let signer = named.zip(key);
        let signer =
            signer.map(|((name, _), key)| Signer { algorithm: key.algorithm.name(), key: name });
        write(&directory, "bulkhead.itb", &fit(&place, &flat, signer)?)?;
        if let Some(key) = key {
            key.sign(&directory.join("bulkhead.itb")).inspect_err(|_| {
                // One that is not signed could be taken for one that is.
                let _ = std::fs::remove_file(directory.join("bulkhead.itb"));
            })?;
        }
        Ok(Built { directory, plan, flat })
    }

    /// Removes a system's image, if there is one.
    pub fn forget(&self, system: &str) -> Result<(), BuildError> {
        for name in Built::FILES {
            let path = self.outputs(system).join(name);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(BuildError::File { path, error });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Runs clippy over the image as it is for this system, warnings as errors.
    pub fn lint(&self, system: &System) -> Result<(), BuildError> {
        let _lock = self.lock()?;
        let (Decided { plan, .. }, payloads) = self.plan_locked(system)?;
        let room = plan.hypervisor.room;
        let mut cargo = self.image_command("clippy", system, &payloads, room)?;
        cargo.args(["--", "-D", "warnings"]);
        finish(cargo, "a clean EL2 image")
    }

    fn image_command(
        &self,
        verb: &str,
        system: &System,
        payloads: &Path,
        room: u64,
    ) -> Result<Command, BuildError> {
        let path = std::path::absolute(&system.path);
        let path = path.map_err(|error| BuildError::File { path: system.path.clone(), error })?;
        let mut cargo = self.cargo(verb);
        cargo.args(["-p", "hyp", "--target", IMAGE_TARGET]);
        let mut flags = self.flags();
        // Code that several functions share would cost hot ones a call and a return.
        flags.push("\x1f-Cllvm-args=-enable-machine-outliner=never");
        if room < NEAR {
            // Code, constants and data lie near each other: an address takes one instruction, not
            // two.
            flags.push("\x1f-Ccode-model=tiny");
        }
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags);
        cargo.env("BULKHEAD_SYSTEM", path).env("BULKHEAD_PAYLOADS", payloads);
        Ok(cargo)
    }
}
