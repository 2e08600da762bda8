// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Runs under EL3 firmware (`tests/firmware`), with two Security states.

use std::sync::OnceLock;

use bulkhead::image::Workspace;
use bulkhead::run::Firmware;
use codegen::model::Board;

/// QEMU's virt with `secure=on` has Secure RAM here.
pub const VIRT_SECURE_RAM: u64 = 0x0e00_0000;

/// Firmware that enters EL2 on `board`, and leaves the INTIDs `secure` to the Secure side.
pub fn below(board: &Board, ram: u64, secure: &[u32]) -> Result<Firmware, String> {
    static CODE: OnceLock<Result<Vec<u8>, String>> = OnceLock::new();
    let build = || {
        let workspace = Workspace::find(tests::root()).map_err(|error| error.to_string())?;
        workspace.firmware_code().map_err(|error| error.to_string())
    };
    let code = CODE.get_or_init(build).clone()?;
    Ok(Firmware::new(code, board, ram, secure))
}
