// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Building the probe (`hyp/probe`) for a board: the image that measures it.

use std::path::PathBuf;

use codegen::build::write;
use codegen::emit::probe;
use codegen::model::Board;

use super::build::{BuildError, Built, IMAGE_TARGET, Workspace};
use super::cargo::finish;
use super::efi::efi;
use super::fit::fit;
use super::flat::flatten;
use super::place::Place;
use super::rules;

impl Workspace {
    /// target/bulkhead/probes/BOARD, with the files of [`Built::FILES`] after [`Self::probe`].
    pub fn probes(&self, board: &Board) -> PathBuf {
        self.outputs("probes").join(&board.name.value)
    }

    /// Builds the probe; None: the board has no UART to say anything on.
    pub fn probe(&self, board: &Board) -> Result<Option<PathBuf>, BuildError> {
        let own = board.path.strip_prefix(&self.root).unwrap_or(&board.path);
        let named = own.parent().is_some_and(|room| room.ends_with("boards"));
        let absolute = || std::path::absolute(&board.path).unwrap_or_else(|_| board.path.clone());
        let file = if named { own.with_extension("") } else { absolute() };
        let file = if named { file.file_name().unwrap_or_default().into() } else { file };
        let Some(constants) = probe::constants(board, &file.to_string_lossy()) else {
            return Ok(None);
        };
        let _lock = self.lock()?;
        let directory = self.probes(board);
        let inputs = std::path::absolute(directory.join("source"))
            .map_err(|error| BuildError::File { path: directory.clone(), error })?;
        write(&inputs, "board.rs", constants.as_bytes())?;
        write(&inputs, "board.ld", probe::link(board).as_bytes())?;
        let mut cargo = self.cargo("build");
        cargo.args(["-p", "probe", "--target", IMAGE_TARGET]).env("BULKHEAD_PROBE", &inputs);
        finish(cargo, "the probe")?;
        let elf = self.bare().join(IMAGE_TARGET).join("release/probe");
        let bytes = std::fs::read(&elf).map_err(|error| BuildError::File { path: elf, error })?;
        rules::look(&bytes)?;
        let (base, offset) = probe::place(board);
        let flat = flatten(&bytes, offset, probe::ROOM)?;
        let title = format!("bulkhead: probe of {}", board.name.value);
        let place = Place { title, base, bytes: probe::ROOM, image: base };
        let application = efi(&place, &self.stub()?, &flat).ok_or(BuildError::Efi)?;
        let fit = fit(&place, &flat, None)?;
        let [linked, bin, bl33, itb, application_file] = Built::FILES;
        // Firmware that enters an address finds the image right there.
        for (name, content) in [
            (linked, &bytes),
            (bin, &flat),
            (bl33, &flat),
            (itb, &fit),
            (application_file, &application),
        ] {
            write(&directory, name, content)?;
        }
        Ok(Some(directory))
    }
}
