// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Runs that U-Boot's bootm starts from bulkhead.itb, with or without a key of ours.
//!
//! Debian's U-Boot takes its control device tree from QEMU, so a key gets in without a build of
//! U-Boot. The FIT lies in RAM as if U-Boot had loaded it; the scenario types the command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use bulkhead::run::{Machine, Options};
use serde::Deserialize;

use crate::images;

/// Where the FIT lies; scenarios type it.
const AT: &str = "0x60000000";

/// What U-Boot is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// No key, and a FIT without a signature.
    Plain,
    /// A key, and a FIT that it signed.
    Signed,
    /// The same, one bit of the hypervisor changed after that.
    Changed,
    /// A key, and a FIT without a signature.
    Unsigned,
}

/// Arguments for QEMU, after the board's.
pub fn arguments(
    fit: Fit,
    system: &str,
    machine: &Machine,
    scratch: &Path,
) -> Result<Vec<String>, String> {
    // The tool has one place for a system's FIT: scenarios with a key have a system of their own.
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let failed = |error: std::io::Error| format!("{}: {error}", scratch.display());
    fs::create_dir_all(scratch).map_err(failed)?;
    let control = scratch.join("control.dtb");
    dump(machine, scratch, &control)?;
    let toml = images::find(system)?;
    let mut image = tests::bulkhead();
    image.arg("image").arg(&toml);
    let mut own = match fit {
        Fit::Plain => fs::read(output(system)),
        _ => fs::read(built(&mut image, system)?),
    }
    .map_err(failed)?;
    if fit != Fit::Plain {
        image.arg("--fit-key").arg(key()?).arg("--fit-control").arg(&control);
        let signed = fs::read(built(&mut image, system)?).map_err(failed)?;
        if fit != Fit::Unsigned {
            own = signed;
        }
    }
    if fit == Fit::Changed {
        let text = b"bulkhead: stopped";
        let place = own.windows(text.len()).position(|bytes| bytes == text);
        own[place.ok_or("the FIT does not hold the hypervisor")?] ^= 1;
    }
    drop(turn);
    let file = scratch.join("bulkhead.itb");
    fs::write(&file, own).map_err(failed)?;
    let loader = format!("loader,file={},addr={AT},force-raw=on", file.display());
    let (dtb, file) = (control.display().to_string(), file.display().to_string());
    let bios = "/usr/lib/u-boot/qemu_arm64/u-boot.bin";
    // What U-Boot could have from QEMU by -kernel is a file that it does not start.
    let arguments = ["-bios", bios, "-dtb", &dtb, "-device", &loader, "-kernel", &file];
    Ok(arguments.map(str::to_owned).to_vec())
}

/// The tree that QEMU would hand to U-Boot.
fn dump(machine: &Machine, scratch: &Path, to: &Path) -> Result<(), String> {
    machine.prepare(scratch).map_err(|error| error.to_string())?;
    // QEMU ends before it would read a kernel.
    let arguments = machine.arguments(Path::new("/dev/null"), scratch, &Options::default());
    let mut qemu = Command::new("qemu-system-aarch64");
    qemu.args(arguments).args(["-machine", &format!("dumpdtb={}", to.display())]);
    done(&mut qemu)
}

/// Runs `bulkhead image`; the FIT that it wrote.
fn built(image: &mut Command, system: &str) -> Result<PathBuf, String> {
    done(image)?;
    Ok(output(system))
}

fn output(system: &str) -> PathBuf {
    tests::root().join("target/bulkhead").join(system).join("bulkhead.itb")
}

/// A private key, beside its certificate, made once.
fn key() -> Result<PathBuf, String> {
    static KEY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    KEY.get_or_init(|| {
        let directory = tests::root().join("target/bulkhead/fit-key");
        fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
        let mut openssl = Command::new("openssl");
        openssl.current_dir(&directory).args(["req", "-batch", "-new", "-x509", "-nodes"]);
        openssl.args(["-newkey", "rsa:2048", "-keyout", "test.key", "-out", "test.crt"]);
        done(&mut openssl)?;
        Ok(directory.join("test.key"))
    })
    .clone()
}

fn done(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&said)))
}
