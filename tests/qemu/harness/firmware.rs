// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Runs under EL3 firmware (`tests/firmware`), with two Security states.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use object::{Object, ObjectSegment};

use crate::plan_json;

/// Where in the firmware it looks for the entry of EL2.
const ENTRY: std::ops::Range<usize> = 8..16;
/// And for the INTIDs that stay Secure, as bits.
const SECURE: std::ops::Range<usize> = 16..24;

/// Arguments for QEMU, after the board's: its CPUs begin in the firmware at EL3, the image is in
/// RAM. The board's `-kernel` is then a file that the firmware does not read.
pub fn arguments(binary: &Path, secure: &[u32]) -> Result<Vec<String>, String> {
    let image = &plan_json::beside(binary)?["hypervisor"]["image"];
    let entry = plan_json::number(image).ok_or("plan.json has no address of the image")?;
    let mut code = firmware()?;
    let place = code.get_mut(ENTRY).ok_or("the firmware is empty")?;
    place.copy_from_slice(&entry.to_le_bytes());
    let intids = secure.iter().fold(0u64, |bits, intid| bits | 1 << (intid % 64));
    let place = code.get_mut(SECURE).ok_or("the firmware is empty")?;
    place.copy_from_slice(&intids.to_le_bytes());
    let firmware = binary.with_file_name(format!("firmware-{intids:x}.bin"));
    fs::write(&firmware, code).map_err(|error| format!("{}: {error}", firmware.display()))?;
    let (binary, firmware) = (binary.display(), firmware.display());
    let arguments = [
        "-machine",
        "secure=on",
        "-semihosting-config",
        "enable=on,target=native",
        "-bios",
        &firmware.to_string(),
        "-device",
        &format!("loader,file={binary},addr={entry:#x},force-raw=on"),
    ];
    Ok(arguments.map(str::to_owned).to_vec())
}

/// The firmware as a flat binary for address 0, built once.
fn firmware() -> Result<Vec<u8>, String> {
    static FIRMWARE: OnceLock<Result<Vec<u8>, String>> = OnceLock::new();
    FIRMWARE.get_or_init(build).clone()
}

fn build() -> Result<Vec<u8>, String> {
    const TARGET: &str = "aarch64-unknown-none";
    let target = tests::root().join("target/el2");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--release", "-p", "firmware", "--target", TARGET]);
    cargo.arg("--target-dir").arg(&target).current_dir(tests::root());
    let output = cargo.output().map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let elf = target.join(TARGET).join("release/firmware");
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", elf.display());
    let data = fs::read(&elf).map_err(|error| failed(&error))?;
    let file = object::File::parse(&*data).map_err(|error| failed(&error))?;
    let code = file.segments().find(|segment| segment.address() == 0);
    let code = code.ok_or_else(|| failed(&"nothing is linked for address 0"))?;
    Ok(code.data().map_err(|error| failed(&error))?.to_vec())
}
