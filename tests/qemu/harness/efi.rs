// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Runs that Debian's EDK II starts from bulkhead.efi, on a disk with an EFI system partition.

use std::fs;
use std::path::Path;

const FIRMWARE: &str = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd";

/// Arguments for QEMU, after the board's. The board's `-kernel` becomes a file that the firmware
/// does not take for one.
pub fn arguments(binary: &Path, scratch: &Path) -> Result<Vec<String>, String> {
    let disk = scratch.join("esp");
    let application = disk.join("EFI/BOOT/BOOTAA64.EFI");
    let failed = |error: std::io::Error| format!("{}: {error}", application.display());
    fs::create_dir_all(disk.join("EFI/BOOT")).map_err(failed)?;
    fs::copy(binary.with_extension("efi"), &application).map_err(failed)?;
    let drive = format!("file=fat:{},format=raw,if=none,id=esp,read-only=on", disk.display());
    let device = "virtio-blk-pci,drive=esp,romfile=,addr=1e.0";
    let arguments =
        ["-bios", FIRMWARE, "-drive", &drive, "-device", device, "-kernel", "/dev/null"];
    Ok(arguments.map(str::to_owned).to_vec())
}
