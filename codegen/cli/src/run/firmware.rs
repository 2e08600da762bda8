// SPDX-License-Identifier: Apache-2.0 OR MIT
//! EL3 firmware below an image (`tests/firmware`), for machines whose CPUs begin at EL3.
//!
//! The firmware is a flat binary for address 0. Its second to eighth words of 64 bits say where the
//! board has what the firmware needs; they are written here.

use std::fs;
use std::path::{Path, PathBuf};

use super::RunError;
use codegen::model::Board;

/// Firmware for one image on one board.
#[derive(Clone, Debug)]
pub struct Firmware {
    code: Vec<u8>,
    /// Where EL2 is entered: the board's, whatever the system is.
    entry: u64,
}

impl Firmware {
    /// `code` as it is built. It enters bulkhead.bl33 where the board has the hypervisor.
    /// `secure_ram` is where the firmware keeps its data; it leaves the INTIDs in `secure`, below
    /// 64, to the Secure side.
    pub fn new(mut code: Vec<u8>, board: &Board, secure_ram: u64, secure: &[u32]) -> Self {
        let entry = board.hypervisor_base();
        let redistributors = &board.gic.redistributors;
        let first = board.cpus.first().map_or(0, |cpu| cpu.redistributor.value);
        let console = board.console.as_ref().and_then(|console| board.uarts.get(console.value));
        let words = [
            entry,
            secure.iter().fold(0, |bits, intid| bits | 1 << (intid % 64)),
            board.gic.distributor.start(),
            first,
            redistributors.stride.value,
            console.map_or(0, |uart| uart.region.start()),
            secure_ram,
        ];
        let places = code.chunks_exact_mut(8).skip(1);
        for (place, word) in places.zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        Self { code, entry }
    }

    /// Arguments for QEMU by which the CPUs begin in the firmware, and bulkhead.bl33, which is
    /// beside `image`, is in RAM.
    pub(super) fn arguments(&self, image: &Path, scratch: &Path) -> Vec<String> {
        let image = image.with_extension("bl33");
        let loader = format!("loader,file={},addr={:#x},force-raw=on", image.display(), self.entry);
        let file = file(scratch).display().to_string();
        // SYSTEM_OFF ends QEMU by semihosting.
        ["-bios", &file, "-device", &loader, "-semihosting-config", "enable=on,target=native"]
            .map(str::to_owned)
            .to_vec()
    }

    /// Writes the file that the arguments name.
    pub(super) fn prepare(&self, scratch: &Path) -> Result<(), RunError> {
        let path = file(scratch);
        fs::write(&path, &self.code).map_err(|error| RunError::File { path, error })
    }
}

fn file(scratch: &Path) -> PathBuf {
    scratch.join("firmware.bin")
}
