// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Building the EL3 firmware (`tests/firmware`) that machines without their own need under QEMU.

use object::{Object, ObjectSegment};

use super::build::{BuildError, PARTITION_TARGET, Workspace};
use super::cargo::finish;
use super::flat::FlatError;
use crate::run::Firmware;
use codegen::model::{Board, System};

impl Workspace {
    /// The firmware that the system's board needs to enter the image; None: QEMU enters it.
    pub fn firmware(&self, system: &System) -> Result<Option<Firmware>, BuildError> {
        self.firmware_of(&system.board)
    }

    /// The same of a board.
    pub fn firmware_of(&self, board: &Board) -> Result<Option<Firmware>, BuildError> {
        let qemu = board.qemu.as_ref();
        let Some(ram) = qemu.and_then(|qemu| qemu.secure_ram) else { return Ok(None) };
        let code = self.firmware_code()?;
        Ok(Some(Firmware::new(code, board, ram, &[])))
    }

    /// The firmware as a flat binary for address 0, of no board yet.
    pub fn firmware_code(&self) -> Result<Vec<u8>, BuildError> {
        let _lock = self.lock()?;
        let mut cargo = self.cargo("build");
        cargo.args(["--target", PARTITION_TARGET, "-p", "firmware"]);
        finish(cargo, "the firmware")?;
        let path = self.bare().join(PARTITION_TARGET).join("release/firmware");
        let data = std::fs::read(&path).map_err(|error| BuildError::File { path, error })?;
        let bad = |error: object::Error| FlatError::Elf(error.to_string());
        let file = object::File::parse(&*data).map_err(bad)?;
        let code = file.segments().find(|segment| segment.address() == 0);
        let missing = || FlatError::Elf("nothing is linked for address 0".into());
        Ok(code.ok_or_else(missing)?.data().map_err(bad)?.to_vec())
    }
}
